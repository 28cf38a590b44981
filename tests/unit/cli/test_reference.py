"""The reference pages: complete, and what the repository holds is what the program says."""

import json
from pathlib import Path

from typer.testing import CliRunner

from make_bridge.cli.application import app
from make_bridge.cli.reference import functions_page, modules_page
from make_bridge.engine.apps.catalogue import APPS, CATALOGUE
from make_bridge.engine.iml.functions import FUNCTIONS

PAGES = Path(__file__).parents[3] / "docs" / "reference"
RUN = CliRunner()


def test_the_pages_in_the_repository_are_what_the_program_says() -> None:
    assert (PAGES / "modules.md").read_text(encoding="utf-8") == modules_page(), "run `make docs`"
    assert (PAGES / "functions.md").read_text(encoding="utf-8") == functions_page(), "run `make docs`"


def test_every_module_and_function_is_explained() -> None:
    modules, functions = modules_page(), functions_page()
    assert [name for name in CATALOGUE if f"`{name}`, version" not in modules] == []
    assert [name for name in FUNCTIONS if f"\n### {name}\n" not in functions] == []
    assert [name for name, spec in CATALOGUE.items() if spec.app not in APPS] == []
    assert [name for name, spec in CATALOGUE.items() if not spec.help and spec.app != "placeholder"] == []


def test_programs_get_the_same_as_data() -> None:
    told = RUN.invoke(app, ["reference", "modules", "--json"])
    assert told.exit_code == 0, told.output
    assert {module["name"] for module in json.loads(told.output)} == set(CATALOGUE)
    told = RUN.invoke(app, ["reference", "functions", "--json"])
    assert {function["name"] for function in json.loads(told.output)} == set(FUNCTIONS)
