"""``gaps`` and ``hooks expect``: who is silent, and what people say of a webhook's rhythm."""

from typing import Annotated, Final

import msgspec
import typer

from make_bridge.cli.operations import domain, operator
from make_bridge.cli.options import Config, DataDir, Json, Organization
from make_bridge.cli.output import as_facts, as_json, as_table, command, complain, say
from make_bridge.domain.gaps.messages import ExpectCalls, Mode
from make_bridge.domain.gaps.overview import gaps_of
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import HookId, OrganizationId
from make_bridge.settings import load_settings

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


@command
async def list_gaps(
    *,
    organization: Annotated[int | None, typer.Option("--organization", help="Of this organization only.")] = None,
    whole: Annotated[bool, typer.Option("--all", help="Those that are not missed, too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many of each shard.")] = 1000,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """List webhooks that are silent and schedules that are late, of all organizations, as of the last look."""
    rules = load_settings(config, {"data_dir": data_dir}).settings.gaps()
    whose = None if organization is None else OrganizationId(organization)
    async with domain(data_dir, config) as opened:
        gaps, silent = await gaps_of(opened.shards, rules, organization_id=whose, whole=whole, most=limit)
    for number, reason in silent.items():
        complain(f"Shard {number}: {reason}")
    if as_json_:
        as_json([msgspec.to_builtins(gap) for gap in gaps])
    elif gaps:
        as_table(
            ("id", "kind", "organization", "scenario", "name", "state", "silent for", "missed after", "rhythm"),
            [
                (
                    gap.hook_id or gap.scenario_id, gap.kind, gap.organization_id, gap.scenario_id, gap.name,
                    gap.state, _span(gap.silent_seconds), _span(gap.patience_seconds), gap.mode,
                )
                for gap in gaps
            ],
        )  # fmt: skip
    else:
        say("No source is silent or late.")
    if silent:
        raise typer.Exit(1)


@command
async def expect_calls(
    hook: Annotated[int, typer.Argument(help="The webhook's id.")],
    *,
    organization: Organization,
    every: Annotated[int | None, typer.Option("--every-minutes", min=1, help="A call is expected so often.")] = None,
    learned: Annotated[bool, typer.Option("--learned", help="Go by the pauses between its calls.")] = False,
    never: Annotated[bool, typer.Option("--never", help="Never miss it.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Say how often a webhook is to be called, that its calls tell, or that nobody misses it."""
    asked: dict[Mode, bool] = {"expected": every is not None, "learned": learned, "ignored": never}
    modes = [mode for mode, is_asked in asked.items() if is_asked]
    if len(modes) != 1:
        message = "Give one of --every-minutes, --learned and --never."
        raise InvalidInput(message)
    seconds = None if every is None else every * _MINUTE
    async with domain(data_dir, config) as opened:
        said = await opened.commands.execute(
            operator(organization), ExpectCalls(hook_id=HookId(hook), mode=modes[0], seconds=seconds)
        )
    facts: dict[str, object] = {"hookId": said.hook_id, "mode": said.mode, "seconds": said.seconds}
    if as_json_:
        as_json(facts)
    else:
        as_facts(facts.items())


def _span(seconds: int | None) -> str:
    if seconds is None:
        return ""
    if seconds < 2 * _HOUR:
        return f"{seconds // _MINUTE} min" if seconds >= _MINUTE else f"{seconds} s"
    return f"{seconds // _HOUR} h" if seconds < 2 * _DAY else f"{seconds // _DAY} d"
