"""Moving organizations between shards, beside servers that run: one, all that are proposed elsewhere, or a shard's.

The commands act as the owners of the shards: by the addresses of the settings, and for shards that were added beside
servers that run, of which only what serves is kept, by files that the caller names. Whatever breaks off is finished by
repeating the command; of two that move the same organization one goes on and the other says so.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from make_bridge.cli.operations import domain
from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.output import as_json, as_table, busy, command, say
from make_bridge.cli.shards import read_address
from make_bridge.domain.organizations.shards import ShardService
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.sharding import moving_plan, moving_store
from make_bridge.platform.sharding.map import read_map
from make_bridge.platform.sharding.moving import Mover, Tell
from make_bridge.platform.sharding.moving_model import Move
from make_bridge.platform.sharding.moving_plan import Step
from make_bridge.platform.sharding.moving_several import side_by_side
from make_bridge.settings import Settings, load_settings
from make_bridge.wiring.domain import Domain

Work = TypeVar("Work", Step, Move)
OwnerFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--owner-file",
        help="NUMBER=FILE: the file holds the owner's address of a shard that is not in the settings. Once for each.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and move nothing.")]


@command
async def move_organization(
    organization: Annotated[int, typer.Argument(help="The organization's id.")],
    shard: Annotated[int | None, typer.Argument(help="The number of the shard it is to live on.")] = None,
    *,
    abort: Annotated[
        bool, typer.Option("--abort", help="Give up its move, before it has left: it stays where it is.")
    ] = False,
    owner_file: OwnerFiles = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Move an organization to another shard while it works, finish a move, or give it up."""
    if abort == (shard is not None):
        raise InvalidInput("Say where the organization is to live, or --abort to give up its move: one of the two.")
    settings = load_settings(config, {"data_dir": data_dir}).settings
    async with domain(data_dir, config) as opened:
        owners = await _owners(opened, owner_file)
        if shard is None:
            await _give_up(opened, owners, settings, OrganizationId(organization), as_json_=as_json_)
            return
        with busy(f"moving {organization}") as tell:
            mover = _mover(opened, owners, settings, lambda move, words: tell(_progress(move, words)))
            move = await mover.move(OrganizationId(organization), shard)
    if as_json_:
        as_json(_facts(organization, shard, move))
    elif move is None:
        say(f"Organization {organization} lives on shard {shard} already.")
    else:
        say(f"Organization {organization} lives on shard {shard} now. Its writes waited for {move.pause_ms or 0} ms.")


async def _give_up(
    opened: Domain, owners: dict[int, str], settings: Settings, organization: OrganizationId, *, as_json_: bool
) -> None:
    with busy(f"giving up the move of {organization}") as tell:
        mover = _mover(opened, owners, settings, lambda move, words: tell(_progress(move, words)))
        move = await mover.abandon(organization)
    if as_json_:
        as_json(_facts(organization, move.target, move))
    else:
        say(f"Organization {organization} stays on shard {move.source}. What was copied to {move.target} is deleted.")


@command
async def list_moves(*, data_dir: DataDir = None, config: Config = None, as_json_: Json = False) -> None:
    """List the moves that are not finished."""
    async with domain(data_dir, config) as opened:
        moves = await moving_store.under_way(opened.shards.directory)
    if as_json_:
        as_json([_facts(move.organization_id, move.target, move) for move in moves])
    else:
        rows = [(move.organization_id, move.source, move.target, move.state) for move in moves]
        as_table(("organization", "from", "to", "state"), rows)


