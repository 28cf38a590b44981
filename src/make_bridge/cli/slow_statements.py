"""``database slow``: asks a server on this machine which statements took too long, and shows them."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from make_bridge.cli.health import ask
from make_bridge.cli.options import Json
from make_bridge.cli.output import as_json, command, say
from make_bridge.kernel.errors import BridgeError

_GOOD: Final = 200
_MOST_BYTES: Final = 16 * 1024 * 1024


class _Node(msgspec.Struct, frozen=True, kw_only=True):
    depth: int
    node: str
    relation: str
    index: str
    cost: float
    rows: int


class _Statement(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    fingerprint: str
    statement: str
    count: int
    failed: int
    worst_seconds: float
    mean_seconds: float
    plan: tuple[_Node, ...]


class _Answer(msgspec.Struct, frozen=True):
    statements: tuple[_Statement, ...]


@command
async def show_slow(
    *,
    url: Annotated[str, typer.Option("--url", help="The server to ask.")] = "http://127.0.0.1:8080",
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="The server's certificate, which is trusted under any name.")
    ] = None,
    as_json_: Json = False,
) -> None:
    """Show which statements took too long in a server on this machine, with their plans."""
    try:
        async with asyncio.timeout(10):
            status, said = await ask(f"{url.rstrip('/')}/slow-statements", certificate, most=_MOST_BYTES)
    except (TimeoutError, OSError) as error:
        raise BridgeError(f"{url} does not answer. Name a server that runs with --url.") from error
    if status != _GOOD:
        raise BridgeError(f"{url} tells nothing: it answers {status}. Ask it on its own machine, without a proxy.")
    statements = msgspec.json.decode(said, type=_Answer).statements
    if as_json_:
        as_json(msgspec.to_builtins(statements))
        return
    if not statements:
        say("No statement took longer than slow_query_ms since the server started.")
    for each in statements:
        say(
            f"{each.fingerprint}  {each.count} ×, {each.failed} failed, worst {each.worst_seconds} s, "
            f"mean {each.mean_seconds} s"
        )
        say(f"  {each.statement}")
        for node in each.plan:
            on = " ".join(filter(None, (node.relation, node.index)))
            say(f"  {'  ' * node.depth}{node.node} {on} (cost {node.cost:g}, rows {node.rows})")
