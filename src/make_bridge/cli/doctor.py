"""``doctor``: looks at everything a server needs and says what to do about what is wrong."""

import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import psycopg
import typer

from make_bridge.boot import open_domain
from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.output import as_json, as_table, command
from make_bridge.faces.ops.token_file import read_token
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.coordination.zookeeper_session import examine as examine_zookeeper
from make_bridge.platform.database.versions import pending
from make_bridge.platform.observability.sinks.elasticsearch import examine as examine_elasticsearch
from make_bridge.platform.redis.client import examine
from make_bridge.platform.security.root_key import RootKey
from make_bridge.platform.sharding.together import advice, demands
from make_bridge.settings import LoadedSettings, load_settings
from make_bridge.wiring.databases import plan_of

_LEAST_FREE = 1024**3
_CONNECT_SECONDS = 5
Check = Callable[[LoadedSettings], Awaitable[str]]


@command
async def doctor(*, data_dir: DataDir = None, config: Config = None, as_json_: Json = False) -> None:
    """Check configuration, keys, disk, databases, clock, logs and pages; ends with 1 when something is wrong."""
    rows: list[tuple[str, str, str]] = []
    try:
        loaded = load_settings(config, {"data_dir": data_dir})
    except BridgeError as error:
        rows.append(("configuration", "wrong", error.message))
    else:
        rows.append(("configuration", "warning" if loaded.warnings else "ok", " ".join(loaded.warnings)))
        for name, check in _CHECKS:
            rows.append(await _look(name, check, loaded))
    if as_json_:
        as_json([{"check": name, "state": state, "message": message} for name, state, message in rows])
    else:
        as_table(("check", "state", "what to know"), rows)
    if any(state == "wrong" for _, state, _ in rows):
        raise typer.Exit(1)


class _Wanting(BridgeError):
    """It works, and something is to be done."""


async def _look(name: str, check: Check, loaded: LoadedSettings) -> tuple[str, str, str]:
    try:
        return name, "ok", await check(loaded)
    except _Wanting as error:
        return name, "warning", error.message
    except BridgeError as error:
        return name, "wrong", error.message
    except psycopg.Error as error:
        return name, "wrong", f"The database does not answer as it should: {str(error).strip()}"
    except OSError as error:
        return name, "wrong", f"{error.filename or ''}: {error.strerror}".strip(": ")


async def _root_key(loaded: LoadedSettings) -> str:
    path = loaded.settings.root_key_path
    if loaded.settings.root_key_file is None and not path.exists():
        return f"none yet: the first start makes {path}"
    RootKey.load(path).self_test()
    return f"{path} seals and opens"


async def _disk(loaded: LoadedSettings) -> str:
    folder = next(parent for parent in (loaded.settings.data_dir, *loaded.settings.data_dir.resolve().parents)
                  if parent.exists())  # fmt: skip
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        raise BridgeError(f"{folder} is not writable for this user.")
    if free < _LEAST_FREE:
        raise BridgeError(f"Only {free // 1024**2} MB are free at {folder}: make room.")
    return f"{free // 1024**3} GB free at {folder}"


async def _database(loaded: LoadedSettings) -> str:
    lines: list[str] = []
    if await _behind(loaded):
        raise _Wanting("answers; what is in it is looked at when its migrations are applied")
    async with AsyncExitStack() as stack:
        domain = await open_domain(stack, loaded, lines.append, join=True)
        await domain.shards.reach()
        for number, reason in domain.shards.away().items():
            raise BridgeError(f"Shard {number}: {reason}")
    place = "embedded" if loaded.settings.is_embedded else "external"
    return f"{place}, answers, and belongs to this root key" + (f" ({', '.join(lines)})" if lines else "")


async def _migrations(loaded: LoadedSettings) -> str:
    if behind := await _behind(loaded):
        raise _Wanting(f"behind are {', '.join(behind)}: run 'make-bridge migrate', or start a server whose role may")
    return "every one is applied"