@command
async def rebalance(
    *,
    dry_run: DryRun = False,
    owner_file: OwnerFiles = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Move organizations to the shards they are proposed for, a few side by side."""
    settings = load_settings(config, {"data_dir": data_dir}).settings
    async with domain(data_dir, config) as opened:
        owners = await _owners(opened, owner_file)
        await _finish_open(opened, owners, settings, dry_run=dry_run)
        steps = moving_plan.plan(await moving_store.homes(opened.shards.directory), opened.shards.map)
        await _carry_out(opened, owners, settings, steps, dry_run=dry_run, as_json_=as_json_)


@command
async def drain(
    shard: Annotated[int, typer.Argument(help="The number of the shard that is to be empty.")],
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Let it take organizations again; nobody is moved.")] = False,
    dry_run: DryRun = False,
    owner_file: OwnerFiles = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Move every organization away from a shard, which takes no new ones from now on."""
    settings = load_settings(config, {"data_dir": data_dir}).settings
    async with domain(data_dir, config) as opened:
        service = ShardService(directory=opened.shards.directory, opening=opened.shard_opening, roots=opened.roots)
        if undo:
            await service.activate(shard)
            say(f"Shard {shard} takes organizations again.")
            return
        owners = await _owners(opened, owner_file)
        await _finish_open(opened, owners, settings, dry_run=dry_run)
        if dry_run:
            shard_map = opened.shards.map.without(shard)
        else:
            await service.drain(shard)
            shard_map = await opened.shards.directory.ask(read_map)
        steps = moving_plan.plan(await moving_store.homes(opened.shards.directory, shard), shard_map)
        await _carry_out(opened, owners, settings, steps, dry_run=dry_run, as_json_=as_json_)


async def _carry_out(
    opened: Domain, owners: dict[int, str], settings: Settings, steps: Sequence[Step], *, dry_run: bool, as_json_: bool
) -> None:
    """Show a plan, and follow it unless it is only to be shown."""
    if not as_json_:
        say(f"{len(steps)} organizations to move.")
        as_table(("organization", "from", "to"), [(step.organization_id, step.source, step.target) for step in steps])
    done: list[dict[str, object]] = []
    if not dry_run:
        with busy(f"0 of {len(steps)} moved") as tell:

            def told(move: Move, words: str) -> None:
                tell(f"{len(done)} of {len(steps)} moved; {_progress(move, words)}")

            mover = _mover(opened, owners, settings, told)
            await _side_by_side(
                steps,
                lambda step: mover.move(step.organization_id, step.target),
                settings,
                lambda step, move: done.append(_facts(step.organization_id, step.target, move)),
            )
    if as_json_:
        planned = [{"organizationId": s.organization_id, "from": s.source, "to": s.target} for s in steps]
        as_json({"plan": planned, "moved": done})
    elif not dry_run:
        say(f"{len(done)} organizations moved.")


async def _finish_open(opened: Domain, owners: dict[int, str], settings: Settings, *, dry_run: bool) -> None:
    """Finish what broke off before anything else is begun."""
    left = [] if dry_run else await moving_store.under_way(opened.shards.directory)
    if left:
        with busy(f"finishing {len(left)} moves") as tell:
            mover = _mover(opened, owners, settings, lambda one, words: tell(_progress(one, words)))
            await _side_by_side(left, mover.resume, settings, lambda _begun, _move: None)


async def _side_by_side(
    works: Sequence[Work],
    act: Callable[[Work], Coroutine[None, None, Move | None]],
    settings: Settings,
    ended: Callable[[Work, Move | None], None],
) -> None:
    """Move some at a time, and tell of each that has ended."""
    async with aclosing(side_by_side(works, act, most=settings.moving_at_once)) as moves:
        async for work, move in moves:
            ended(work, move)


async def _owners(opened: Domain, files: Sequence[str] | None) -> dict[int, str]:
    """Return the owners' addresses by shard; raises InvalidInput where there is only one shard."""
    owners = {
        number: address.owner_url or address.url
        for address, trees, number in opened.shard_opening.plan.trees()
        if "shard" in trees
    }
    owners |= await owner_addresses(files)
    if len(opened.shards.map.shards) <= 1:
        raise InvalidInput("There is only one shard: add others with 'make-bridge shards add'.")
    return owners


async def owner_addresses(files: Sequence[str] | None) -> dict[int, str]:
    """Return the owners' addresses that ``--owner-file`` names, by shard."""
    owners: dict[int, str] = {}
    for given in files or ():
        number, _, file = given.partition("=")
        if not number.isdecimal() or not file:
            raise InvalidInput("--owner-file is NUMBER=FILE: a shard's number and where its owner's address is kept.")
        owners[int(number)] = await asyncio.to_thread(read_address, Path(file))
    return owners


def _mover(opened: Domain, owners: dict[int, str], settings: Settings, tell: Tell) -> Mover:
    config = settings.moving(f"{socket.gethostname()}-{os.getpid()}")
    return Mover(opened.shards.directory, owners, config, tell)


def _progress(move: Move, words: str) -> str:
    return f"organization {move.organization_id}, shard {move.source} to {move.target}: {words}"


def _facts(organization: int, shard: int, move: Move | None) -> dict[str, object]:
    if move is None:
        return {"organizationId": organization, "shard": shard, "moved": False}
    return {
        "organizationId": organization, "from": move.source, "to": move.target, "state": move.state,
        "moved": move.state == "finished", "pauseMs": move.pause_ms,
    }  # fmt: skip
