"""The unit of work: what one command may touch, and what is written with it.

Rows, events and the audit record of a command commit together or not at all. A handler writes
through ``tx``, announces facts with ``emit``, names the object it touched with ``touch`` and shows it with ``change``.
What a process remembers of it is forgotten ``afterwards``: before the commit others would read the old once more.
"""

from collections.abc import Callable, Collection, Mapping

import msgspec

from make_bridge.kernel.context import Context
from make_bridge.kernel.messages import Event, Home
from make_bridge.platform.audit import record
from make_bridge.platform.audit.record import AuditRecord
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.observability.tracing.spans import carried, step

_INSERT_EVENT = """
INSERT INTO shard.outbox (organization_id, type, subject, payload, trace, trace_context)
VALUES (%s, %s, %s, %s, %s, %s)
"""


class UnitOfWork:
    """One command's transaction with the facts to be written beside its rows."""

    __slots__ = ("_after", "_before", "_detail", "_endings", "_events", "_object", "context", "tx")

    def __init__(self, tx: WriteTx, context: Context) -> None:
        """Begin with nothing to announce."""
        self.tx = tx
        self.context = context
        self._events: list[tuple[str, Event]] = []
        self._object = ""
        self._detail: Mapping[str, object] = {}
        self._before: object = None
        self._after: object = None
        self._endings: list[Callable[[], None]] = []

    @property
    def events(self) -> list[Event]:
        """Return what was announced so far."""
        return [event for _, event in self._events]

    def emit(self, event: Event, *, subject: str) -> None:
        """Announce a fact about ``subject`` (for example ``scenario/1024``)."""
        self._events.append((subject, event))

    def afterwards(self, forget: Callable[[], None]) -> None:
        """Have this called once the work is committed."""
        self._endings.append(forget)

    def end(self) -> None:
        """Call what was to be called after the commit."""
        for forget in self._endings:
            forget()

    def touch(self, subject: str, **detail: object) -> None:
        """Name the object for the audit record; ``detail`` holds no secrets."""
        self._object = subject
        self._detail = detail

    def change(self, *, before: object = None, after: object = None) -> None:
        """Show the object as it was and as it is; the audit record takes the fields that the command declares."""
        self._before, self._after = before, after

    async def write_events(self, tx: WriteTx) -> None:
        """Write the events; of acts on the directory in a transaction of the shard's own, after their commit."""
        context = self.context
        for subject, event in self._events:
            payload = msgspec.json.encode(event)
            with step(f"send {event.wire_name}", "producer") as span:
                span.set("messaging.system", "make_bridge")
                span.set("messaging.operation.type", "send")
                span.set("messaging.destination.name", event.wire_name)
                row = (context.organization_id, event.wire_name, subject, payload, context.request_id, carried())
                await tx.execute(_INSERT_EVENT, row)

    async def write_record(self, home: Home, action: str, fields: Collection[str] = ()) -> None:
        """Write the audit row, and events where they have a table; called by the bus just before the commit."""
        if home == "shard":
            await self.write_events(self.tx)
        act = AuditRecord(
            context=self.context,
            action=action,
            object=self._object,
            detail=record.bounded(self._detail),
            before=record.declared(self._before, fields),
            after=record.declared(self._after, fields),
        )
        await record.insert(self.tx, home, act)
