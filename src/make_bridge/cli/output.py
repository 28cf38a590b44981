"""How commands speak: tables for people, one JSON document for programs, one sentence for errors."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table
from rich.tree import Tree

from make_bridge.kernel.errors import BridgeError, InvalidInput

P = ParamSpec("P")
R = TypeVar("R")
_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str, *, style: str | None = None) -> None:
    """Print a line for people; `style` is a colour, on terminals that have some."""
    _out.print(text, markup=False, style=style)


def complain(text: str) -> None:
    """Print a line on standard error."""
    _err.print(text, markup=False)


@contextmanager
def busy(what: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal that something goes on; the block is given what changes the words. Nothing elsewhere."""
    if not _err.is_terminal:
        yield lambda _words: None
        return
    with _err.status(what) as status:
        yield lambda words: status.update(escape(words))


@contextmanager
def measuring(what: str) -> Iterator[Callable[[float], None]]:
    """Show on a terminal how far something is; the block is given what takes the share (0 to 1). Nothing elsewhere."""
    if not _err.is_terminal:
        yield lambda _share: None
        return
    with Progress(console=_err, transient=True) as progress:
        task = progress.add_task(escape(what), total=1.0)
        yield lambda share: progress.update(task, completed=share)


def as_json(value: object) -> None:
    """Print one JSON document."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def as_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table. The first column names the rows for the next command, so it is whole however narrow the place."""
    shown = [["" if cell is None else str(cell) for cell in row] for row in rows]
    table = Table(*columns, show_edge=False, pad_edge=False)
    table.columns[0].min_width = max((len(row[0]) for row in shown), default=0)
    for row in shown:
        table.add_row(*row)
    _out.print(table)


def say_tree(tree: Tree) -> None:
    """Print a tree."""
    _out.print(tree)


def as_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print named values, one a line."""
    pairs = list(facts)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        say(f"{name:<{width}}  {value}")


def command(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Run an asynchronous command; a known error ends it with its sentence and status 1."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return asyncio.run(function(*args, **kwargs))
        except BridgeError as error:
            complain(error.message)
            if isinstance(error, InvalidInput):
                for name, sentence in error.fields.items():
                    complain(f"  {name}: {sentence}")
            raise typer.Exit(1) from error

    return run
