"""What people do with events that a consumer could not take: have one tried again.

Asking is all a command can do: the consumer's work is that of a process that serves, which looks every two seconds. A
replayed event comes after events that happened later; consumers take each event by itself, so that is no harm.
"""

import re
from typing import Any, Final

from make_bridge.domain.activity import store
from make_bridge.domain.activity.messages import ParkedEvent, ReplayParkedEvent
from make_bridge.domain.activity.store import ParkedOfShard
from make_bridge.domain.activity.views import parked_event_of, require_whole_organization
from make_bridge.kernel.errors import NotFound
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.sharding.scatter import scatter

_ID: Final = re.compile(r"[0-9a-f]{32}")


async def replay_parked_event(work: UnitOfWork, command: ReplayParkedEvent) -> str:
    """Ask for it; raises NotFound. Asked for twice before it is tried, it is tried once."""
    require_whole_organization(work.context)
    organization_id, parked_id = work.context.organization_id, command.parked_id
    if not is_parked_id(parked_id) or not await store.ask_for(work.tx, organization_id, parked_id):
        raise NotFound("There is no such parked event: it was taken meanwhile, or is older than 30 days.")
    work.touch(f"parked_event/{parked_id}")
    return parked_id


def is_parked_id(text: str) -> bool:
    """Say whether this could be the id of a parked event."""
    return _ID.fullmatch(text) is not None


async def parked_everywhere(shards: Shards, wanted: ParkedOfShard) -> list[ParkedEvent]:
    """Return what is parked over all organizations of the installation, the newest first: for its operator only."""

    async def parked_on(shard: Shard) -> list[ParkedEvent]:
        async with shard.engine_statement() as tx:
            return [parked_event_of(row) for row in await store.list_parked_everywhere(tx, wanted)]

    scattered = await scatter(shards.all(), parked_on)
    found = [parked for of_shard in scattered.answers.values() for parked in of_shard]
    return sorted(found, key=lambda parked: parked.parked_at, reverse=True)[: wanted.limit]


def commands() -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    return [
        CommandRegistration(
            command=ReplayParkedEvent,
            handler=replay_parked_event,
            result=str,
            permission="events:replay",
            action="parked_event.replay",
        )
    ]
