"""``upgrade --rehearse``: what the pending migrations will cost, tried on a copy."""

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated

import psycopg
import typer

from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.output import as_json, command, say
from make_bridge.kernel.errors import BridgeError, InvalidInput
from make_bridge.platform.database.rehearsal import RehearsedStep, copy_of, rehearse
from make_bridge.platform.database.versions import pending
from make_bridge.settings import load_settings
from make_bridge.wiring.databases import plan_of


@command
async def upgrade(
    *,
    rehearsal: Annotated[bool, typer.Option("--rehearse", help="Try the pending migrations on a copy.")] = False,
    copy: Annotated[
        list[str] | None,
        typer.Option("--copy", help="The owner's address of a copy that may be changed; one for each database."),
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="How long copying may take.")] = 60.0,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Rehearse an upgrade: apply pending migrations to a copy, and print what each costs and holds up."""
    if not rehearsal:
        raise InvalidInput("Say --rehearse to try an upgrade on a copy. 'make-bridge migrate' applies it.")
    settings = load_settings(config, {"data_dir": data_dir}).settings
    steps: list[RehearsedStep] = []
    try:
        async with AsyncExitStack() as stack:
            plan = await plan_of(stack, settings, join=True)
            databases = plan.trees()
            if copy and len(copy) != len(databases):
                raise InvalidInput(f"There are {len(databases)} databases: give as many copies, the directory's first.")
            for number, (address, trees, _) in enumerate(databases):
                owner = address.owner_url or address.url
                behind = await pending(owner, trees)
                if not behind:
                    continue
                given = copy[number] if copy else None
                own = copy_of(owner, seconds=60 * minutes) if given is None else None
                async with AsyncExitStack() as copies:
                    dsn = given if own is None else await copies.enter_async_context(own)
                    steps += await asyncio.to_thread(rehearse, str(dsn), behind, settings.migration_patience())
    except psycopg.Error as error:
        raise BridgeError(f"The rehearsal failed: {error}") from error
    if as_json_:
        as_json(steps)
        return
    if not steps:
        say("Nothing is pending: every database is at the newest version of this program.")
    for step in steps:
        say(f"{step.tree} {step.revision}: {step.seconds:.3f} s; servers of the version before {step.beside}")
        for lock in step.locks:
            say(f"  {lock.table}: {lock.mode} for {lock.seconds:.3f} s ({lock.meaning})")
