"""``doctor``: looks at everything a server needs and says what to do about what is wrong."""

import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import typer

from make_bridge.boot import open_domain
from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.output import as_json, as_table, command
from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.coordination.zookeeper_session import examine as examine_zookeeper
from make_bridge.platform.redis.client import examine
from make_bridge.platform.security.root_key import RootKey
from make_bridge.platform.sharding.together import advice, demands
from make_bridge.settings import LoadedSettings, load_settings

_LEAST_FREE = 1024**3
Check = Callable[[LoadedSettings], Awaitable[str]]


class _Warning(BridgeError):
    """Something to know of that keeps no server from serving."""


@command
async def doctor(*, data_dir: DataDir = None, config: Config = None, as_json_: Json = False) -> None:
    """Check configuration, keys, disk, database and pages; ends with 1 when something is wrong."""
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


async def _look(name: str, check: Check, loaded: LoadedSettings) -> tuple[str, str, str]:
    try:
        return name, "ok", await check(loaded)
    except _Warning as error:
        return name, "warning", error.message
    except BridgeError as error:
        return name, "wrong", error.message
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
    async with AsyncExitStack() as stack:
        domain = await open_domain(stack, loaded, lines.append, join=True)
        await domain.shards.reach()
        for number, reason in domain.shards.away().items():
            raise BridgeError(f"Shard {number}: {reason}")
    place = "embedded" if loaded.settings.is_embedded else "external"
    return f"{place}, answers, every migration applied" + (f" ({', '.join(lines)})" if lines else "")


async def _connections(loaded: LoadedSettings) -> str:
    async with AsyncExitStack() as stack:
        domain = await open_domain(stack, loaded, lambda _line: None, join=True)
        found = await demands(domain.shards)
    if too_much := [demand for demand in found if demand.is_too_much]:
        raise (_Warning if loaded.settings.database_overcommit else BridgeError)(advice(too_much))
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
    ("database", _database),
    ("connections", _connections),
    ("redis", _redis),
    ("zookeeper", _zookeeper),
    ("pages", _pages),
)
