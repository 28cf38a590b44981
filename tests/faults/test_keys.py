"""Keys from the outside: two servers on one database, rotated under load by the command beside them (F-57)."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from support.integrator import Integrator, new_organization
from support.network import send
from support.postgres_process import own_postgres
from support.server import Installation, ServerProcess, installed
from support.waiting import until

pytestmark = [pytest.mark.requires_server("postgresql-15"), pytest.mark.timeout(300)]
REFUSED_WITHIN = 5.0
# What a test adds to that: the second a token's end is rounded to, and a look on a busy machine.
SLACK = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two servers on one database, and an organization."""

    installation: Installation
    servers: tuple[ServerProcess, ServerProcess]
    integrator: Integrator

    @property
    def organization(self) -> str:
        return str(self.integrator.organization_id)

    def holder(self, key: dict[str, Any]) -> Integrator:
        """Sign with another key."""
        return replace(self.integrator, key_id=key["keyId"], secret=key["secret"])

    def status(self, integrator: Integrator, server: ServerProcess) -> int:
        return replace(integrator, url=server.url).customer("dana").call("GET", "/scenarios").status

    def until_refused(self, integrator: Integrator) -> float:
        """Wait until every server refuses a key; return how long it took."""
        begun = time.monotonic()
        until(
            lambda: all(self.status(integrator, server) == 401 for server in self.servers),
            "the key is refused",
            within=20,
        )
        return time.monotonic() - begun


@pytest.fixture
def pair(tmp_path: Path, server: Callable[[str], Path]) -> Iterator[Pair]:
    with (
        own_postgres(server("postgresql-15")) as postgres,
        installed("external-one", tmp_path / "w", postgres, EGRESS_ALLOW="127.0.0.1") as installation,
    ):
        servers = tuple(installation.server(name, NODE_ID=name).start() for name in ("first", "second"))
        integrator = new_organization(installation, servers[0].url)
        yield Pair(installation=installation, servers=(servers[0], servers[1]), integrator=integrator)


@dataclass(slots=True)
class Load:
    """Requests that are never refused while the key they are signed with is accepted."""

    pair: Pair
    integrator: Integrator
    sent: int = 0
    refused: list[int] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def go_on(self) -> None:
        while not self._stop.is_set():
            for server in self.pair.servers:
                # One object is replaced as a whole, so the key and its secret belong together.
                status = self.pair.status(self.integrator, server)
                self.sent += 1
                if status != 200:
                    self.refused.append(status)


@contextmanager
def load(pair: Pair) -> Iterator[Load]:
    running = Load(pair=pair, integrator=pair.integrator)
    thread = threading.Thread(target=running.go_on)
    thread.start()
    try:
        yield running
    finally:
        running._stop.set()  # noqa: SLF001 - it is ours
        thread.join()


def test_a_portal_key_is_rotated_under_load_and_no_valid_request_is_refused(
    pair: Pair, record_property: Callable[[str, object], None]
) -> None:
    organization = ("--organization", pair.organization)
    with load(pair) as running:
        made = pair.installation.ask("keys", "rotate", *organization, "--overlap", "8")
        overlap_ends = time.monotonic() + 8
        # Both are accepted by both servers: the one before by requests under way, the new one from the first moment on.
        for server in pair.servers:
            assert pair.status(pair.holder(made), server) == 200
        before = running.sent
        until(lambda: running.sent > before + 20, "requests go on with the key before", within=30)
        assert time.monotonic() < overlap_ends - 1, "this machine is too slow for this test's overlap"
        running.integrator = pair.holder(made)
        until(lambda: running.sent > before + 40, "requests go on with the new key", within=30)
        time_left = max(0.0, overlap_ends - time.monotonic())
        took = pair.until_refused(pair.integrator)
        assert took <= time_left + REFUSED_WITHIN + SLACK
    record_property("requests", running.sent)
    assert running.refused == [], f"REFUSED {len(running.refused)} of {running.sent}"
    listed = pair.installation.ask("keys", "list", *organization)
    assert [(key["keyId"], key["isCurrent"]) for key in listed] == [
        (made["keyId"], True),
        (pair.integrator.key_id, False),
    ]
    # A key that is revoked is refused by both servers, which had remembered it.
    again = pair.installation.ask("keys", "rotate", *organization, "--overlap", "3600")
    assert [pair.status(pair.holder(made), server) for server in pair.servers] == [200, 200]
    pair.installation.command("keys", "revoke", made["keyId"], *organization)
    assert pair.until_refused(pair.holder(made)) <= REFUSED_WITHIN + SLACK
    assert pair.status(pair.holder(again), pair.servers[0]) == 200


