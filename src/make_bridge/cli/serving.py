"""``serve`` and ``migrate``: the long-running command, and bringing a database up to date by itself."""

import asyncio
import math
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, cast

import typer
import uvicorn
import uvloop

from make_bridge.boot import Serving, open_domain, open_server
from make_bridge.cli.options import Config, DataDir
from make_bridge.cli.output import command, complain, say
from make_bridge.faces.edge.connections import protocol_of, watch
from make_bridge.faces.edge.listener import hear_no_newcomers
from make_bridge.faces.edge.protocol import BridgeHttpProtocol
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.collector import calm_collector
from make_bridge.kernel.errors import BridgeError, ConfigurationError
from make_bridge.platform.observability.logs import configure_logs
from make_bridge.platform.observability.sinks.outlet import Outlet
from make_bridge.platform.security.certificates import follow, server_context
from make_bridge.platform.security.own_certificate import ensure_own
from make_bridge.platform.security.own_memory import refuse_dumps
from make_bridge.settings import LoadedSettings, Settings, load_settings
from make_bridge.wiring.services import Farewell

_BACKLOG = 2048
# Files that are open besides the connections of clients: databases, calls out, pages.
_SPARE_FILES = 1024
_LOOK_SECONDS = 0.02
# Longer than a connection takes to be made between machines that are near each other.
_DOOR_SECONDS = 0.1


