"""``storage`` and ``org retention``: what the tables take, and how much is kept of an organization's runs."""

from dataclasses import replace
from typing import Annotated, Final

import msgspec
import typer

from make_bridge.cli.operations import domain, operator
from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.output import as_facts, as_json, as_table, command, complain, say
from make_bridge.domain.storage.messages import GetStored, SetStorageLimits, StorageLimits
from make_bridge.domain.storage.overview import ShardStorage, storage_of
from make_bridge.settings import load_settings

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024


@command
async def show_storage(
    *,
    top: Annotated[int, typer.Option("--top", min=1, max=1000, help="How many organizations of each shard.")] = 10,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Show what the tables of each shard take, whose runs take most, and what retention is about to free."""
    settings = load_settings(config, {"data_dir": data_dir}).settings
    async with domain(data_dir, config) as opened:
        shards, silent = await storage_of(opened.shards, settings.storage(), most=top)
    for number, reason in silent.items():
        complain(f"Shard {number}: {reason}")
    if as_json_:
        as_json([msgspec.to_builtins(shard) for shard in shards])
    else:
        for shard in shards:
            _show(shard)
    if silent:
        raise typer.Exit(1)


def _show(shard: ShardStorage) -> None:
    say(f"Shard {shard.shard}: {sized(shard.bytes)}; the next rounds free about {sized(shard.to_free_bytes)}.")
    as_table(
        ("table", "parts", "size", "rows", "dead rows", "last vacuum"),
        [
            (t.name, t.parts, sized(t.bytes), t.rows, t.dead, t.vacuumed_at and f"{t.vacuumed_at:%Y-%m-%d %H:%M}")
            for t in shard.tables
            if t.rows or t.parts > 1
        ],
    )
    for kind, at in shard.oldest.items():
        say(f"Oldest of {kind}: {at[:19]}Z")
    if shard.organizations:
        as_table(
            ("organization", "runs", "size", "of it bodies", "since", "days", "bound", "to free"),
            [
                (
                    o.organization_id, o.runs, sized(o.bytes), sized(o.body_bytes), o.oldest, o.days,
                    sized(o.most_bytes), sized(o.to_free),
                )
                for o in shard.organizations
            ],
        )  # fmt: skip
    say("Rows are PostgreSQL's estimate. What goes in batches is used again; a dropped partition is given back.")


@command
async def organization_retention(
    organization: Annotated[int, typer.Argument(help="The organization's id.")],
    *,
    days: Annotated[int | None, typer.Option("--days", min=1, max=3650, help="Days for which runs are kept.")] = None,
    size: Annotated[int | None, typer.Option("--bytes", min=2**20, help="Bytes that its runs may take.")] = None,
    default: Annotated[bool, typer.Option("--default", help="The settings' for what is not given here.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Show how long, and how much of, an organization's runs are kept, and set what is given."""
    given = {"days": days, "bytes": size}
    changes = {name: value for name, value in given.items() if value is not None}
    context = operator(organization)
    async with domain(data_dir, config) as opened:
        await opened.organizations.get(context.organization_id)
        stored = await opened.queries.ask(context, GetStored())
        if changes or default:
            limits = replace(StorageLimits() if default else stored.limits, **changes)
            await opened.commands.execute(context, SetStorageLimits(limits=limits))
            stored = await opened.queries.ask(context, GetStored())
    facts: dict[str, object] = {
        "days": stored.days,
        "daysOwn": stored.limits.days,
        "bytesLimit": stored.most_bytes,
        "bytesLimitOwn": stored.limits.bytes,
        "runs": stored.runs,
        "bytes": stored.bytes,
        "bodyBytes": stored.body_bytes,
        "oldest": None if stored.oldest is None else stored.oldest.isoformat(),
    }
    if as_json_:
        as_json(facts)
    else:
        as_facts(facts.items())


def sized(number: int) -> str:
    """Write bytes for people."""
    value = float(number)
    for unit in _UNITS[:-1]:
        if value < _STEP:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _STEP
    return f"{value:.1f} {_UNITS[-1]}"
