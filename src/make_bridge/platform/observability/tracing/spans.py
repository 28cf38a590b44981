"""Spans, and what the rest of the program calls: the span of here and now, and a further one below it.

The current span is a context variable, so it follows tasks as the request id of the logs does. Whoever has something
to measure says ``with step("…", kind="client") as span``; where no trace is being kept that is one look at the
variable, and what is set on the span it gives goes nowhere. A span is a small record of our own: the objects of a
library cost sixty times as much where requests are served (docs/decisions/0020-tracing.md).
"""

import asyncio
import time
from contextlib import suppress
from contextvars import Context, ContextVar, Token, copy_context
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

from make_bridge.kernel.clock import wall_ns
from make_bridge.kernel.entropy import random_hex
from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.observability.tracing.context import TraceContext, read_written
from make_bridge.platform.observability.tracing.names import Attribute, Kind, Name

_SPAN_BYTES: Final = 8
_T = TypeVar("_T")


class Keeping(Protocol):
    """What decides which traces are kept, and takes their spans."""

    most_spans: int

    def keeps(self, trace_id: str, organization_id: int | None) -> bool:
        """Say whether a trace that begins here is kept; without an organization, by the share of all."""
        ...

    def take(self, span: "Span") -> None:
        """Take a span that has ended; must not wait."""
        ...

    def cut(self) -> None:
        """Count a span that its trace has no room for."""
        ...


class Trace:
    """What the spans of one trace share in one place of one process. Undecided, they wait for the decision here."""

    __slots__ = ("_anchor", "_keeping", "_left", "_waiting", "is_kept", "remote", "root", "state", "trace_id")

    def __init__(self, keeping: Keeping, trace_id: str, *, remote: TraceContext | None = None) -> None:
        """With ``remote``, it goes on from a span elsewhere, and is kept if that is; else nobody has decided yet."""
        self.trace_id = trace_id
        self.remote = remote
        self.root: Span | None = None
        self.state = "" if remote is None else remote.state
        self.is_kept = None if remote is None else remote.is_sampled
        self._keeping = keeping
        self._left = keeping.most_spans
        self._waiting: list[Span] = []
        # Starts and ends of one trace are measured by the clock that never runs backwards.
        self._anchor = wall_ns() - time.perf_counter_ns()

    def now(self) -> int:
        """Return the time in nanoseconds since 1970."""
        return self._anchor + time.perf_counter_ns()

    def has_room(self) -> bool:
        """Take the place of one more span, or count that there is none."""
        if self._left > 0:
            self._left -= 1
            return True
        self._keeping.cut()
        return False

    def decide(self, organization_id: int | None) -> bool:
        """Decide once whether the trace is kept; what was decided before, here or elsewhere, stands."""
        if self.is_kept is None:
            self._settle(is_kept=self._keeping.keeps(self.trace_id, organization_id))
        return bool(self.is_kept)

    def adopt(self, context: TraceContext | None) -> None:
        """Go on from a span elsewhere, whose word was proven meanwhile; None is that it keeps no trace."""
        if self.is_kept is not None:
            return
        if context is not None:
            self.trace_id, self.remote, self.state = context.trace_id, context, context.state
            if self.root is not None:
                self.root.parent_id = context.span_id
        self._settle(is_kept=context is not None and context.is_sampled)

    def end(self, span: "Span") -> None:
        """Take a span that has ended."""
        if self.is_kept is None:
            self._waiting.append(span)
        elif self.is_kept:
            self._keeping.take(span)

    def _settle(self, *, is_kept: bool) -> None:
        self.is_kept = is_kept
        waiting, self._waiting = self._waiting, []
        if is_kept:
            for span in waiting:
                self._keeping.take(span)