async def _behind(loaded: LoadedSettings) -> list[str]:
    """Return what is not at its newest version, of all databases; raises psycopg.Error where one does not answer."""
    behind: list[str] = []
    async with AsyncExitStack() as stack:
        plan = await plan_of(stack, loaded.settings, join=True)
        for address, trees, number in plan.trees():
            found = await pending(address.url, trees)
            behind += [tree if tree == "directory" else f"{tree} {number}" for tree in found]
    return behind


async def _clock(loaded: LoadedSettings) -> str:
    clock, most = SystemClock(), loaded.settings.clock_skew_seconds
    async with AsyncExitStack() as stack:
        plan = await plan_of(stack, loaded.settings, join=True)
        url = plan.directory.url
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=_CONNECT_SECONDS) as connection:
            before = clock.now()
            row = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
    apart = 0.0 if row is None else (before - row[0]).total_seconds()
    if abs(apart) > most:
        way = "ahead of" if apart > 0 else "behind"
        raise BridgeError(
            f"This machine's clock is {abs(apart):.0f} seconds {way} the database's, and {most:g} are borne: set both "
            "by the same time servers (NTP)."
        )
    return f"within {abs(apart):.1f} seconds of the database's"


async def _log_file(loaded: LoadedSettings) -> str:
    config = loaded.settings.logs("").file
    if config is None:
        return "none: lines go to standard output"
    folder = config.path.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise BridgeError(f"{folder} is no folder that this user may write: lines for {config.path} would be dropped.")
    if config.path.exists() and not os.access(config.path, os.W_OK):
        raise BridgeError(f"{config.path} is not writable for this user: its lines would be dropped.")
    needed, free = config.most_bytes * (config.count + 1), shutil.disk_usage(folder).free
    if free < needed:
        raise _Wanting(f"{config.path} and its older ones may take {needed >> 20} MB, and {free >> 20} are free there.")
    return f"{config.path}, and {config.count} older ones, {needed >> 20} MB at most"


async def _elasticsearch(loaded: LoadedSettings) -> str:
    config = loaded.settings.logs("").elasticsearch
    return "none" if config is None else await examine_elasticsearch(config)


async def _operator_token(loaded: LoadedSettings) -> str:
    path = loaded.settings.metrics_token_file
    if path is None:
        return "none: /metrics and /health are told to this machine only"
    read_token(path)
    return f"{path} lets other machines read /metrics and /health"


async def _connections(loaded: LoadedSettings) -> str:
    async with AsyncExitStack() as stack:
        domain = await open_domain(stack, loaded, lambda _line: None, join=True)
        found = await demands(domain.shards)
    if too_much := [demand for demand in found if demand.is_too_much]:
        raise (_Wanting if loaded.settings.database_overcommit else BridgeError)(advice(too_much))
    return "; ".join(map(str, found)) if found[0].servers else "no server runs"


async def _redis(loaded: LoadedSettings) -> str:
    config = loaded.settings.redis()
    return "none: servers divide rate limits among themselves" if config is None else await examine(config)


async def _zookeeper(loaded: LoadedSettings) -> str:
    config = loaded.settings.zookeeper()
    return "none: processes lead by leases in the database" if config is None else await examine_zookeeper(config)


async def _pages(loaded: LoadedSettings) -> str:
    folder = loaded.settings.pages
    if not (folder / "wizard" / "index.html").exists():
        raise BridgeError(f"The pages are not built at {folder}: run 'make web'.")
    return str(folder)


_CHECKS: tuple[tuple[str, Check], ...] = (
    ("root key", _root_key),
    ("disk", _disk),
    ("migrations", _migrations),
    ("database", _database),
    ("connections", _connections),
    ("clock", _clock),
    ("redis", _redis),
    ("zookeeper", _zookeeper),
    ("log file", _log_file),
    ("elasticsearch", _elasticsearch),
    ("operator's token", _operator_token),
    ("pages", _pages),
)
