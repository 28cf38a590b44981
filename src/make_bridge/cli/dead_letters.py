"""``make-bridge dead-letters``: see what was given up, and begin it anew. Works beside a server that runs."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from make_bridge.cli.operations import domain, operator
from make_bridge.cli.options import Config, DataDir, Json, Organization
from make_bridge.cli.output import as_json, as_table, command, say
from make_bridge.domain.executions.dead_letter_messages import ListDeadLetters, ReplayDeadLetters
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import ScenarioId

Scenario = Annotated[int | None, typer.Option("--scenario", help="Only of this scenario.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")]


@command
async def list_dead_letters(
    *,
    organization: Organization,
    scenario: Scenario = None,
    replayed: Annotated[bool, typer.Option("--replayed", help="Also those that were replayed.")] = False,
    limit: Limit = 100,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """List executions and jobs that were given up, with the reason."""
    question = ListDeadLetters(scenario_id=_scenario(scenario), with_replayed=replayed, limit=limit)
    async with domain(data_dir, config) as opened:
        found = await opened.queries.ask(operator(organization), question)
    if as_json_:
        as_json(
            [
                {
                    "id": letter.id,
                    "scenarioId": letter.scenario_id,
                    "teamId": letter.team_id,
                    "kind": letter.kind,
                    "reason": letter.reason,
                    "attempts": letter.attempts,
                    "lastNode": letter.last_node,
                    "createdAt": letter.created_at.isoformat(),
                    "replayedAs": letter.replayed_as,
                }
                for letter in found
            ]
        )
        return
    rows = [
        (letter.id, letter.kind, letter.scenario_id, letter.attempts, letter.last_node or "", letter.reason)
        for letter in found
    ]
    as_table(("id", "kind", "scenario", "attempts", "last node", "reason"), rows)


@command
async def replay_dead_letters(
    ids: Annotated[list[str] | None, typer.Argument(help="Their ids; without any, a range.")] = None,
    *,
    organization: Organization,
    all_: Annotated[bool, typer.Option("--all", help="All that were not replayed, up to the limit.")] = False,
    scenario: Scenario = None,
    since: Annotated[datetime | None, typer.Option("--since", help="Given up at this time (UTC) or later.")] = None,
    until: Annotated[datetime | None, typer.Option("--until", help="Given up before this time (UTC).")] = None,
    limit: Limit = 100,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Begin anew what was given up: an execution as one of its own, a job as itself."""
    if not ids and not all_ and scenario is None and since is None and until is None:
        raise InvalidInput("Name dead letters by their ids, or a range: --scenario, --since, --until, or --all.")
    replay = ReplayDeadLetters(
        ids=tuple(ids) if ids else None,
        scenario_id=_scenario(scenario),
        since=_utc(since),
        until=_utc(until),
        limit=limit,
    )
    async with domain(data_dir, config) as opened:
        begun = await opened.commands.execute(operator(organization), replay)
    if as_json_:
        as_json({"executions": list(begun.executions), "jobs": list(begun.jobs)})
        return
    say(f"{len(begun.executions) + len(begun.jobs)} begun.")
    for begun_id in (*begun.executions, *begun.jobs):
        typer.echo(begun_id)


def _scenario(number: int | None) -> ScenarioId | None:
    return None if number is None else ScenarioId(number)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