class Span:
    """One piece of work, from ``with`` to the end of its block, during which it is the current one."""

    __slots__ = (
        *("_token", "attributes", "ended_at", "failure", "is_root", "kind", "link", "name", "parent_id"),
        *("span_id", "started_at", "trace"),
    )

    def __init__(self, trace: Trace, name: str, kind: Kind, parent_id: str, *, is_root: bool = False) -> None:
        """Begin now; ``parent_id`` is empty for the first span of a trace."""
        self.trace = trace
        self.name = name
        self.kind: Kind = kind
        self.parent_id = parent_id
        self.is_root = is_root
        if is_root:
            trace.root = self
        self.span_id = random_hex(_SPAN_BYTES)
        self.attributes: dict[Name, Attribute] = {}
        self.failure: str | None = None
        self.link: TraceContext | None = None
        self.started_at = trace.now()
        self.ended_at = 0
        self._token: Token[Span | None] | None = None

    @property
    def is_recording(self) -> bool:
        """Whether anybody will see this."""
        return self.trace.is_kept is not False

    def rename(self, name: str) -> None:
        """Give it the name that is known by now: never one with an id, an address or anything a caller said."""
        self.name = name

    def began_at(self, since_ns: int) -> None:
        """Say that it began before somebody measured it, in nanoseconds since 1970."""
        # Another machine's clock may be ahead.
        self.started_at = min(since_ns, self.started_at)

    def set(self, name: Name, value: Attribute | None) -> None:
        """Say something about the work; None says nothing."""
        if value is not None:
            self.attributes[name] = value

    def fail(self, why: str) -> None:
        """Say that the work failed, by a word of ours or the name of an error's class: never by its text."""
        self.failure = why

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and self.failure is None:
            self.failure = failure_of(error)
        # Work that is thrown away with its loop ends elsewhere, where this span was never the current one.
        with suppress(ValueError):
            if self._token is not None:
                _current.reset(self._token)
        self.ended_at = self.trace.now()
        if self.is_root:
            self.trace.decide(None)
        self.trace.end(self)


class NoSpan:
    """Stands where no trace is kept."""

    __slots__ = ()
    is_recording: Final = False

    def rename(self, name: str) -> None:
        """Name nothing."""

    def began_at(self, since_ns: int) -> None:
        """Begin nothing."""

    def set(self, name: Name, value: Attribute | None) -> None:
        """Say nothing."""

    def fail(self, why: str) -> None:
        """Say nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End nothing."""


class Outside:
    """Keeps what is done inside from the trace around it: work of another trace, or of none."""

    __slots__ = ("_token",)
    is_recording: Final = False

    def __enter__(self) -> NoSpan:
        self._token = _current.set(None)
        return NOTHING

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _current.reset(self._token)


AnySpan = Span | NoSpan
NOTHING: Final = NoSpan()
_current: ContextVar[Span | None] = ContextVar("span", default=None)


def current() -> Span | None:
    """Return the span of here and now; None where no trace is kept."""
    return _current.get()


def step(name: str, kind: Kind = "internal") -> AnySpan:
    """Begin a span below the current one, in a ``with``."""
    parent = _current.get()
    if parent is None or parent.trace.is_kept is False or not parent.trace.has_room():
        return NOTHING
    return Span(parent.trace, name, kind, parent.span_id)


def here() -> TraceContext | None:
    """Return the context of the current span, for whoever goes on with the trace; None where none is kept."""
    span = _current.get()
    if span is None or not span.trace.decide(None):
        return None
    return TraceContext(span.trace.trace_id, span.span_id, is_sampled=True, state=span.trace.state)


def carried() -> str | None:
    """Return the same in one line, to be stored with what is done later or handed to a process of ours."""
    context = here()
    return None if context is None else context.written


def trace_id_of(written: str | None) -> str | None:
    """Return the id of the trace that something stored belongs to."""
    context = read_written(written)
    return None if context is None else context.trace_id


def of_organization(organization_id: int) -> None:
    """Say whose request this is, as soon as that is known: how many of its traces are kept may be its own."""
    span = _current.get()
    if span is not None:
        span.trace.decide(organization_id)
        span.attributes.setdefault("make_bridge.organization.id", organization_id)


def adopt(written: str) -> None:
    """Go on with the trace that a process of ours has handed over and proven; empty is that it keeps none."""
    span = _current.get()
    if span is not None:
        span.trace.adopt(read_written(written))


def apart() -> Context | None:
    """Return the context for a task of its own: this one without the span. None is that there is none to leave out."""
    if _current.get() is None:
        return None
    context = copy_context()
    context.run(_current.set, None)
    return context


def start_apart(work: "asyncio._CoroutineLike[_T]", *, name: str | None = None) -> asyncio.Task[_T]:
    """Begin a task that works for others too, or goes on in a trace of its own."""
    return asyncio.create_task(work, name=name, context=apart())


def failure_of(error: BaseException) -> str:
    """Return the word for an error: the code of ours, the class of any other; texts may hold anything."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return error.code if isinstance(error, BridgeError) else type(error).__name__
