"""The command bus: permission, unit of work, idempotency, audit and outbox around every handler.

Registration is an explicit list; a second handler for one command fails at start, not at the first
request. A command that carries an ``Idempotency-Key`` is answered from the stored answer when the
same request comes again, and refused with 409 when another body comes under the same key; the key's
row is written in the command's own transaction, so two at once wait for each other. Stored answers
are sealed, because some hold a secret that is shown once.

Commands whose home is the directory write rows and audit there. No transaction crosses to the shard, so their events
follow in one of their own: a process that dies in between leaves the act audited and not told. They are not answered
from stored answers.

What is refused for want of a permission changes nothing and leaves a row in the audit.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import msgspec
import structlog

from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import (
    ConfigurationError,
    Conflict,
    NotFound,
    OrganizationMoved,
    PermissionDenied,
    Unavailable,
)
from make_bridge.kernel.messages import Command, Event, Home
from make_bridge.platform.audit.refusals import Refusals
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.security.sealing import Sealing

_log = structlog.get_logger(__name__)

C = TypeVar("C", bound=Command[Any])
R = TypeVar("R")
Listener = Callable[[Context, Sequence[Event]], None]

_CLAIM_KEY = """
INSERT INTO shard.idempotency (organization_id, key, body_digest, answer) VALUES (%s, %s, %s, '')
ON CONFLICT DO NOTHING
"""
_READ_KEY = "SELECT body_digest, answer FROM shard.idempotency WHERE organization_id = %s AND key = %s"
_STORE_ANSWER = "UPDATE shard.idempotency SET answer = %s WHERE organization_id = %s AND key = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRegistration(Generic[C, R]):
    """One command with its handler, the permission it needs and its name in the audit.

    ``audited`` are the fields of the changed object that the audit shows before and after; none of them is a secret.
    """

    command: type[C]
    handler: Callable[[UnitOfWork, C], Awaitable[R]]
    result: Any
    permission: str
    action: str
    home: Home = "shard"
    audited: frozenset[str] = frozenset()


class CommandBus:
    """Finds the handler of a command and runs it inside its unit of work."""

    def __init__(
        self,
        registrations: Iterable[CommandRegistration[Any, Any]],
        shards: Shards,
        sealing: Sealing,
        listeners: Sequence[Listener] = (),
    ) -> None:
        """Refuse two handlers for one command. ``listeners`` hear committed events of this process, as a hint."""
        self._shards = shards
        self._sealing = sealing
        self._listeners = listeners
        self._refusals = Refusals(shards)
        self._handlers: dict[type, CommandRegistration[Any, Any]] = {}
        for registration in registrations:
            if registration.command in self._handlers:
                message = f"{registration.command.__name__} has two handlers."
                raise ConfigurationError(message)
            self._handlers[registration.command] = registration

    @property
    def registrations(self) -> list[CommandRegistration[Any, Any]]:
        """Return every registration; documentation and tests read them."""
        return list(self._handlers.values())

    async def execute(self, context: Context, command: Command[R]) -> R:
        """Run a command; raises PermissionDenied, Conflict and whatever its handler raises."""
        registration = self._handlers.get(type(command))
        if registration is None:
            message = f"{type(command).__name__} has no handler."
            raise ConfigurationError(message)
        try:
            return cast("R", await self._execute(context, registration, command))
        except PermissionDenied as error:
            await self._refusals.note(context, registration.action, error)
            raise

    async def _execute(
        self, context: Context, registration: CommandRegistration[Any, Any], command: Command[Any]
    ) -> object:
        if not context.allows(registration.permission):
            message = f"These credentials lack the permission '{registration.permission}'."
            raise PermissionDenied(message)
        shard = None
        if registration.home == "directory":
            async with self._shards.directory.write() as tx:
                work = UnitOfWork(tx, context)
                result = await _perform(work, registration, command)
            work.end()
            await self._tell(work)
        else:

            async def write(there: Shard) -> tuple[Shard, UnitOfWork, object]:
                async with there.write(context.organization_id) as tx:
                    begun = UnitOfWork(tx, context)
                    once = context.idempotency_key is not None
                    return there, begun, await (self._perform_once if once else _perform)(begun, registration, command)

            try:
                shard, work, result = await write(await self._shards.of(context.organization_id))
            except OrganizationMoved:
                shard, work, result = await self._shards.elsewhere(context.organization_id, write)
            work.end()
        for listener in self._listeners:
            listener(context, work.events)
        if shard is not None:
            await shard.replicas.hold()
        return result

    async def _tell(self, work: UnitOfWork) -> None:
        """Write the events of an act on the directory; the act stands whether or not this succeeds."""
        if not work.events:
            return
        organization_id = work.context.organization_id
        try:

            async def write(shard: Shard) -> None:
                async with shard.write(organization_id) as tx:
                    await work.write_events(tx)

            try:
                await write(await self._shards.of(organization_id))
            except OrganizationMoved:
                await self._shards.elsewhere(organization_id, write)
        except (Unavailable, NotFound):
            _log.warning("events_untold", organization_id=organization_id, events=len(work.events))

    async def _perform_once(
        self, work: UnitOfWork, registration: CommandRegistration[Any, Any], command: Command[Any]
    ) -> object:
        context = work.context
        key = f"{context.actor.kind.value}/{context.actor.reference}/{context.idempotency_key}"
        purpose = ("idempotency", 0, key)
        digest = context.body_digest or b""
        if not await work.tx.execute(_CLAIM_KEY, (context.organization_id, key, digest)):
            row = await work.tx.one(_READ_KEY, (context.organization_id, key))
            if row is None or bytes(row["body_digest"]) != digest:
                message = "This Idempotency-Key was used before for another request: use a new key."
                raise Conflict(message, code="idempotency_key_reused")
            opened = await self._sealing.open(context.organization_id, purpose, bytes(row["answer"]).decode())
            stored: object = msgspec.json.decode(opened, type=registration.result)
            return stored
        result = await _perform(work, registration, command)
        sealed = await self._sealing.seal(context.organization_id, purpose, msgspec.json.encode(result))
        await work.tx.execute(_STORE_ANSWER, (sealed.encode(), context.organization_id, key))
        return result


async def _perform(work: UnitOfWork, registration: CommandRegistration[Any, Any], command: Command[Any]) -> object:
    result: object = await registration.handler(work, command)
    await work.write_record(registration.home, registration.action, registration.audited)
    return result
