"""``make-bridge events``: what consumers could not take, over all organizations, and trying it again.

Works beside a server that runs: the server's consumers do the work, within seconds.
"""

from typing import Annotated

import typer

from make_bridge.cli.operations import domain, operator
from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.output import as_json, as_table, command, say
from make_bridge.domain.activity.handlers import is_parked_id, parked_everywhere
from make_bridge.domain.activity.messages import ParkedEvent, ReplayParkedEvent
from make_bridge.domain.activity.store import ParkedOfShard
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import OrganizationId

OfOrganization = Annotated[int | None, typer.Option("--organization", help="Only of this organization.")]
OfConsumer = Annotated[str | None, typer.Option("--consumer", help="Only what this consumer could not take.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")]


@command
async def list_parked_events(
    *,
    organization: OfOrganization = None,
    consumer: OfConsumer = None,
    limit: Limit = 100,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """List events that a consumer could not take, of all organizations, the newest first."""
    wanted = _wanted(organization, consumer, limit)
    async with domain(data_dir, config) as opened:
        found = await parked_everywhere(opened.shards, wanted)
    if as_json_:
        as_json([_row(parked) for parked in found])
        return
    rows = [
        (p.id, p.organization_id, p.consumer, p.event["type"], "waits" if p.replay_at else p.replays, p.error)
        for p in found
    ]
    as_table(("id", "organization", "consumer", "type", "replays", "error"), rows)


@command
async def replay_parked_events(
    ids: Annotated[list[str] | None, typer.Argument(help="Their ids; without any, --all.")] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="All that are chosen, up to the limit.")] = False,
    organization: OfOrganization = None,
    consumer: OfConsumer = None,
    limit: Limit = 100,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Have a server that runs try parked events again."""
    if bool(ids) == all_:
        raise InvalidInput("Name parked events by their ids, or give --all with what narrows it.")
    wanted = _wanted(organization, consumer, limit, ids)
    async with domain(data_dir, config) as opened:
        found = await parked_everywhere(opened.shards, wanted)
        if ids and len(found) < len(set(ids)):
            raise NotFound("Not all of these are parked events: nothing was asked for.")
        for parked in found:
            await opened.commands.execute(operator(parked.organization_id), ReplayParkedEvent(parked_id=parked.id))
    if as_json_:
        as_json([parked.id for parked in found])
        return
    say(f"{len(found)} asked for: a server that runs tries them within seconds.")


def _wanted(organization: int | None, consumer: str | None, limit: int, ids: list[str] | None = None) -> ParkedOfShard:
    for parked_id in ids or ():
        if not is_parked_id(parked_id):
            message = f"{parked_id!r} is no id of a parked event: it has 32 hexadecimal characters."
            raise InvalidInput(message)
    return ParkedOfShard(
        organization=None if organization is None else OrganizationId(organization),
        consumer=consumer,
        ids=tuple(ids) if ids else None,
        limit=len(ids) if ids else limit,
    )


def _row(parked: ParkedEvent) -> dict[str, object]:
    return {
        "id": parked.id,
        "organizationId": parked.organization_id,
        "consumer": parked.consumer,
        "event": parked.event,
        "error": parked.error,
        "replays": parked.replays,
        "waits": parked.replay_at is not None,
        "parkedAt": parked.parked_at.isoformat(),
    }
