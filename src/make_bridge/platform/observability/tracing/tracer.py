"""Where traces begin or go on, and which of them are kept.

Whether a trace is kept is decided once, where it begins, by its own id: the same number against the share of all, or
of the organization's own. So every process that asks decides alike, and what is stored for later is the decision, not
the question. A request begins undecided, because nobody knows yet whose it is; one whose number is above every share
is nobody's, and costs a comparison.

What a stranger says of a trace is not believed: at the public edge a foreign trace is linked to, and neither its id nor
its wish to be kept is taken over, unless ``trusts_incoming`` is set. Between our own processes the signed inner context
carries it (``spans.adopt``).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from make_bridge.platform.observability.tracing.context import (
    TRACEPARENT,
    TRACESTATE,
    TraceContext,
    read_context,
    read_written,
)
from make_bridge.platform.observability.tracing.names import Kind
from make_bridge.platform.observability.tracing.spans import NOTHING, AnySpan, Outside, Span, Trace, current

# The half of a trace's id that is chance: W3C asks for it, and ids of executions begin with the time.
_CHANCE_FROM: Final = 16
_WHOLE: Final = 1 << 64
_PARENT: Final = TRACEPARENT.encode()
_STATE: Final = TRACESTATE.encode()
Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRules:
    """Which traces are kept: shares from 0 to 1, of all and of single organizations; and how large one may be."""

    share: float = 0.1
    shares: Mapping[int, float] = field(default_factory=dict)
    trusts_incoming: bool = False
    most_spans: int = 500


class Tracing:
    """See the module; without rules it is off, and begins nothing."""

    __slots__ = ("_bound", "_bounds", "_cut", "_highest", "_sink", "_trusts", "is_on", "most_spans")

    def __init__(
        self,
        rules: TraceRules | None = None,
        sink: Callable[[Span], None] = lambda _span: None,
        cut: Callable[[], None] = lambda: None,
    ) -> None:
        """``sink`` takes spans that have ended, ``cut`` counts those that their trace has no room for."""
        self.is_on = rules is not None
        rules = rules or TraceRules(share=0.0)
        self._sink = sink
        self._cut = cut
        self._bound = int(rules.share * _WHOLE)
        self._bounds = {organization: int(share * _WHOLE) for organization, share in rules.shares.items()}
        self._highest = max(self._bound, *self._bounds.values(), 0)
        self._trusts = rules.trusts_incoming
        self.most_spans = rules.most_spans

    # What traces ask.

    def keeps(self, trace_id: str, organization_id: int | None) -> bool:
        """Say whether a trace is kept."""
        bound = self._bound if organization_id is None else self._bounds.get(organization_id, self._bound)
        return _chance_of(trace_id) < bound

    def take(self, span: Span) -> None:
        """Take a span that has ended."""
        self._sink(span)

    def cut(self) -> None:
        """Count a span that its trace has no room for."""
        self._cut()

    # Where traces begin.

    def request(self, request_id: str, headers: Headers, *, is_inner: bool = False) -> AnySpan:
        """Begin the span of a request, whose id is the trace's too; ``is_inner`` between processes of ours.

        The caller names it, once it knows the route. An inner request belongs to a trace that its context names.
        """
        if not self.is_on:
            return NOTHING
        if is_inner:
            return self._begin(Trace(self, request_id), "HTTP", "server")
        if self._trusts and (given := _incoming(headers)) is not None:
            trace = Trace(self, given.trace_id, remote=given)
            return self._begin(trace, "HTTP", "server") if given.is_sampled else NOTHING
        if _chance_of(request_id) >= self._highest:
            return NOTHING
        span = self._begin(Trace(self, request_id), "HTTP", "server")
        span.link = None if self._trusts else _incoming(headers)
        return span

    def root(self, trace_id: str, name: str, kind: Kind, organization_id: int) -> AnySpan:
        """Begin a trace that no request caused, for an organization."""
        if not self.is_on or not self.keeps(trace_id, organization_id):
            return NOTHING
        span = self._begin(Trace(self, trace_id), name, kind)
        span.trace.decide(organization_id)
        return span

    def going_on(self, written: str | None, name: str, kind: Kind) -> "AnySpan | Outside":
        """Go on with what ``spans.carried`` gave; where that is nothing, the block belongs to no trace."""
        context = read_written(written) if self.is_on else None
        if context is None or not context.is_sampled:
            return NOTHING if current() is None else Outside()
        return self._begin(Trace(self, context.trace_id, remote=context), name, kind)

    def _begin(self, trace: Trace, name: str, kind: Kind) -> Span:
        trace.has_room()
        return Span(trace, name, kind, "" if trace.remote is None else trace.remote.span_id, is_root=True)


def _chance_of(trace_id: str) -> int:
    return int(trace_id[_CHANCE_FROM:], 16)


def _incoming(headers: Headers) -> TraceContext | None:
    """Return the context that a request brings; two parents are none."""
    parents = [value for name, value in headers if name == _PARENT]
    if len(parents) != 1:
        return None
    states = b",".join(value for name, value in headers if name == _STATE)
    return read_context(parents[0].decode("latin-1"), states.decode("latin-1"))
