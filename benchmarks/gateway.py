"""The gateway: requests handed on a second, each with a token that is verified and used up, beside others that do it.

The peer is what the product's design began with: Express with http-proxy-middleware and jsonwebtoken, given the same
guarantee of a used token in the same PostgreSQL. nginx alone, which knows no tokens, is the limit. All hand on to one
process that answers at once; load and rounds are the same and take turns. Goal: no slower than the peer.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
import uvloop
from psycopg.conninfo import conninfo_to_dict

from benchmarks import target
from benchmarks.load import Load, LoadResult
from benchmarks.report import Report
from make_bridge.boot import open_domain
from make_bridge.domain.organizations.messages import NewOrganization, OrganizationCreated
from make_bridge.kernel.clock import SystemClock
from make_bridge.platform.database.embedded import EmbeddedConfig, EmbeddedPostgres
from make_bridge.platform.security.portal_tokens import mint_portal_token
from make_bridge.settings import load_settings

_OURS, _PEER, _NGINX = 18081, 18082, 18083
_PATH = "/portal/api/bridge/scenarios"
_REQUESTS, _CONNECTIONS, _ROUNDS, _WARM = 4_000, 32, 3, 500
_EXPRESS = Path(__file__).with_name("express")
_REGISTER = """
INSERT INTO directory.servers (name, limits, address, roles, weight, version, seen_at)
VALUES ('a node that answers', '{}', %s, '{bridge,scenarios,templates}', 1, '', now() + interval '1 day')
"""
_NGINX_CONF = """
daemon off; worker_processes 1; pid %(folder)s/nginx.pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path %(folder)s; proxy_temp_path %(folder)s; fastcgi_temp_path %(folder)s;
  uwsgi_temp_path %(folder)s; scgi_temp_path %(folder)s;
  upstream nodes { server 127.0.0.1:%(target)d; keepalive 64; }
  server {
    listen 127.0.0.1:%(port)d;
    location / { proxy_pass http://nodes; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
"""


def run(report: Report) -> None:
    """Measure and report."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None or shutil.which("npm") is None:
        report.line("nginx, node and npm are needed", "left out")
        return
    subprocess.run(["npm", "ci", "--silent"], cwd=_EXPRESS, check=True)
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="make-bridge-bench-") as named:
        folder = Path(named)
        postgres = _Database(folder)
        stack.callback(postgres.close)
        made = asyncio.run(postgres.prepare())
        address = stack.enter_context(target.answering()).rstrip("/")
        postgres.register(address)
        stack.enter_context(_started(_serve_command(folder), postgres.environment(), _OURS))
        peer = {"PORT": str(_PEER), "TARGET": address, "SECRET": made.secret, "DATABASE": postgres.dsn}
        stack.enter_context(_started(["node", str(_EXPRESS / "server.mjs")], peer, _PEER))
        conf = folder / "nginx.conf"
        conf.write_text(_NGINX_CONF % {"folder": folder, "target": target.PORT, "port": _NGINX})
        stack.enter_context(_started([program, "-c", str(conf), "-p", str(folder)], {}, _NGINX))
        best = dict.fromkeys((_OURS, _PEER, _NGINX), 0.0)
        late = dict(best)
        for _ in range(_ROUNDS):
            for port in best:
                result = _loaded(folder, port, made)
                if result.per_second > best[port]:
                    best[port], late[port] = result.per_second, result.p99
        for name, port in (("ours", _OURS), ("Express, the same guarantee", _PEER), ("nginx, no tokens", _NGINX)):
            report.line(name, f"{best[port]:,.0f}/s, p99 {late[port]:.0f} ms")
        report.goal("ours / Express", best[_OURS] / best[_PEER], at_least=1.0)


class _Database:
    """An embedded PostgreSQL that several processes use as an external one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._exits = AsyncExitStack()
        self._loop = asyncio.new_event_loop()
        server = EmbeddedPostgres(EmbeddedConfig(data_dir=folder / "data"))
        facts = conninfo_to_dict(self._loop.run_until_complete(self._exits.enter_async_context(server)).admin_dsn)
        who = ":".join(quote(str(facts[name]), safe="") for name in ("user", "password"))
        where = urlencode({"host": facts["host"], "port": facts.get("port", 5432)})
        self.dsn = f"postgresql://{who}@/{facts['dbname']}?{where}"
        key = folder / "root.key"
        key.write_text(secrets.token_hex(32))
        key.chmod(0o600)

    def close(self) -> None:
        self._loop.run_until_complete(self._exits.aclose())
        self._loop.close()

    def environment(self) -> dict[str, str]:
        given = {
            "DATABASE_URL": self.dsn, "ROOT_KEY_FILE": str(self._folder / "root.key"), "RATES": "off",
            "PUBLIC_URL": f"http://127.0.0.1:{_OURS}",
        }  # fmt: skip
        return {f"MAKE_BRIDGE_{name}": value for name, value in given.items()}

    async def prepare(self) -> OrganizationCreated:
        async with AsyncExitStack() as stack:
            given = {"database_url": self.dsn, "root_key_file": self._folder / "root.key"}
            domain = await open_domain(stack, load_settings(None, given), lambda _: None)
            return await domain.service.create(NewOrganization(name="Benchmark"))

    def register(self, address: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(_REGISTER, (address,))


def _serve_command(folder: Path) -> list[str]:
    program = str(Path(sys.executable).with_name("make-bridge"))
    return [program, "serve", "--roles", "gateway", "--port", str(_OURS), "--data-dir", str(folder / "none")]


@contextmanager
def _started(command: list[str], environment: Mapping[str, str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        _await(f"http://127.0.0.1:{port}/ready", process)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.perf_counter() + 60
    while time.perf_counter() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310
            return
        time.sleep(0.05)
    raise RuntimeError(f"nobody answers at {url}")


def _loaded(folder: Path, port: int, made: OrganizationCreated) -> LoadResult:
    """Send requests with a fresh token each, from a process of its own; all of them have to be let in."""
    now, minted = SystemClock().now(), folder / "tokens"
    tokens = [
        mint_portal_token(made.key_id, made.secret, "dana@example.com", now) for _ in range(_REQUESTS + _WARM)
    ]  # fmt: skip
    minted.write_text("\n".join(tokens))
    arguments = [str(port), str(minted)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gateway", *arguments], check=True, capture_output=True, text=True
    )
    result = LoadResult(**json.loads(done.stdout))
    assert result.failed == 0, f"{result.failed} of {result.requests} were refused at port {port}"
    return result


class _WithTokens(Load):
    """Sends one request for each token."""

    def __init__(self, port: int, tokens: list[str]) -> None:
        super().__init__(
            "127.0.0.1", port, _PATH, requests=len(tokens), connections=_CONNECTIONS, rate=0.0
        )  # fmt: skip
        self._heads = iter(
            [
                f"GET {_PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
                for token in tokens
            ]
        )

    def next_request(self) -> bytes:
        return next(self._heads)


async def _send(port: int, tokens: list[str]) -> LoadResult:
    await _WithTokens(port, tokens[:_WARM]).run()
    return await _WithTokens(port, tokens[_WARM:]).run()


if __name__ == "__main__":
    loaded = uvloop.run(_send(int(sys.argv[1]), Path(sys.argv[2]).read_text().split()))
    sys.stdout.write(json.dumps({name: getattr(loaded, name) for name in LoadResult.__slots__}))
