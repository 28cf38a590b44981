"""Commands on blueprints that need no server: check one, draw one, run one with every module's bundles shown."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from make_bridge.cli.graph import as_mermaid, as_svg, as_tree
from make_bridge.cli.operations import Json, read_json_file
from make_bridge.cli.output import as_json, as_table, command, say, say_tree
from make_bridge.domain.executions.outbound import GuardedHttp, LoopSleeper
from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.compile import compile_blueprint
from make_bridge.engine.blueprint.findings import Severity
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.blueprint.validate import validate
from make_bridge.engine.ports import Ports
from make_bridge.engine.runner.request import RunRequest
from make_bridge.engine.runner.result import RunResult, Step
from make_bridge.engine.runner.run import run
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import new_execution_id
from make_bridge.platform.egress.client import EgressClient
from make_bridge.settings import load_settings

app = typer.Typer(no_args_is_help=True)
_SHOWN = 400


class Form(StrEnum):
    """How a blueprint is drawn."""

    TREE = "tree"
    MERMAID = "mermaid"
    SVG = "svg"


@app.command("validate")
@command
async def validate_blueprint(
    file: Annotated[Path, typer.Argument(help="A blueprint, as exported.")], *, as_json_: Json = False
) -> None:
    """Name every finding with its position and a fix; ends with 1 when there is an error."""
    findings = list(validate(parse_blueprint(read_json_file(file)), CATALOGUE))
    errors = [finding for finding in findings if finding.severity is not Severity.WARNING]
    if as_json_:
        as_json({"valid": not errors, "findings": findings})
    elif findings:
        as_table(
            ("severity", "position", "module", "message", "fix"),
            [(f.severity, f.position, f.module_id, f.message, f.fix) for f in findings],
        )
    else:
        say("No findings: the blueprint can be switched on.")
    if errors:
        raise typer.Exit(1)


@app.command("graph")
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
    blueprint = parse_blueprint(read_json_file(file))
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


@app.command("run")
@command
async def run_blueprint(
    file: Annotated[Path, typer.Argument(help="A blueprint, as exported.")],
    *,
    data: Annotated[Path | None, typer.Option("--data", help="A JSON file: the bundle of the trigger.")] = None,
    as_json_: Json = False,
) -> None:
    """Run a blueprint once and print each module's bundles. Calls out are really made."""
    program = compile_blueprint(parse_blueprint(read_json_file(file)), CATALOGUE)
    bundle = read_json_file(data) if data else {}
    clock = SystemClock()
    async with EgressClient(load_settings().settings.egress()) as client:
        request = RunRequest(
            execution_id=new_execution_id(),
            organization_id=0,
            team_id=0,
            scenario_id=0,
            scenario_name=program.name,
            trigger_bundles=[bundle],
            inputs=bundle if program.inputs else {},
            started_at=clock.now(),
            seed=1,
        )
        ports = Ports(http=GuardedHttp(client), sleeper=LoopSleeper(), clock=clock)
        result = await asyncio.shield(run(program, request, ports))
    (_print_json if as_json_ else _print_steps)(result)
    if result.status == "error":
        raise typer.Exit(1)


def _print_json(result: RunResult) -> None:
    as_json(
        {
            "status": result.status,
            "operations": result.operations,
            "outputs": result.outputs,
            "response": _response(result),
            "error": result.error,
            "steps": [_step(step) for step in result.steps],
        }
    )


def _print_steps(result: RunResult) -> None:
    as_table(
        ("module", "operation", "input", "output"),
        [(f"{s.module_id} {s.module}", s.operation, _short(s.input), _outcome(s)) for s in result.steps],
    )
    say(f"\n{result.status}, {result.operations} operations")
    if result.error is not None:
        say(f"{result.error.type} in module {result.error.module_id} ({result.error.module}): {result.error.message}")
    if result.outputs is not None:
        say(f"outputs {_short(result.outputs)}")
    if result.response is not None:
        say(f"response {result.response.status} {result.response.body.decode(errors='replace')[:_SHOWN]}")


def _outcome(step: Step) -> str:
    if step.error is not None:
        return f"{step.error.type}: {step.error.message}"
    return "\n".join(_short(bundle) for bundle in step.outputs) or "–"


def _step(step: Step) -> dict[str, Any]:
    error = step.error
    return {
        "moduleId": step.module_id,
        "module": step.module,
        "operation": step.operation,
        "phase": step.phase,
        "input": step.input,
        "outputs": step.outputs,
        "error": None if error is None else {"name": error.type, "message": error.message},
    }


def _response(result: RunResult) -> dict[str, Any] | None:
    answer = result.response
    if answer is None:
        return None
    return {
        "status": answer.status,
        "headers": [list(pair) for pair in answer.headers],
        "body": answer.body.decode(errors="replace"),
    }


def _short(value: object) -> str:
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
