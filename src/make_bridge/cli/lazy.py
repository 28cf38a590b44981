"""Commands that are loaded when they are called: the whole program takes a second to load, its help needs none of it.

``application`` lists every command by module, function and the sentence its help shows. Listing them loads nothing;
calling one loads its module and nothing else's. This is the one place that imports by name: a ``blueprint validate``
in an editor or a hook must not wait for the database driver.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """A command by its place; ``help`` is the first line of its docstring, which a test compares."""

    module: str
    function: str
    help: str

    def load(self, name: str) -> Any:  # noqa: ANN401 - the library does not export the type of its commands
        """Load the module and make the command."""
        alone = typer.Typer(add_completion=False)
        alone.command(name)(getattr(importlib.import_module(self.module), self.function))
        return typer.main.get_command(alone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Commands that share their first word."""

    help: str
    commands: "Mapping[str, Deferred | Family]"

    def load(self, name: str) -> Any:  # noqa: ANN401 - the same
        """Make the group; its commands stay unloaded."""
        group = typer.Typer(cls=group_of(self.commands), help=self.help, no_args_is_help=True, add_completion=False)
        group.callback()(_nothing)
        command = typer.main.get_command(group)
        command.name = name
        return command


def group_of(commands: Mapping[str, Deferred | Family]) -> type[TyperGroup]:
    """Return the class of a group that lists these commands and loads the one that is called."""

    class LazyGroup(TyperGroup):
        def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - the library's own
            super().__init__(**attributes)
            for name, command in commands.items():
                self.add_command(TyperCommand(name, help=command.help))

        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401 - the same
            name, listed, rest = super().resolve_command(ctx, args)
            found = commands.get(name or "")
            return name, listed if found is None else found.load(name or ""), rest

    return LazyGroup


def _nothing() -> None:
    """Stand where the library asks for a group's own function."""
