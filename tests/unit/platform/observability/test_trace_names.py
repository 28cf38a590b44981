"""The names of attributes: OpenTelemetry's own, or below our own word; and what leaves of a span, in its messages."""

import importlib
import pkgutil

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.semconv import attributes as stable
from opentelemetry.semconv._incubating import attributes as experimental

from make_bridge.platform.observability.tracing.encoding import LONGEST_TEXT, Encoder, refused_by
from make_bridge.platform.observability.tracing.names import ALLOWED, OURS, known_method
from make_bridge.platform.observability.tracing.spans import Span, step
from make_bridge.platform.observability.tracing.tracer import TraceRules, Tracing

TRACE = "a" * 32


def conventions() -> set[str]:
    """Every name that the conventions know."""
    found: set[str] = set()
    for package in (stable, experimental):
        for module in pkgutil.iter_modules(package.__path__):
            names = vars(importlib.import_module(f"{package.__name__}.{module.name}"))
            found |= {value for value in names.values() if isinstance(value, str)}
    return found


def encoded(*spans: Span) -> ExportTraceServiceRequest:
    body = Encoder({"service.name": "make-bridge", "service.version": "1"}).encode(spans)
    request: ExportTraceServiceRequest = ExportTraceServiceRequest.FromString(body)
    return request


@pytest.fixture
def span() -> Span:
    kept: list[Span] = []
    with Tracing(TraceRules(share=1.0), kept.append).request(TRACE, []):
        pass
    return kept[0]


def test_each_name_is_of_the_conventions_or_of_ours() -> None:
    assert {name for name in ALLOWED if not name.startswith(OURS)} - conventions() == set()


@pytest.mark.parametrize(
    ("given", "known"), [("GET", "GET"), ("get", "_OTHER"), ("PROPFIND", "_OTHER"), ("", "_OTHER")]
)
def test_a_method_that_nobody_knows_is_no_name(given: str, known: str) -> None:
    assert known_method(given) == known


def test_a_span_leaves_with_its_place_its_times_and_what_was_said(span: Span) -> None:
    span.set("http.request.method", "POST")
    span.set("http.response.status_code", 200)
    span.set("http.route", None)
    span.fail("500")
    request = encoded(span)
    [resource] = request.resource_spans
    assert {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"] == "make-bridge"
    [message] = resource.scope_spans[0].spans
    assert (message.trace_id.hex(), message.span_id.hex(), message.parent_span_id) == (TRACE, span.span_id, b"")
    assert 0 < message.start_time_unix_nano <= message.end_time_unix_nano
    assert {one.key: one.value.WhichOneof("value") for one in message.attributes} == {
        "http.request.method": "string_value",
        "http.response.status_code": "int_value",
        "error.type": "string_value",
    }
    assert message.status.code == message.status.STATUS_CODE_ERROR
    assert message.status.message == ""


def test_what_is_not_on_the_list_stays_here(span: Span) -> None:
    span.attributes["url.full"] = "https://shop.example.com/?token=hunter2"  # type: ignore[index]
    [message] = encoded(span).resource_spans[0].scope_spans[0].spans
    assert (list(message.attributes), message.dropped_attributes_count) == ([], 1)
    assert b"hunter2" not in message.SerializeToString()


@pytest.mark.attack("H09")
@pytest.mark.parametrize(
    "text",
    [
        "Bearer eyJhbGciOiJIUzI1NiJ9.hunter2.hunter2",
        "https://user:hunter2@shop.example.com/",
        "/orders?token=hunter2",
        "password=hunter2",
    ],
)
def test_a_text_that_looks_like_a_credential_is_cut_out_of_names_and_values(span: Span, text: str) -> None:
    span.rename(text)
    span.set("server.address", text)
    span.fail(text)
    assert b"hunter2" not in encoded(span).SerializeToString()


def test_a_text_is_bounded_and_made_of_what_can_be_encoded(span: Span) -> None:
    span.set("server.address", "\ud800\n\x1b[31m" + "x" * 100_000)
    [message] = encoded(span).resource_spans[0].scope_spans[0].spans
    [attribute] = message.attributes
    shown = attribute.value.string_value
    assert len(shown) < 2 * LONGEST_TEXT
    assert shown.isprintable()


def test_an_answer_is_read_as_the_protocol_has_it() -> None:
    assert (refused_by(b""), refused_by(b"\xff\xff\xff<html>")) == (0, None)


def test_nothing_of_opentelemetry_is_loaded_by_who_only_begins_spans() -> None:
    assert step.__module__ == "make_bridge.platform.observability.tracing.spans"
