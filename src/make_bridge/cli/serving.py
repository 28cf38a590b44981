"""``serve`` and ``migrate``: the long-running command, and bringing a database up to date by itself."""

import asyncio
import math
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Annotated

import typer
import uvicorn
import uvloop

from make_bridge.boot import Serving, open_domain, open_server
from make_bridge.cli.options import Config, DataDir
from make_bridge.cli.output import command, complain, say
from make_bridge.faces.edge.connections import protocol_of, watch
from make_bridge.kernel.collector import calm_collector
from make_bridge.kernel.errors import BridgeError, ConfigurationError
from make_bridge.platform.observability.logs import configure_logs
from make_bridge.platform.security.own_memory import refuse_dumps
from make_bridge.settings import LoadedSettings, load_settings

_BACKLOG = 2048
# Files that are open besides the connections of clients: databases, calls out, pages.
_SPARE_FILES = 1024


class Server(uvicorn.Server):
    """uvicorn, with signals left to us: it would end the process before the worker has drained."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def serve(
    *,
    roles: Annotated[str | None, typer.Option("--roles", help="Services of this process; without it all.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="The port to listen on.")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    demo: Annotated[bool, typer.Option("--demo", help="Serve the demo organization and its page.")] = False,
) -> None:
    """Serve everything: the database too, unless an external one is set."""
    refuse_dumps()
    overrides = {"host": host, "port": port, "data_dir": data_dir, "mode": "demo" if demo else None}
    try:
        if roles is not None:
            message = "This version runs all services in one process: leave --roles out."
            raise ConfigurationError(message)
        loaded = load_settings(config, overrides)
        for warning in loaded.warnings:
            complain(warning)
        configure_logs(loaded.settings.log_level)
        uvloop.run(_serve(loaded))
    except BridgeError as error:
        complain(error.message)
        raise typer.Exit(1) from error


async def _serve(loaded: LoadedSettings) -> None:
    settings = loaded.settings
    _allow_files(settings.connections + _SPARE_FILES)
    listener = _listen(settings.host, settings.port)
    say("Starting the database …" if settings.is_embedded else "Connecting to the database …")
    async with AsyncExitStack() as stack:
        serving = await open_server(stack, loaded, say)
        config = uvicorn.Config(
            serving.app,
            http=protocol_of(settings.client_connections()),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=math.ceil(settings.idle_seconds),
            timeout_graceful_shutdown=int(settings.drain_seconds),
        )
        server = Server(config)
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, _stop, server)
        calm_collector()
        _announce(loaded, serving)
        watching = asyncio.create_task(watch(server.server_state.connections))
        stack.callback(watching.cancel)
        await server.serve(sockets=[listener])
        say("Stopping: finishing what is under way …")


def _allow_files(wanted: int) -> None:
    """Raise the limit of open files as far as this needs and may; the usual one is for programs that serve nobody."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now == resource.RLIM_INFINITY or now >= wanted:
        return
    reachable = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, most))
    if reachable < wanted:
        complain(
            f"Only {reachable} files may be open, and {wanted} may be needed: raise the limit (ulimit -n {wanted})."
        )


def _stop(server: Server) -> None:
    server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    """Bind before anything is started, so that a taken port costs nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        message = f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with --port."
        raise ConfigurationError(message) from error
    return listener


def _announce(loaded: LoadedSettings, serving: Serving) -> None:
    settings = loaded.settings
    say(f"Make Bridge serves at {settings.origin}")
    if serving.demo is not None:
        demo = serving.demo
        say(f"  demo page       {settings.origin}/demo")
        say(f"  organization    {demo.organization_id}")
        say(f"  key id          {demo.key_id}")
        say(f"  secret          {demo.secret}")
        say(f"  API token       {demo.api_token}")
    say("Stop it with Ctrl-C.")
    sys.stdout.flush()


@command
async def migrate(*, data_dir: DataDir = None, config: Config = None) -> None:
    """Bring the databases to the newest version; serve does the same when it may."""
    async with AsyncExitStack() as stack:
        await open_domain(stack, load_settings(config, {"data_dir": data_dir}), say, join=True)
    say("Every database is at its newest version.")
