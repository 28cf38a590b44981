"""What compose would start, started: nginx, PostgreSQL and Redis with the files of `deploy/compose`, and a server.

The containers around them are missing here; what is in them is real.
"""

import http.server
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.compose import begin_database, front_of, make_secrets, redis_of, settings_file
from support.network import free_port, send
from support.postgres_process import own_postgres
from support.server import PROGRAM
from support.waiting import until

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="secrets belong to the users inside the containers: needs root"
)


@dataclass(slots=True)
class Recorder:
    """A server that remembers what reached it; told to, it breaks off instead of answering."""

    port: int
    heads: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    breaks_off: bool = False


@contextmanager
def recorder() -> Iterator[Recorder]:
    seen = Recorder(port=free_port())

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            seen.heads.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
            if seen.breaks_off:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_GET = do_POST = answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", seen.port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def behind(server, tmp_path):
    """Put nginx before two servers that remember."""
    with (
        recorder() as one,
        recorder() as two,
        front_of(server("nginx"), tmp_path / "nginx", [one.port, two.port]) as front,
    ):
        yield front, (one, two)


def asked(servers):
    return [head for server in servers for head in server.heads]


def test_a_caller_cannot_say_where_it_comes_from(behind):
    front, servers = behind
    claims = {
        "X-Forwarded-For": "10.0.0.1, 203.0.113.7",
        "X-Forwarded-Proto": "http",
        "Forwarded": "for=10.0.0.1",
        "X-Real-IP": "10.0.0.1",
    }
    assert send("GET", f"{front.secure}/api/v2/teams", headers=claims, certificate=front.certificate).status == 200
    ((_, _, headers),) = asked(servers)
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert set(headers) & {"forwarded", "x-real-ip", "x-forwarded-proto"} == set()
    assert headers["host"] == front.secure.removeprefix("https://")


@pytest.mark.parametrize(
    "path", ["/metrics", "/live", "/ready", "/health", "//metrics", "/%6detrics", "/x/../ready?a=b"]
)
def test_what_is_for_machines_is_not_told_outside(behind, path):
    front, servers = behind
    assert send("GET", front.secure + path, certificate=front.certificate).status == 404
    assert asked(servers) == []


def test_plain_http_is_sent_to_https(behind):
    front, servers = behind
    reply = send("POST", f"{front.plain}/hook/x?y=1", body=b"{}")
    assert (reply.status, reply.headers["location"].endswith("/hook/x?y=1")) == (308, True)
    assert reply.headers["location"].startswith("https://")
    assert asked(servers) == []


@pytest.mark.parametrize(("method", "path", "times"), [
    ("GET", "/api/v2/teams", 2), ("POST", "/hook/x", 1), ("GET", "/portal/api/bridge/scenarios", 2),
    ("POST", "/portal/api/bridge/scenarios", 1),
], ids=["reading", "webhook", "portal-reading", "portal-writing"])  # fmt: skip
def test_only_what_may_be_repeated_is_tried_again(behind, method, path, times):
    front, servers = behind
    for server in servers:
        server.breaks_off = True
    body = b"{}" if method == "POST" else None
    assert send(method, front.secure + path, body=body, certificate=front.certificate).status == 502
    assert len(asked(servers)) == times


def test_a_server_that_is_gone_costs_nobody_a_request(server, tmp_path):
    with recorder() as alive, front_of(server("nginx"), tmp_path / "nginx", [free_port(), alive.port]) as front:
        answers = [send("POST", f"{front.secure}/hook/x", body=b"{}", certificate=front.certificate) for _ in range(10)]
    assert {reply.status for reply in answers} == {200}
    assert len(alive.heads) == 10


def test_a_body_that_no_route_takes_ends_at_nginx(behind):
    front, servers = behind
    body = b"x" * (5 * 1024 * 1024 + 1)
    assert send("POST", f"{front.secure}/hook/x", body=body, certificate=front.certificate).status == 413
    assert asked(servers) == []


