"""A shard is added while the product serves: new organizations arrive there by the ring, and all runs for them."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from faults.scene import QUICK
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.sharding.ring import Ring
from support.integrator import Integrator, new_organization
from support.postgres_process import PostgresProcess, own_postgres
from support.server import Installation, installed_anew
from support.waiting import until

pytestmark = [pytest.mark.requires_server("postgresql-15"), pytest.mark.timeout(300)]
ADDED = 5


@pytest.fixture(scope="module")
def postgres(server: Callable[[str], Path]) -> Iterator[PostgresProcess]:
    with own_postgres(server("postgresql-15")) as own:
        yield own


@pytest.fixture
def installation(postgres: PostgresProcess, tmp_path: Path) -> Iterator[Installation]:
    with installed_anew("external-two", tmp_path / "w", postgres, EGRESS_ALLOW="127.0.0.1") as one:
        yield one


def address_file(folder: Path, postgres: PostgresProcess, name: str) -> tuple[Path, str]:
    url = postgres.create(f"{name}_{secrets.token_hex(4)}")
    file = folder / f"{name}.url"
    file.write_text(url + "\n")
    return file, url


def placements(installation: Installation) -> dict[int, int]:
    with psycopg.connect(installation.directory_dsn) as connection:
        found = connection.execute("SELECT organization_id, shard FROM directory.placements").fetchall()
    return dict(found)


def counted(dsn: str, statement: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def organization_on(installation: Installation, url: str, shard: int) -> Integrator:
    """Make organizations until one is placed on a shard; the ring gives each of two about half."""
    for _ in range(12):
        made = new_organization(installation, url)
        if placements(installation)[made.organization_id] == shard:
            return made
    raise AssertionError(f"no organization came to shard {shard}")


def runs(integrator: Integrator, number: int) -> None:
    """Have a scenario run by webhooks."""
    options = {"autoActivate": True, "scenario": {"name": "Quick", "enable": True}}
    connected = integrator.customer().connect(integrator.publish(QUICK), {}, **options)
    for op in range(number):
        assert connected.call_hook({"op": op}).status == 200


def test_a_shard_added_beside_servers_takes_new_organizations_and_runs_their_webhooks(
    installation: Installation, postgres: PostgresProcess, tmp_path: Path
) -> None:
    first, second = installation.server("first").start(), installation.server("second").start()
    old = new_organization(installation, first.url)
    assert placements(installation) == {old.organization_id: 0}
    file, url = address_file(tmp_path, postgres, "added")
    assert installation.ask("shards", "add", str(ADDED), "--url-file", file)["state"] == "active"

    new = organization_on(installation, second.url, ADDED)
    found = placements(installation)
    ring = Ring({0: 100, ADDED: 100})
    assert all(found[one] == ring.of(OrganizationId(one)) for one in found if one != old.organization_id)
    runs(new, 3)
    runs(old, 1)
    until(lambda: counted(url, "SELECT count(*) FROM shard.outcomes") >= 3, "the runs have ended there", within=30)
    until(
        lambda: counted(url, "SELECT count(*) FROM shard.outbox WHERE position IS NULL") == 0,
        "the relay leads on the new shard",
        within=30,
    )
    until(
        lambda: counted(url, "SELECT count(*) FROM shard.audit WHERE seal IS NULL") == 0,
        "the sealer leads on the new shard",
        within=30,
    )
    listed = installation.ask("shards", "list")["shards"]
    assert [(row["number"], row["state"], row["reachable"]) for row in listed] == [
        (0, "active", True),
        (ADDED, "active", True),
    ]
    assert sum(row["organizations"] for row in listed) == len(found)
    page = installation.ask("org", "list")
    assert [(one["id"], one["shard"]) for one in page["organizations"]] == sorted(found.items())
    assert {one["id"]: one["executionsToday"] for one in page["organizations"]}[new.organization_id] == 3
    for server in (first, second):
        assert "password" not in server.log_tail()


def test_what_is_taken_is_not_added_and_what_is_lived_on_is_not_removed(
    installation: Installation, postgres: PostgresProcess, tmp_path: Path
) -> None:
    server = installation.server().start()
    file, url = address_file(tmp_path, postgres, "added")
    installation.command("shards", "add", str(ADDED), "--url-file", file)

    def refused(*arguments: str | Path) -> str:
        done = installation.command("shards", *arguments, check=False)
        assert done.returncode == 1
        assert url not in done.stderr + done.stdout
        return done.stderr

    assert "is shard 5 of an installation already" in refused("add", "6", "--url-file", file)
    other, _ = address_file(tmp_path, postgres, "other")
    assert "already: take another number" in refused("add", str(ADDED), "--url-file", other)
    (tmp_path / "directory.url").write_text(installation.directory_dsn)
    assert "holds the directory" in refused("add", "6", "--url-file", tmp_path / "directory.url")
    living = organization_on(installation, server.url, ADDED)
    assert "organizations live on shard 5" in refused("remove", str(ADDED))
    assert "takes no organizations" not in refused("pin", str(living.organization_id), "9")

    installation.command("shards", "pin", str(living.organization_id), "0")
    installation.command("shards", "unpin", str(living.organization_id))
    installation.command("shards", "add", "6", "--url-file", other)
    installation.command("shards", "remove", "6")
    until(lambda: "shard_dismissed" in server.log_tail(), "the server has closed it", within=10)
    assert "never given again" in refused("add", "6", "--url-file", address_file(tmp_path, postgres, "third")[0])


def test_organizations_move_to_a_shard_and_away_from_it_and_then_it_may_go(
    installation: Installation, postgres: PostgresProcess, tmp_path: Path
) -> None:
    installation.environment |= {"MOVING_GRACE_SECONDS": "20"}
    server = installation.server().start()
    living = new_organization(installation, server.url)
    file, _ = address_file(tmp_path, postgres, "added")
    installation.command("shards", "add", str(ADDED), "--url-file", file)
    owner = f"{ADDED}={file}"

    installation.command("shards", "pin", str(living.organization_id), str(ADDED))
    plan = installation.ask("shards", "rebalance", "--dry-run", "--owner-file", owner)
    assert plan == {"plan": [{"organizationId": living.organization_id, "from": 0, "to": ADDED}], "moved": []}
    unsaid = installation.command("shards", "rebalance", check=False)
    assert (unsaid.returncode, "--owner-file" in unsaid.stderr) == (1, True)
    [moved] = installation.ask("shards", "rebalance", "--owner-file", owner)["moved"]
    assert (moved["moved"], moved["to"]) == (True, ADDED)
    assert placements(installation) == {living.organization_id: ADDED}
    runs(living, 2)

    pinned = installation.command("shards", "drain", str(ADDED), "--owner-file", owner, check=False)
    assert (pinned.returncode, "unpin" in pinned.stderr) == (1, True)
    installation.command("shards", "unpin", str(living.organization_id))
    [back] = installation.ask("shards", "drain", str(ADDED), "--owner-file", owner)["moved"]
    assert (back["moved"], back["to"]) == (True, 0)
    assert placements(installation) == {living.organization_id: 0}
    runs(living, 1)
    page = installation.ask("org", "list")
    assert [(one["shard"], one["executionsToday"]) for one in page["organizations"]] == [(0, 3)]
    installation.command("shards", "remove", str(ADDED))
    assert [row["number"] for row in installation.ask("shards", "list")["shards"]] == [0]
