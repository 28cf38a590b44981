"""The reference of commands: each with its arguments and options, as ``--help`` has them; for ``reference``."""

import inspect
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

from make_bridge.cli.application import COMMANDS
from make_bridge.cli.lazy import Deferred, Family

_PROGRAM: Final = "make-bridge"


def commands_page(note: str) -> str:
    """Return the reference of commands; ``note`` says where the page comes from."""
    lines = [
        "# Commands",
        "",
        note,
        "",
        "`make-bridge COMMAND --help` says the same. Commands work beside servers that run, on the data folder",
        "(`--data-dir`) or the database that the [settings](settings.md) name. What went wrong is one sentence and the",
        "exit status 1; a wrong option is 2.",
    ]
    for name, command in COMMANDS.items():
        lines += _pages(name, command)
    return "\n".join(lines) + "\n"


def commands_as_data() -> list[dict[str, object]]:
    """Return every command with its arguments and options."""
    return [
        {
            "command": f"{_PROGRAM} {name}",
            "help": command.help,
            "parameters": [
                {"name": _name(parameter), "required": parameter.required, "help": _help(parameter)}
                for parameter in command.load(name.rpartition(" ")[2]).params
                if not parameter.hidden
            ],
        }
        for name, command in leaves(COMMANDS)
    ]


def leaves(commands: Mapping[str, Deferred | Family], before: str = "") -> Iterator[tuple[str, Deferred]]:
    """Give every command with all its words."""
    for name, command in commands.items():
        if isinstance(command, Deferred):
            yield f"{before}{name}", command
        else:
            yield from leaves(command.commands, f"{before}{name} ")


def _pages(name: str, command: Deferred | Family) -> list[str]:
    if isinstance(command, Deferred):
        return ["", f"## {name}", *_command(name, command)]
    lines = ["", f"## {name}", "", command.help]
    for inner, deferred in leaves(command.commands, f"{name} "):
        lines += ["", f"### {inner}", *_command(inner, deferred)]
    return lines


def _command(name: str, command: Deferred) -> list[str]:
    loaded = command.load(name.rpartition(" ")[2])
    parameters = [parameter for parameter in loaded.params if not parameter.hidden]
    arguments = [_usage(parameter) for parameter in parameters if parameter.param_type_name == "argument"]
    needed = [
        f"{_name(parameter)} …"
        for parameter in parameters
        if parameter.param_type_name == "option" and parameter.required
    ]
    usage = " ".join([_PROGRAM, name, *arguments, *needed])
    lines = ["", inspect.cleandoc(loaded.help or command.help), "", "```text", usage, "```"]
    if parameters:
        lines += ["", "| name | | what it is |", "|---|---|---|"]
        lines += [f"| `{_name(each)}` | {_standing(each)} | {_cell(_help(each))} |" for each in parameters]
    return lines


def _usage(parameter: Any) -> str:  # noqa: ANN401 - the library does not export the type of its parameters
    name = _name(parameter) + ("…" if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _name(parameter: Any) -> str:  # noqa: ANN401 - the same
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name).upper()
    return ", ".join([*parameter.opts, *parameter.secondary_opts])


def _standing(parameter: Any) -> str:  # noqa: ANN401 - the same
    if parameter.required:
        return "required"
    default = parameter.default
    if default is None or default is False or default == () or callable(default):
        return ""
    shown = default.value if isinstance(default, Enum) else default
    return f"default `{shown}`"


def _help(parameter: Any) -> str:  # noqa: ANN401 - the same
    return str(getattr(parameter, "help", None) or "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