@pytest.mark.attack("H05")
def test_the_root_key_is_rotated_beside_servers_that_go_on(pair: Pair, tmp_path: Path) -> None:
    new = tmp_path / "new.key"
    new.write_text(secrets.token_hex(32))
    new.chmod(0o600)
    old_key = Path(pair.installation.environment["ROOT_KEY_FILE"]).read_text()
    with load(pair) as running:
        told = pair.installation.ask("keys", "rotate-root", "--new-key-file", new)
        assert told == {"dataKeys": 1, "inPlace": True}
        # Longer than a server remembers a data key: it has to open it again.
        begun, sent = time.monotonic(), running.sent
        until(lambda: time.monotonic() > begun + 7 and running.sent > sent + 20, "requests go on", within=40)
        assert pair.installation.ask("keys", "list", "--organization", pair.organization)
    assert running.refused == [], f"REFUSED {len(running.refused)} of {running.sent}"
    assert pair.servers[0].end() is None
    pair.servers[0].start()
    assert pair.status(pair.integrator, pair.servers[0]) == 200
    old = tmp_path / "old.key"
    old.write_text(old_key)
    old.chmod(0o600)
    refused = pair.installation.server("third", ROOT_KEY_FILE=str(old)).start(wait=False)
    assert refused.process is not None
    assert refused.process.wait(30) != 0
    refused.process = None
    assert "root key" in refused.log_tail()
    assert old_key not in refused.log_tail()


def test_a_token_with_scopes_is_made_and_revoked_by_the_command(pair: Pair) -> None:
    organization = ("--organization", pair.organization)
    made = pair.installation.ask("tokens", "create", "Reader", *organization, "--scope", "usage:read", "--days", "1")

    def status(target: str, server: ServerProcess) -> int:
        headers = {"Authorization": f"Token {made['token']}"}
        return send("GET", f"{server.url}/api/v2{target}", headers=headers).status

    usage = f"/organizations/{pair.organization}/usage"
    assert [status(usage, server) for server in pair.servers] == [200, 200]
    assert status("/jobs", pair.servers[0]) == 403
    assert status(f"/organizations/{pair.organization}/tokens", pair.servers[0]) == 403
    listed = pair.installation.ask("tokens", "list", *organization)
    assert [token["label"] for token in listed] == ["First token", "Reader"]
    assert listed[1]["lastUsedAt"] is not None
    refused = pair.installation.command("tokens", "create", "X", *organization, "--scope", "all", check=False)
    assert refused.returncode == 1
    assert "There is no scope 'all'" in refused.stderr
    pair.installation.command("tokens", "revoke", str(made["id"]), *organization)
    begun = time.monotonic()
    until(lambda: all(status(usage, server) == 401 for server in pair.servers), "the token is refused", within=20)
    assert time.monotonic() - begun <= REFUSED_WITHIN + SLACK


def test_data_keys_are_rotated_and_an_organization_is_destroyed(pair: Pair) -> None:
    told = pair.installation.command("org", "shred", pair.organization, check=False)
    assert (told.returncode, "--yes" in told.stderr) == (1, True)
    [asked] = pair.installation.ask("keys", "rotate-data", "--all")
    job = ("jobs", "show", asked["jobId"], "--organization", pair.organization)
    # Once everything is sealed anew it waits until no server remembers the key before.
    until(lambda: pair.installation.ask(*job)["state"] == "completed", "the data key is rotated", within=120, pause=2)
    assert pair.status(pair.integrator, pair.servers[0]) == 200
    pair.installation.command("org", "shred", pair.organization, "--yes")
    assert pair.until_refused(pair.integrator) <= REFUSED_WITHIN + SLACK