class Server(uvicorn.Server):
    """uvicorn, with three things left to us.

    Signals would end the process before the worker has drained, who begins TLS and falls silent has a minute there, and
    an idle process would wake up ten times a second to see whether it is to end.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        tls: ssl.SSLContext | None = None,
        handshake_seconds: float = 10.0,
        *,
        open_seconds: float = 1.0,
    ) -> None:
        """Listen, with TLS when there is a context for it; idle connections outlive the door by ``open_seconds``."""
        super().__init__(config)
        self._tls = tls
        self._open_seconds = open_seconds
        self._asked_to_end = asyncio.Event()
        self._handshake_seconds = handshake_seconds if tls is not None else None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield

    def end(self) -> None:
        """Have it end now."""
        self.should_exit = True
        self._asked_to_end.set()

    async def main_loop(self) -> None:
        """Set the date that answers tell, once a second, until it is to end."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._asked_to_end.wait()

    def say_goodbye(self) -> None:
        """Make each answer from now on its connection's last, while new connections are still taken."""
        self._protocol.is_ending = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no connection any more, and those that are open leave in their own time, as far as there is any.

        A proxy keeps idle connections and may be sending on one at the moment in which it is closed here; of a change
        it then never knows whether it was made. So each stays open until it was used once more, or for longer than a
        proxy keeps one that it does not use: it is never this side that closes one between two calls.
        """
        self.say_goodbye()
        for listener in sockets or ():
            hear_no_newcomers(listener)
        # Who stands in the door comes in.
        await asyncio.sleep(_DOOR_SECONDS)
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._open_seconds):
                while self.server_state.connections:  # noqa: ASYNC110 - uvicorn keeps a set and tells nobody
                    await asyncio.sleep(_LOOK_SECONDS)
        await super().shutdown(sockets)

    @property
    def _protocol(self) -> type[BridgeHttpProtocol]:
        return cast("type[BridgeHttpProtocol]", self.config.http_protocol_class)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()

        def connect() -> asyncio.Protocol:
            protocol: type[asyncio.Protocol] = self.config.http_protocol_class
            return protocol(config=self.config, server_state=self.server_state, app_state={})  # type: ignore[call-arg]

        self.servers = [
            await loop.create_server(
                connect, sock=listener, ssl=self._tls, backlog=_BACKLOG, ssl_handshake_timeout=self._handshake_seconds
            )
            for listener in sockets or ()
        ]
        self.started = True


def serve(
    *,
    roles: Annotated[
        str | None,
        typer.Option(
            "--roles",
            help="Some of gateway, bridge, templates, scenarios and worker, with commas; all without it.",
        ),
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="The port to listen on.")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    tls_self_signed: Annotated[
        bool, typer.Option("--tls-self-signed", help="Speak https, with a certificate made for this machine.")
    ] = False,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="The certificate to speak https with.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its key.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Serve the demo organization and its page.")] = False,
) -> None:
    """Serve everything, or some of the services: the database too, unless an external one is set."""
    refuse_dumps()
    overrides = {
        "roles": roles, "host": host, "port": port, "data_dir": data_dir, "mode": "demo" if demo else None,
        "tls_self_signed": tls_self_signed or None, "tls_cert": tls_cert, "tls_key": tls_key,
    }  # fmt: skip
    try:
        loaded = load_settings(config, overrides)
        for warning in loaded.warnings:
            complain(warning)
        logs = configure_logs(loaded.settings.logs(loaded.node_id))
        try:
            uvloop.run(_serve(loaded, logs))
        finally:
            logs.close()
    except BridgeError as error:
        complain(error.message)
        raise typer.Exit(1) from error


async def _serve(loaded: LoadedSettings, logs: Outlet) -> None:
    settings = loaded.settings
    _allow_files(settings.connections + _SPARE_FILES)
    tls = _tls(settings)
    listener = _listen(settings.host, settings.port)
    say("Starting the database …" if settings.is_embedded else "Connecting to the database …")
    async with AsyncExitStack() as stack:
        serving = await open_server(stack, loaded, say, logs)
        config = uvicorn.Config(
            serving.app,
            http=protocol_of(settings.client_connections()),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=math.ceil(settings.idle_seconds),
            timeout_graceful_shutdown=int(settings.drain_seconds),
        )
        head_seconds = settings.client_connections().head_seconds
        server = Server(config, tls, head_seconds, open_seconds=settings.open_seconds)
        ending = _Ending(server, serving.farewell)
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, ending.begin)
        calm_collector()
        _announce(loaded, serving)
        watching = asyncio.create_task(watch(server.server_state.connections))
        stack.callback(watching.cancel)
        if tls is not None and (files := settings.tls_files()) is not None:
            stack.callback(asyncio.create_task(follow(tls, files)).cancel)
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


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """Read the certificate before anything is started, or make the one of this machine."""
    files = settings.tls_files()
    if files is None:
        return None
    if settings.tls_self_signed:
        ensure_own(files, SystemClock().now())
    return server_context(files)


class _Ending:
    """From the first signal to the end of listening; a second signal does not wait for anybody."""

    def __init__(self, server: Server, farewell: Farewell) -> None:
        self._server = server
        self._farewell = farewell
        self._saying: asyncio.Task[None] | None = None

    def begin(self) -> None:
        if self._saying is not None or not self._farewell.seconds:
            self._server.end()
            return
        self._server.say_goodbye()
        say("Ending: others are told first …")
        self._saying = asyncio.create_task(self._farewell.say(), name="farewell")
        self._saying.add_done_callback(lambda _: self._stop())

    def _stop(self) -> None:
        self._server.end()


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
    if settings.is_called_by_gateways:
        say(f"Make Bridge serves its gateways at {settings.advertised or settings.local_url}")
    else:
        say(f"Make Bridge serves at {settings.origin}")
    if settings.is_apart:
        say(f"  services        {', '.join(settings.roles)}")
    if settings.tls_self_signed and (files := settings.tls_files()) is not None:
        say(f"  certificate     {files.certificate.resolve()} (clients on Node trust it by NODE_EXTRA_CA_CERTS)")
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
        opened = await open_domain(stack, load_settings(config, {"data_dir": data_dir}), say, join=True)
        if away := opened.shards.away():
            raise ConfigurationError(f"Shards that were not reached: {', '.join(map(str, away))}. Repeat this later.")
    say("Every database is at its newest version.")
