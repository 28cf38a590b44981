"""Spans as the messages of OTLP, the form in which every collector takes them.

The messages are OpenTelemetry's own, generated from its definitions. What a span says passes here, on the exporter's
thread: names that are not on the list are left out, texts are redacted as in the logs and bounded.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from make_bridge.platform.observability.logs import harmless
from make_bridge.platform.observability.tracing.context import TraceContext
from make_bridge.platform.observability.tracing.names import ALLOWED, Attribute, Kind
from make_bridge.platform.observability.tracing.spans import Span

LONGEST_TEXT: Final = 256
_SCOPE: Final = "make_bridge"
_KINDS: Final[Mapping[Kind, OtlpSpan.SpanKind.ValueType]] = {
    "internal": OtlpSpan.SPAN_KIND_INTERNAL,
    "server": OtlpSpan.SPAN_KIND_SERVER,
    "client": OtlpSpan.SPAN_KIND_CLIENT,
    "producer": OtlpSpan.SPAN_KIND_PRODUCER,
    "consumer": OtlpSpan.SPAN_KIND_CONSUMER,
}
# Bits 8 and 9 of a span's flags: it is known whether the parent is elsewhere, and it is.
_KNOWN: Final = 0x100
_REMOTE: Final = 0x200
_SAMPLED: Final = 0x01


class Encoder:
    """Encodes for one process, whose name and version go along."""

    def __init__(self, resource: Mapping[str, str]) -> None:
        """``resource`` says what process this is, by the conventions' names."""
        self._resource = [_attribute(name, value) for name, value in resource.items()]
        self._version = resource.get("service.version", "")

    def encode(self, spans: Sequence[Span]) -> bytes:
        """Return the body of one export."""
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.extend(self._resource)
        scope = resource.scope_spans.add()
        scope.scope.name, scope.scope.version = _SCOPE, self._version
        for span in spans:
            _fill(scope.spans.add(), span)
        encoded: bytes = request.SerializeToString()
        return encoded


def refused_by(answer: bytes) -> int | None:
    """Return how many spans an answer says were refused; None for what no collector answers."""
    try:
        response: ExportTraceServiceResponse = ExportTraceServiceResponse.FromString(answer)
    except DecodeError:
        return None
    return response.partial_success.rejected_spans


def _fill(message: OtlpSpan, span: Span) -> None:
    trace = span.trace
    message.trace_id, message.span_id = bytes.fromhex(trace.trace_id), bytes.fromhex(span.span_id)
    message.trace_state = trace.state
    message.parent_span_id = bytes.fromhex(span.parent_id)
    message.flags = _SAMPLED | _KNOWN | (_REMOTE if span.is_root and span.parent_id else 0)
    message.name, message.kind = _bounded(span.name), _KINDS[span.kind]
    message.start_time_unix_nano, message.end_time_unix_nano = span.started_at, max(span.ended_at, span.started_at)
    allowed = [(name, value) for name, value in span.attributes.items() if name in ALLOWED]
    message.attributes.extend(_attribute(name, value) for name, value in allowed)
    message.dropped_attributes_count = len(span.attributes) - len(allowed)
    if span.failure is not None:
        message.status.code = Status.STATUS_CODE_ERROR
        message.attributes.append(_attribute("error.type", span.failure))
    if span.link is not None:
        _link(message, span.link)


def _link(message: OtlpSpan, to: TraceContext) -> None:
    link = message.links.add()
    link.trace_id, link.span_id = bytes.fromhex(to.trace_id), bytes.fromhex(to.span_id)
    link.flags = _KNOWN | _REMOTE | int(to.is_sampled)


def _attribute(name: str, value: Attribute) -> KeyValue:
    attribute = KeyValue(key=name)
    match value:
        case bool():
            attribute.value.bool_value = value
        case int():
            attribute.value.int_value = value
        case float():
            attribute.value.double_value = value
        case str():
            attribute.value.string_value = _bounded(value)
    return attribute


# Nearly all texts are names and routes, which come again with every span; what is new each time pushes out the oldest.
@lru_cache(maxsize=1024)
def _bounded(text: str) -> str:
    return harmless(text[:LONGEST_TEXT])
