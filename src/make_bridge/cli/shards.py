"""``shards``: which there are and what each carries, adding one beside servers that run, weights, pins, removing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from make_bridge.cli.operations import domain
from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.output import as_json, as_table, busy, command, complain, say
from make_bridge.domain.organizations.overview import ListedOrganization, overview
from make_bridge.domain.organizations.shards import ShardService
from make_bridge.kernel.errors import Conflict, InvalidInput
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.sharding.load import load_of
from make_bridge.platform.sharding.ring import FULL_WEIGHT
from make_bridge.platform.sharding.scatter import scatter
from make_bridge.platform.sharding.watching import servers_with, servers_without
from make_bridge.wiring.domain import Domain

_MOST_FILE: Final = 8192
_WAIT_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.5
Number = Annotated[int, typer.Argument(help="The shard's number.")]
OrganizationArgument = Annotated[int, typer.Argument(help="The organization's id.")]


@command
async def list_shards(*, data_dir: DataDir = None, config: Config = None, as_json_: Json = False) -> None:
    """List shards with their state, weight, organizations and load; ends with 1 when one is away."""
    async with domain(data_dir, config) as opened:
        counts = await _service(opened).counts()
        loads = await scatter(opened.shards.all(), load_of)
        shard_map, away = opened.shards.map, opened.shards.away() | dict(loads.silent)
    shares, rows = shard_map.shares(), []
    for shard in shard_map.shards.values():
        load = loads.answers.get(shard.number)
        rows.append(
            {
                "number": shard.number,
                "name": shard.name,
                "state": shard.state,
                "weight": shard.weight,
                "organizations": counts.get(shard.number, 0),
                "share": round(shares.get(shard.number, 0.0), 4),
                "bytes": None if load is None else load.size,
                "queued": None if load is None else load.queued,
                "reachable": load is not None,
            }
        )
    if as_json_:
        as_json({"version": shard_map.version, "shards": rows})
    else:
        _show(rows)
    for number, reason in away.items():
        complain(f"Shard {number}: {reason}")
    if away:
        raise typer.Exit(1)


@command
async def add_shard(
    number: Number,
    *,
    url_file: Annotated[
        Path, typer.Option("--url-file", help="A file with the address of an empty database, as its owner reaches it.")
    ],
    weight: Annotated[int, typer.Option("--weight", help="How much it takes: 100 is usual.")] = FULL_WEIGHT,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Make an empty database a shard, beside servers that run; repeat it when it breaks off."""
    url = await asyncio.to_thread(read_address, url_file)
    async with domain(data_dir, config) as opened:
        service = _service(opened)
        with busy(f"migrating the database of shard {number}") as tell:
            await service.join(number, url, weight)
            tell("waiting until every server has opened it")
            left = await _until_none(opened.shards, number, servers_without)
        if left:
            raise Conflict(
                f"{left} servers have not opened shard {number} within {_WAIT_SECONDS:g} s: their logs say why. It "
                "takes no organizations yet; repeat this command when they can reach it."
            )
        await service.activate(number)
    if as_json_:
        as_json({"number": number, "state": "active", "weight": weight})
    else:
        say(f"Shard {number} is active: every server has opened it, and new organizations may be placed there.")


@command
async def remove_shard(
    number: Number, *, data_dir: DataDir = None, config: Config = None, as_json_: Json = False
) -> None:
    """Take an empty shard out of the map for good; its number is never given again."""
    async with domain(data_dir, config) as opened:
        is_named = number in opened.shard_opening.plan.numbers()
        await _service(opened).remove(number)
        with busy("waiting until every server has closed it"):
            left = await _until_none(opened.shards, number, servers_with)
    if as_json_:
        as_json({"number": number, "state": "removed", "serversLeft": left})
        return
    say(f"Shard {number} is removed." + (f" {left} servers have not closed it yet." if left else ""))
    if is_named:
        say("Take it out of MAKE_BRIDGE_SHARD_URLS too, at the next occasion.")


