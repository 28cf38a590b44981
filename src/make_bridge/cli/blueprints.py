"""Commands on blueprints that need no server: draw one, run one with every module's bundles shown."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from make_bridge.cli.findings import read_blueprint, show_findings
from make_bridge.cli.graph import as_mermaid, as_svg, as_tree
from make_bridge.cli.options import Json, read_bundles, read_json_file
from make_bridge.cli.output import busy, command, complain, say, say_tree
from make_bridge.cli.run_report import run_as_json, show_run
from make_bridge.cli.watching import RUNNING, WatchedHttp, WatchedSleeper
from make_bridge.domain.executions.outbound import GuardedHttp, LoopSleeper
from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.compile import compile_blueprint
from make_bridge.engine.blueprint.findings import BlueprintInvalid
from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.ports import Ports
from make_bridge.engine.runner.memory_stores import MemoryStores
from make_bridge.engine.runner.request import RunRequest
from make_bridge.engine.runner.run import run
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import new_execution_id
from make_bridge.platform.egress.client import EgressClient
from make_bridge.settings import load_settings


class Form(StrEnum):
    """How a blueprint is drawn."""

    TREE = "tree"
    MERMAID = "mermaid"
    SVG = "svg"


@command
async def draw_blueprint(
    file: Annotated[Path, typer.Argument(help="A blueprint, as exported.")],
    *,
    form: Annotated[Form, typer.Option("--format", help="A tree here, Mermaid for a page, or an SVG picture.")] = (
        Form.TREE
    ),
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it into this file.")] = None,
) -> None:
    """Draw a blueprint: what runs after what, what decides, what handles errors."""
    blueprint = read_blueprint(file)
    if form is Form.TREE and output is None:
        say_tree(as_tree(blueprint))
        return
    if form is Form.TREE:
        message = "A tree is for the terminal: choose --format mermaid or --format svg for a file."
        raise InvalidInput(message)
    text = as_svg(blueprint) if form is Form.SVG else as_mermaid(blueprint)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"Cannot write {output}: {error.strerror}.") from error
    say(f"Wrote {output}.")


@command
async def run_blueprint(
    file: Annotated[Path, typer.Argument(help="A blueprint, as exported.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="A JSON file: the trigger's bundle, an array of them, or the scenario's inputs."),
    ] = None,
    stores: Annotated[
        Path | None, typer.Option("--data-store", help="A JSON file of records: {store id: {key: record}}.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Cut no values and leave out no operations.")] = False,
    as_json_: Json = False,
) -> None:
    """Run a blueprint once and print each module's bundles. Calls out are really made; data stores are in memory."""
    records = _memory_stores(read_json_file(stores) if stores else {})
    try:
        program = compile_blueprint(read_blueprint(file), CATALOGUE)
    except BlueprintInvalid as invalid:
        show_findings(invalid.findings, as_json_=as_json_)
        raise typer.Exit(1) from invalid
    request = _request(program, read_bundles(data) if data else None)
    async with EgressClient(load_settings().settings.egress()) as client:
        with busy(RUNNING) as tell:
            ports = Ports(
                http=WatchedHttp(GuardedHttp(client), tell),
                sleeper=WatchedSleeper(LoopSleeper(), tell),
                clock=SystemClock(),
                stores=records,
                structures=records,
            )
            result = await asyncio.shield(run(program, request, ports))
    if as_json_:
        run_as_json(result, records)
    else:
        show_run(result, records, full=full)
    if result.status == "error":
        raise typer.Exit(1)


def _request(program: Program, bundles: list[dict[str, Any]] | None) -> RunRequest:
    """Return the run: the file's bundles are those of the trigger, or the inputs of a scenario that declares some."""
    entry = program.entry
    waits = entry is not None and entry.spec.external
    if bundles is not None and not waits and not program.inputs:
        begins = "has no modules" if entry is None else f"begins with {entry.module}"
        message = f"This blueprint {begins} and declares no inputs, so there is nothing to give it with --data."
        raise InvalidInput(message)
    if bundles is None and waits:
        complain("No --data: the trigger gives one empty bundle.")
    if program.inputs and not waits and bundles is not None and len(bundles) != 1:
        raise InvalidInput("The inputs of a scenario are one JSON object.")
    given = bundles or [{}]
    return RunRequest(
        execution_id=new_execution_id(),
        organization_id=0,
        team_id=0,
        scenario_id=0,
        scenario_name=program.name,
        trigger_bundles=given,
        inputs=given[0] if program.inputs else {},
        started_at=SystemClock().now(),
        seed=1,
    )


def _memory_stores(seed: dict[str, Any]) -> MemoryStores:
    """Return the stores of this run; one that was not seeded begins empty."""
    stores = MemoryStores(open_to_all=True)
    for store_id, records in seed.items():
        if not (store_id.isascii() and store_id.isdigit() and isinstance(records, dict)):
            raise InvalidInput("The file of --data-store is an object of data store ids, each with its records by key.")
        stores.add_store(int(store_id), records)
    return stores
