"""The reference pages: complete, and what the repository holds is what the program says."""

import ast
import json
from pathlib import Path

from typer.testing import CliRunner

from make_bridge.cli.application import COMMANDS, app
from make_bridge.cli.commands_page import commands_page, leaves
from make_bridge.cli.metrics_page import metrics_page
from make_bridge.cli.reference import NOTE, events_page, functions_page, make_api_page, modules_page, openapi_document
from make_bridge.cli.settings_page import groups, settings_as_data, settings_page
from make_bridge.engine.apps.catalogue import APPS, CATALOGUE
from make_bridge.engine.iml.functions import FUNCTIONS
from make_bridge.kernel.messages import Event
from make_bridge.services import make_api
from make_bridge.services.events import EVENTS
from make_bridge.settings import Settings

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "reference"
PACKAGE = ROOT / "src" / "make_bridge"
RUN = CliRunner()


def test_the_pages_in_the_repository_are_what_the_program_says() -> None:
    assert (PAGES / "modules.md").read_text(encoding="utf-8") == modules_page(), "run `make docs`"
    assert (PAGES / "functions.md").read_text(encoding="utf-8") == functions_page(), "run `make docs`"
    assert (PAGES / "events.md").read_text(encoding="utf-8") == events_page(), "run `make docs`"
    assert (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8") == make_api_page(), "run `make docs`"
    assert (PAGES / "settings.md").read_text(encoding="utf-8") == settings_page(NOTE), "run `make docs`"
    assert (PAGES / "commands.md").read_text(encoding="utf-8") == commands_page(NOTE), "run `make docs`"
    assert (PAGES / "metrics.md").read_text(encoding="utf-8") == metrics_page(NOTE), "run `make docs`"
    assert (PAGES / "openapi.json").read_text(encoding="utf-8") == openapi_document(), "run `make docs`"


def test_every_module_and_function_is_explained() -> None:
    modules, functions = modules_page(), functions_page()
    assert [name for name in CATALOGUE if f"`{name}`, version" not in modules] == []
    assert [name for name in FUNCTIONS if f"\n### {name}\n" not in functions] == []
    assert [name for name, spec in CATALOGUE.items() if spec.app not in APPS] == []
    assert [name for name, spec in CATALOGUE.items() if not spec.help and spec.app != "placeholder"] == []


def test_what_is_said_of_make_s_endpoints_is_so() -> None:
    here, told = make_api.served(), {row.endpoint: row.standing for row in make_api.rows()}
    assert set(make_api.PARTIAL) <= here, "said to be there in part"
    assert not set(make_api.ABSENT) & here, "said to be absent"
    assert {*make_api.PARTIAL, *make_api.ABSENT} <= told.keys()
    assert told["GET /scenarios/{}"] == "supported"
    assert told["GET /scenarios"] == "partial"
    assert told["GET /agents"] == "absent"


def test_every_setting_and_command_is_explained() -> None:
    settings, commands = settings_page(NOTE), commands_page(NOTE)
    assert [
        name for name in Settings.model_fields if f"| `{name}`<br>`MAKE_BRIDGE_{name.upper()}` |" not in settings
    ] == []
    assert [group.settings[0].name for group in groups() if not group.words] == []
    assert [name for name, command in leaves(COMMANDS) if f" {name}\n\n{command.help}\n" not in commands] == []


def test_what_a_setting_may_be_is_what_the_program_refuses_by() -> None:
    told = {setting["name"]: setting for setting in settings_as_data()}
    assert told["port"]["value"] == "whole number, from 0 to 65535"
    assert told["clock_skew_seconds"]["value"] == "number of seconds, more than 0, 10 at most"
    assert told["roles"]["value"] == "list of: `gateway`, `bridge`, `templates`, `scenarios`, `worker`"
    assert (told["public_url"]["default"], told["database_url"]["value"]) == (None, "address; never shown")


def test_programs_get_the_same_as_data() -> None:
    told = RUN.invoke(app, ["reference", "modules", "--json"])
    assert told.exit_code == 0, told.output
    assert {module["name"] for module in json.loads(told.output)} == set(CATALOGUE)
    told = RUN.invoke(app, ["reference", "functions", "--json"])
    assert {function["name"] for function in json.loads(told.output)} == set(FUNCTIONS)
    told = RUN.invoke(app, ["reference", "settings", "--json"])
    assert {setting["name"] for setting in json.loads(told.output)} == set(Settings.model_fields)
    told = RUN.invoke(app, ["reference", "commands", "--json"])
    assert {command["command"] for command in json.loads(told.output)} >= {
        "make-bridge serve",
        "make-bridge org create",
    }
    told = RUN.invoke(app, ["reference", "events", "--json"])
    assert {event["type"] for event in json.loads(told.output)} == {event.wire_name for event in EVENTS}


def test_every_kind_of_event_is_listed_once_and_explained() -> None:
    found = {node.name for file in PACKAGE.rglob("*messages.py") for node in _events_in(file)}
    assert {event.__name__ for event in EVENTS} == found
    assert len({event.wire_name for event in EVENTS}) == len(EVENTS)
    page = events_page()
    assert [event.wire_name for event in EVENTS if f"\n## {event.wire_name}\n\n{_first(event)}" not in page] == []


def _events_in(file: Path) -> list[ast.ClassDef]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return [node for node in classes if any(isinstance(b, ast.Name) and b.id == "Event" for b in node.bases)]


def _first(event: type[Event]) -> str:
    return (event.__doc__ or "").split()[0]