@command
async def weigh_shard(
    number: Number,
    weight: Annotated[int, typer.Argument(help="From 0, nothing new, to 1000; 100 is usual.")],
    *,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Change what a shard takes beside the others; who lives there stays until a rebalance."""
    async with domain(data_dir, config) as opened:
        await _service(opened).weigh(number, weight)
    if as_json_:
        as_json({"number": number, "weight": weight})
    else:
        say(f"Shard {number} has weight {weight}. 'make-bridge shards rebalance' moves who is elsewhere now.")


@command
async def pin_organization(
    organization: OrganizationArgument,
    number: Number,
    *,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Say where an organization is to live, whatever the ring proposes."""
    async with domain(data_dir, config) as opened:
        lives = await _service(opened).pin(OrganizationId(organization), number)
    if as_json_:
        as_json({"organizationId": organization, "pin": number, "shard": lives})
        return
    say(f"Organization {organization} is pinned to shard {number}.")
    if lives != number:
        say(f"It lives on shard {lives}: 'make-bridge shards rebalance' moves it.")


@command
async def unpin_organization(
    organization: OrganizationArgument, *, data_dir: DataDir = None, config: Config = None, as_json_: Json = False
) -> None:
    """Leave it to the ring again where an organization is to live."""
    async with domain(data_dir, config) as opened:
        lives = await _service(opened).pin(OrganizationId(organization), None)
    if as_json_:
        as_json({"organizationId": organization, "pin": None, "shard": lives})
    else:
        say(f"Organization {organization} is pinned no more; it lives on shard {lives}.")


@command
async def list_organizations(
    *,
    after: Annotated[int, typer.Option("--after", help="Begin behind this organization's id.")] = 0,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most 500.")] = 100,
    shard: Annotated[int | None, typer.Option("--shard", help="Only those that live on this shard.")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """List organizations over all shards, in the order of their ids, with figures of today."""
    async with domain(data_dir, config) as opened:
        page = await overview(opened.shards, after=after, limit=limit, shard=shard)
    if as_json_:
        lines = [_line(one) for one in page.organizations]
        as_json({"organizations": lines, "after": page.after, "silentShards": sorted(page.silent)})
    else:
        columns = ("organization", "name", "shard", "pinned to", "teams", "executions today")
        as_table(columns, [tuple(_line(one).values()) for one in page.organizations])
        if page.after is not None:
            say(f"There are more: --after {page.after}")
    for number, reason in page.silent.items():
        complain(f"Shard {number} did not answer, so figures are missing: {reason}")


def _line(one: ListedOrganization) -> dict[str, object]:
    figures = one.figures
    return {
        "id": one.id,
        "name": one.name,
        "shard": one.shard,
        "pin": one.pin,
        "teams": None if figures is None else figures.teams,
        "executionsToday": None if figures is None else figures.executions,
    }


def _service(opened: Domain) -> ShardService:
    return ShardService(directory=opened.shards.directory, opening=opened.shard_opening, roots=opened.roots)


async def _until_none(shards: Shards, number: int, count: Callable[[Shards, int], Awaitable[int]]) -> int:
    """Wait until no running server is counted, and return how many are left after a while."""
    for _ in range(int(_WAIT_SECONDS / _LOOK_SECONDS)):
        if not await count(shards, number):
            return 0
        await asyncio.sleep(_LOOK_SECONDS)
    return await count(shards, number)


def read_address(file: Path) -> str:
    """Read an address; it stands in a file because what stands in arguments everybody on the machine reads."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_FILE).decode(errors="replace").strip()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
    if urlsplit(text).scheme not in {"postgresql", "postgres"} or len(text.split()) != 1:
        raise InvalidInput(f"{file} must hold one address that begins with postgresql://, and nothing else.")
    return text


def _show(rows: list[dict[str, object]]) -> None:
    columns = ("shard", "state", "weight", "organizations", "share", "size", "queued", "reachable")
    as_table(columns, [_cells(row) for row in rows])


def _cells(row: Mapping[str, object]) -> tuple[object, ...]:
    size, share = row["bytes"], row["share"]
    return (
        row["number"],
        row["state"],
        row["weight"],
        row["organizations"],
        f"{share:.1%}" if isinstance(share, float) else "",
        f"{size / 1024**2:.0f} MB" if isinstance(size, int) else "",
        row["queued"],
        "yes" if row["reachable"] else "no",
    )
