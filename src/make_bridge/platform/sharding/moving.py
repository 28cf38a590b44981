"""Moving one organization to another shard while it works: the state machine, resumable from any of its states.

Run by ``make-bridge shards move``, which has the owners' addresses of both databases. A row in the directory says how
far a move came; a runner holds it by a lease under a number that rises, which both shards know too, so that of two
runners one goes on and the other changes nothing. Decision 0014 tells why it is done so; ``moving_model`` names the
states, ``moving_flip`` is the moment in which the organization changes hands.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row

from make_bridge.kernel.errors import InvalidInput, Unavailable
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.sharding import moving_copy, moving_guard, moving_store, moving_tables
from make_bridge.platform.sharding.moving_flip import LastMoment, NotNow, quiet, told_to_all
from make_bridge.platform.sharding.moving_model import Move, MoveFailed, MoveTaken, MovingConfig
from make_bridge.platform.sharding.moving_tables import MovingTable

Tell = Callable[[Move, str], None]

_FEW: Final = 50
_CATCH_UP_ROUNDS: Final = 10_000
_FIRST_PAUSE: Final = 0.2
_MOST_RECOPIES: Final = 3
_MOST_DEADLOCKS: Final = 5
_OPTIONS: Final = (
    "-c timezone=UTC -c row_security=off -c statement_timeout=0 -c idle_in_transaction_session_timeout=60s"
)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Two:
    """Both databases of a move, as their owners."""

    source: AsyncConnection[DictRow]
    still: AsyncConnection[DictRow]
    target: AsyncConnection[DictRow]
    tables: list[MovingTable]


class Mover:
    """Moves organizations. ``owners`` are the addresses of the shards' owners by number; ``tell`` hears of progress."""

    def __init__(
        self, directory: Directory, owners: Mapping[int, str], config: MovingConfig, tell: Tell | None = None
    ) -> None:
        """Begin with nothing open."""
        self._directory = directory
        self._owners = owners
        self._config = config
        self._tell = tell or (lambda _move, _words: None)
        # Of several that move side by side one is closed at a time, and no table gets its guard meanwhile: each would
        # wait for locks of the other for longer than an organization may be closed.
        self._turn = asyncio.Lock()

    async def move(self, organization_id: OrganizationId, target: int) -> Move | None:
        """Move an organization, or finish a move that broke off; None where it lives there already.

        Raises MoveTaken while another process moves it, MoveFailed with the reason, Unavailable.
        """
        await moving_store.placed(self._directory, organization_id)
        self._owner_of(target)
        begun = await moving_store.begin(self._directory, organization_id, target)
        if begun is None:
            return None
        if begun.target != target:
            message = f"Organization {organization_id} is on its way to shard {begun.target}: finish that first."
            raise InvalidInput(message)
        return await self.resume(begun)

    def _owner_of(self, number: int) -> str:
        owner = self._owners.get(number)
        if owner is None:
            message = f"Nothing says how its owner reaches shard {number}: name it in SHARD_URLS or with --owner-file."
            raise InvalidInput(message)
        return owner

    async def resume(self, begun: Move) -> Move:
        """Go on with a move from the state it is in."""
        return await self._in_charge(begun, self._through)

    async def abandon(self, organization_id: OrganizationId) -> Move:
        """Give up a move whose organization has not left yet: it stays, and the target keeps nothing of it.

        Raises InvalidInput where nothing moves or it has left, MoveTaken while another process moves it, Unavailable.
        """
        await moving_store.placed(self._directory, organization_id)
        begun = await moving_store.of(self._directory, organization_id)
        if begun is None:
            message = f"Organization {organization_id} does not move: there is nothing to give up."
            raise InvalidInput(message)
        return await self._in_charge(begun, self._undo)

    async def _in_charge(self, begun: Move, work: Callable[[Move], Coroutine[None, None, Move]]) -> Move:
        """Take a move over, and work on it for as long as nobody else does."""
        move = await moving_store.take(self._directory, begun, self._config.owner, self._config.lease)
        try:
            return await self._under_lease(move, work)
        except psycopg.OperationalError as error:
            message = f"A database of the move did not answer: {error}. Repeat the command to go on."
            raise Unavailable(message) from error
        finally:
            with suppress(Unavailable):
                await asyncio.shield(moving_store.leave(self._directory, move))

    async def _under_lease(self, move: Move, work: Callable[[Move], Coroutine[None, None, Move]]) -> Move:
        """Go on while the lease is kept; whoever loses it stops."""
        working = asyncio.create_task(work(move), name=f"move {move.organization_id}")
        beats = asyncio.create_task(self._keep(move), name=f"lease of move {move.id}")
        try:
            await asyncio.wait({working, beats}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                beats.result()
            return await working
        finally:
            for task in (working, beats):
                task.cancel()
            await asyncio.gather(working, beats, return_exceptions=True)

    async def _keep(self, move: Move) -> None:
        while True:
            await asyncio.sleep(self._config.lease / 4)
            with suppress(Unavailable):
                await moving_store.beat(self._directory, move, self._config.lease)

    async def _through(self, move: Move) -> Move:
        async with self._both(move) as two:
            await self._take_over(two, move)
            recopies = deadlocks = 0
            while move.state in {"copying", "verifying", "closing"}:
                try:
                    move = await self._step(two, move)
                except psycopg.errors.DeadlockDetected:
                    # Each step may be done again; whoever it was that waited for us is through by now.
                    deadlocks += 1
                    if deadlocks > _MOST_DEADLOCKS:
                        raise
                except MoveFailed as error:
                    recopies += 1
                    if error.reason != "move_differs" or recopies > _MOST_RECOPIES:
                        raise
                    _log.warning("move_differs", organization_id=move.organization_id, error=error.message)
                    move = await self._again(two, move)
            await self._leave_behind(two, move)
            return replace(move, state="finished")

    async def _undo(self, move: Move) -> Move:
        """Leave both shards as they were; whatever breaks it off, it can be repeated, or the move begun anew."""
        async with self._both(move) as two:
            await self._take_over(two, move)
            if move.state in {"flipped", "deleting"} or await moving_guard.state_of(two.source, move) == "left":
                message = "The organization has left its shard: repeat the move without --abort to finish it."
                raise InvalidInput(message)
            # From here on nothing that was copied counts: what changes is written down no more.
            move = await self._write(move, state="copying", copied=())
            await moving_guard.reopen(two.source, move)
            async with self._writing(two, move):
                await moving_copy.clear(two.target, two.tables, move.organization_id)
            for connection in (two.source, two.target):
                await moving_guard.forget(connection, move)
                await moving_guard.lay(connection, two.tables)
            await moving_copy.forget_changes(two.source, move.organization_id)
            await self._write(move, state="abandoned")
            return replace(move, state="abandoned")

    @asynccontextmanager
    async def _both(self, move: Move) -> AsyncIterator[_Two]:
        async with (
            await _owner(self._owner_of(move.source)) as source,
            await _owner(self._owner_of(move.source)) as still,
            await _owner(self._owner_of(move.target)) as target,
        ):
            versions = {await moving_tables.version_of(one) for one in (source, target)}
            if len(versions) > 1:
                message = "The two shards are at different versions: run make-bridge migrate first."
                raise MoveFailed(message)
            yield _Two(source=source, still=still, target=target, tables=await moving_tables.moving_tables(source))

    async def _take_over(self, two: _Two, move: Move) -> None:
        """Have both shards know this runner's number; from then on an earlier one changes nothing there."""
        if move.state in {"flipped", "deleting"}:
            return
        await moving_guard.enter(two.source, move, "leaving")
        if await moving_guard.state_of(two.source, move) == "left":
            if await moving_guard.state_of(two.target, move) is not None:
                await moving_guard.enter(two.target, move, "arriving")
            return
        await moving_guard.enter(two.target, move, "arriving")

    async def _step(self, two: _Two, move: Move) -> Move:
        self._tell(move, move.state)
        match move.state:
            case "copying":
                return await self._copy(two, move)
            case "verifying":
                return await self._verify(two, move)
            case _:
                return await self._close(two, move)

    async def _copy(self, two: _Two, move: Move) -> Move:
        for connection in (two.target, two.source):
            async with self._turn:
                await moving_guard.lay(connection, two.tables)
        await moving_copy.make_partitions(two.source, two.target)
        told = move.told if move.told is not None else await told_to_all(two.source)
        if not move.copied:
            async with self._writing(two, move):
                await moving_copy.clear(two.target, two.tables, move.organization_id)
        move = await self._write(move, told=told)
        for number, table in enumerate(two.tables, 1):
            if table.name in move.copied or not table.goes_ahead:
                continue
            async with self._writing(two, move):
                count = await moving_copy.copy_table(two.source, two.target, table, move)
            move = await self._write(move, copied=(*move.copied, table.name))
            self._tell(move, f"{number} of {len(two.tables)} tables: {table.name}, {count} rows")
        await self._catch_up(two, move)
        return await self._write(move, state="verifying")

    async def _catch_up(self, two: _Two, move: Move) -> None:
        """Follow what changed until little is left."""
        for _ in range(_CATCH_UP_ROUNDS):
            changed = await moving_copy.read_changes(two.source, move.organization_id, self._config.batch)
            if changed.ids:
                async with self._writing(two, move):
                    await moving_copy.apply(two.source, two.target, two.tables, changed, move)
                await moving_copy.forget_changes(two.source, move.organization_id, changed.ids)
            waiting = await moving_copy.count_changes(two.source, move.organization_id)
            self._tell(move, f"catching up: {waiting} changes left")
            if waiting < _FEW:
                return
        message = "The organization changes faster than the copy can follow: try again when it is quieter."
        raise MoveFailed(message)

    async def _verify(self, two: _Two, move: Move) -> Move:
        """Compare both sides as of one moment of the source, while it goes on."""
        async with two.source.transaction():
            await two.source.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            changed = await moving_copy.read_changes(two.source, move.organization_id, self._config.batch * 100)
            async with self._writing(two, move):
                await moving_copy.apply(two.source, two.target, two.tables, changed, move)
            here = await moving_copy.sums(two.source, two.tables, move)
        there = await moving_copy.sums(two.target, two.tables, move, at_target=True)
        await moving_copy.forget_changes(two.source, move.organization_id, changed.ids)
        if wrong := moving_copy.differing(here, there):
            message = f"The two sides differ in {', '.join(wrong)}."
            raise MoveFailed(message, code="move_differs")
        self._tell(move, f"verified: {sum(number for number, _ in here.values())} rows are alike on both sides")
        return await self._write(move, state="closing")

    async def _again(self, two: _Two, move: Move) -> Move:
        """Copy everything anew: some table was found to differ."""
        del two
        return await self._write(move, state="copying", copied=())

    async def _close(self, two: _Two, move: Move) -> Move:
        has_left = await moving_guard.state_of(two.source, move) == "left"
        if has_left and await moving_guard.state_of(two.target, move) is None:
            return await moving_store.flip(self._directory, move, 0)
        if not has_left:
            begun, _ = await moving_store.ages(self._directory, move)
            # Until then a process may remember where the organization was before the move began.
            await asyncio.sleep(max(0.0, self._config.settle - begun))
        moment = LastMoment(self._directory, two.source, two.still, two.target, two.tables, self._config)
        pause = _FIRST_PAUSE
        for attempt in range(self._config.tries):
            try:
                async with self._turn:
                    if not has_left:
                        await self._catch_up(two, move)
                    return await moment.flip(move, strictly=not has_left and attempt < self._config.tries // 2)
            except NotNow:
                self._tell(move, f"could not close it in time: try {attempt + 1} of {self._config.tries}")
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 2.0)
        message = "The organization could not be closed in the time there is; it takes writes where it was."
        raise MoveFailed(message)

    async def _leave_behind(self, two: _Two, move: Move) -> None:
        """Wait for the time of grace, then delete at the source; the guard there stays."""
        if move.state == "flipped":
            self._tell(move, "flipped")
            async with two.source.transaction():
                await quiet(two.source, move)
            async with self._turn:
                await moving_guard.lay(two.target, two.tables)
            _, flipped = await moving_store.ages(self._directory, move)
            await asyncio.sleep(max(0.0, self._config.grace - flipped))
            move = await self._write(move, state="deleting")
        self._tell(move, "deleting")
        for table in reversed(two.tables):
            gone = self._config.batch
            while gone:
                async with two.source.transaction():
                    await moving_guard.become_mover(two.source, move.organization_id)
                    gone = await moving_copy.delete_some(two.source, table, move.organization_id, self._config.batch)
        await moving_copy.forget_changes(two.source, move.organization_id)
        await self._write(move, state="finished")

    @asynccontextmanager
    async def _writing(self, two: _Two, move: Move) -> AsyncIterator[None]:
        """A transaction of the target that only the runner in charge can have."""
        async with two.target.transaction():
            await moving_guard.require_ours(two.target, move)
            await moving_guard.become_mover(two.target, move.organization_id)
            yield

    async def _write(
        self, move: Move, *, state: str | None = None, copied: tuple[str, ...] | None = None, told: int | None = None
    ) -> Move:
        return await moving_store.change(
            self._directory,
            move,
            state or move.state,  # type: ignore[arg-type]  # a state of the model
            copied=move.copied if copied is None else copied,
            told=move.told if told is None else told,
        )


async def _owner(dsn: str) -> AsyncConnection[DictRow]:
    return await AsyncConnection[DictRow].connect(
        make_conninfo(dsn, options=_OPTIONS, application_name="make-bridge moving", connect_timeout=10),
        autocommit=True,
        row_factory=dict_row,
    )


__all__ = ["MoveFailed", "MoveTaken", "Mover"]