def test_its_log_tells_no_token(behind):
    front, _ = behind
    for path in ("/hook/canary-of-hooks", "/flow/canary-of-flows", "/api/v2/teams?token=canary-of-queries"):
        send("GET", front.secure + path, certificate=front.certificate)
    until(lambda: len(front.said.read_text().splitlines()) == 3, "nginx wrote three lines", within=10)
    said = front.said.read_text()
    assert "canary" not in said
    assert [json.loads(line)["path"] for line in said.splitlines()] == ["/hook/*", "/flow/*", "/api/v2/teams"]


# Five programs start one after the other, on a machine that has others to run.
@pytest.mark.timeout(300)
@pytest.mark.requires_server("postgresql-15", "redis-server", "nginx")
def test_the_secrets_that_are_made_open_everything_they_are_for(server, tmp_path):
    """From `make-secrets.sh` to a page through nginx: roles, migration, a plain serving role, access rules of Redis."""
    secrets = tmp_path / "secrets"
    make_secrets(secrets)
    with (
        own_postgres(server("postgresql-15")) as postgres,
        redis_of(server("redis-server"), secrets, tmp_path / "redis") as redis_port,
    ):
        begin_database(postgres, secrets)
        assert "host replication replication all scram-sha-256" in (postgres.directory / "data/pg_hba.conf").read_text()
        database = {"@postgres:5432/": f"@127.0.0.1:{postgres.port}/"}
        migrating = settings_file(secrets, "migrate.toml", tmp_path, database)
        serving = settings_file(
            secrets, "bridge.toml", tmp_path, database | {"@redis:6379/": f"@127.0.0.1:{redis_port}/"}
        )
        assert run(migrating, tmp_path, "migrate").returncode == 0

        checks = {row["check"]: row for row in json.loads(run(serving, tmp_path, "doctor", "--json").stdout)}
        assert {name for name, row in checks.items() if row["state"] != "ok"} <= {"pages"}, checks
        assert "7." in checks["redis"]["message"], checks["redis"]

        port = free_port()
        process = subprocess.Popen(
            [PROGRAM, "serve", "--port", str(port)],
            env=environment(serving, tmp_path)
            | {
                "MAKE_BRIDGE_METRICS_TOKEN_FILE": str(secrets / "metrics.token"),
                "MAKE_BRIDGE_TRUSTED_PROXIES": "127.0.0.0/8",
            },
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
        )
        try:
            with front_of(server("nginx"), tmp_path / "nginx", [port]) as front:
                until(lambda: process.poll() is not None or is_ready(port), "the server is ready", within=60)
                assert process.poll() is None
                page = send("GET", f"{front.secure}/portal/api/bridge/scenarios", certificate=front.certificate)
                assert (page.status, "code" in page.json()) == (401, True)
                counters = send("GET", f"{front.secure}/metrics", certificate=front.certificate)
                assert counters.status == 404
            token = (secrets / "metrics.token").read_text().strip()
            asks = {"Host": "172.30.238.5:8080", "Authorization": f"Bearer {token}"}
            counters = send("GET", f"http://127.0.0.1:{port}/metrics", headers=asks)
            assert (counters.status, b'queue_oldest_seconds{class="default"} 0.0' in counters.body) == (200, True)
            asks["Authorization"] = f"Bearer {token[:-1]}"
            assert send("GET", f"http://127.0.0.1:{port}/metrics", headers=asks).status == 404
            assert b'redis_up{of="shared"} 1.0' in counters.body
        finally:
            process.terminate()
            assert process.wait(60) == 0


def environment(settings: Path, folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE_BRIDGE_", "PYTEST_"))}
    return kept | {"MAKE_BRIDGE_CONFIG": str(settings), "MAKE_BRIDGE_DATA_DIR": str(folder / "data")}


def run(settings: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    (folder / "data").mkdir(exist_ok=True)
    done = subprocess.run(
        [PROGRAM, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=folder,
        env=environment(settings, folder),
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def is_ready(port: int) -> bool:
    try:
        return send("GET", f"http://127.0.0.1:{port}/ready", patience=2.0).status == 200
    except OSError:
        return False
