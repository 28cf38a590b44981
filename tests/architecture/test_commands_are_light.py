"""Help and `blueprint validate` load what they need and nothing else; what is listed unloaded is what gets loaded.

Modules are counted, not seconds: a second depends on the machine.
"""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from make_bridge.cli.application import COMMANDS
from make_bridge.cli.lazy import Deferred

# Not pydantic: the library of the command line reads options with it.
HEAVY = {"aiohttp", "alembic", "fastapi", "psycopg", "sqlalchemy", "starlette", "uvicorn", "uvloop"}
_CALL = """
from make_bridge.cli import app
try:
    app({!r})
except SystemExit as end:
    assert not end.code
"""
_LOADED = "import json, sys; sys.stderr.write(json.dumps(sorted(sys.modules)))"


def loaded_by(code):
    """Run code in a fresh interpreter; return the modules it has then."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{_LOADED}"], check=True, capture_output=True, text=True, timeout=60
    )
    return set(json.loads(done.stderr))


def leaves(commands=COMMANDS, before=""):
    for name, command in commands.items():
        if isinstance(command, Deferred):
            yield f"{before}{name}", command
        else:
            yield from leaves(command.commands, f"{before}{name} ")


def test_the_command_s_help_loads_next_to_nothing():
    loaded = loaded_by(_CALL.format(["--help"]))
    assert loaded & HEAVY == set()
    ours = sorted(name for name in loaded if name.startswith("make_bridge"))
    assert ours == ["make_bridge", "make_bridge.cli", "make_bridge.cli.application", "make_bridge.cli.lazy"]


def test_validating_a_blueprint_loads_the_engine_and_no_server(root):
    file = root / "tests/acceptance/sum.json"
    loaded = loaded_by(_CALL.format(["blueprint", "validate", str(file)]))
    assert loaded & HEAVY == set()
    strata = {name.split(".")[1] for name in loaded if name.startswith("make_bridge.")}
    assert strata == {"cli", "engine", "kernel"}


@pytest.mark.parametrize(("name", "command"), list(leaves()), ids=[name for name, _ in leaves()])
def test_the_list_of_commands_says_what_the_commands_say(name, command):
    function = getattr(importlib.import_module(command.module), command.function)
    assert function.__doc__.partition("\n")[0] == command.help


def test_a_command_that_is_called_is_loaded():
    done = subprocess.run(
        [Path(sys.executable).with_name("make-bridge"), "token", "mint", "--help"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "--sub" in done.stdout
