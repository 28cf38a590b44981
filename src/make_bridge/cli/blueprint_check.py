"""``blueprint validate``: a file of its own, because it is run in editors and hooks and has to be quick."""

from pathlib import Path
from typing import Annotated

import typer

from make_bridge.cli.findings import read_blueprint, serious, show_findings
from make_bridge.cli.options import Json
from make_bridge.cli.output import command
from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.findings import BlueprintInvalid
from make_bridge.engine.blueprint.validate import validate


@command
async def validate_blueprint(
    file: Annotated[Path, typer.Argument(help="A blueprint, as exported.")], *, as_json_: Json = False
) -> None:
    """Name every finding with its position and a fix; ends with 1 when there is an error."""
    try:
        findings = validate(read_blueprint(file), CATALOGUE)
    except BlueprintInvalid as invalid:
        findings = list(invalid.findings)
    show_findings(findings, as_json_=as_json_)
    if serious(findings):
        raise typer.Exit(1)
