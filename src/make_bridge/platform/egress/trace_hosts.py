"""Which hosts are told of our traces: none, unless the operator names them.

A trace's id joins what one customer's target and another's see of the same run, and says that there is tracing at all:
nobody's business but the operator's own. So the header goes out only to hosts that are named, at every hop of a call by
itself, and never takes the place of one that a scenario sends on purpose.
"""

from collections.abc import Iterable

from make_bridge.platform.observability.tracing.context import TRACEPARENT, TRACESTATE
from make_bridge.platform.observability.tracing.spans import here

_ANY = "*."


class TraceHosts:
    """The named hosts: ``api.example.com`` is one, ``*.example.com`` all below it."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        """Take them as they are set."""
        lowered = [entry.lower() for entry in entries]
        self._hosts = frozenset(entry for entry in lowered if not entry.startswith(_ANY))
        self._suffixes = tuple(entry[1:] for entry in lowered if entry.startswith(_ANY))

    def headers_for(self, host: str) -> list[tuple[str, str]]:
        """Return what a call to a host says of the trace it belongs to."""
        if not self._hosts and not self._suffixes:
            return []
        name = host.lower()
        if name not in self._hosts and not name.endswith(self._suffixes):
            return []
        context = here()
        if context is None:
            return []
        return [(TRACEPARENT, context.parent), *([(TRACESTATE, context.state)] if context.state else [])]
