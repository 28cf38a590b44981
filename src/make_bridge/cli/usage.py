"""The command on an organization's limits. It works beside a server that runs, which follows within seconds."""

from dataclasses import replace
from typing import Annotated

import typer

from make_bridge.cli.operations import domain, operator
from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.output import as_facts, as_json, command
from make_bridge.domain.usage.messages import GetMonth, Limits, SetLimits


@command
async def organization_limits(
    organization: Annotated[int, typer.Argument(help="The organization's id.")],
    *,
    operations: Annotated[int | None, typer.Option("--operations", min=0, help="Operations in a month.")] = None,
    executions: Annotated[int | None, typer.Option("--executions", min=0, help="Executions in a month.")] = None,
    data_transfer: Annotated[int | None, typer.Option("--bytes", min=0, help="Bytes moved in a month.")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Take away the limits that are not given here.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Show an organization's limits with what it has used this month (UTC), and set those that are given."""
    given = {"operations": operations, "executions": executions, "data_transfer": data_transfer}
    changes = {name: value for name, value in given.items() if value is not None}
    context = operator(organization)
    async with domain(data_dir, config) as opened:
        await opened.organizations.get(context.organization_id)
        month = await opened.queries.ask(context, GetMonth())
        if changes or lift:
            limits = replace(Limits() if lift else month.limits, **changes)
            await opened.commands.execute(context, SetLimits(limits=limits))
            month = await opened.queries.ask(context, GetMonth())
    facts: dict[str, object] = {
        "state": month.state,
        "operations": month.operations,
        "operationsLimit": month.limits.operations,
        "executions": month.executions,
        "executionsLimit": month.limits.executions,
        "bytes": month.data_transfer,
        "bytesLimit": month.limits.data_transfer,
        "waiting": month.waiting,
        "nextReset": month.until.isoformat(),
    }
    if as_json_:
        as_json(facts)
    else:
        as_facts(facts.items())
