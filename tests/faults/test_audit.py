"""The leader of the audit chain is killed amid acts: the next goes on, without a gap and without a row left over.

Two servers on one PostgreSQL; acts go to the one that does not lead, one after the other, while the leader dies. The
oracle: LOST (acts that were answered and have no row), GAP (places of the chain that are no row's, or twice), STUCK
(rows that nobody chains), BROKEN (what the command line's verification names). (F-12)
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import psycopg
import pytest

from faults.scene import tell
from support.integrator import Integrator, new_organization
from support.network import send
from support.postgres_process import own_postgres
from support.server import Installation, ServerProcess, installed
from support.waiting import until

# The term of who was killed, the pause before the next asks for it, and what it has to catch up with.
FOLLOWED_WITHIN = 25.0
LEADER = "SELECT owner FROM shard.leaders WHERE name = 'audit' AND until > now()"
PLACES = "SELECT sequence, object FROM shard.audit WHERE organization_id = %s AND action = 'data-structure.create'"
ALL_PLACES = "SELECT sequence FROM shard.audit WHERE organization_id = %s ORDER BY sequence"

pytestmark = [pytest.mark.requires_server("postgresql-15"), pytest.mark.timeout(180)]


@pytest.fixture
def installation(tmp_path: Path, server: Callable[[str], Path]) -> Iterator[Installation]:
    with (
        own_postgres(server("postgresql-15")) as postgres,
        installed("external-one", tmp_path / "w", postgres) as made,
    ):
        yield made


class Acting:
    """Makes data structures, one after the other, until it is told to stop."""

    def __init__(self, integrator: Integrator) -> None:
        self.answered: list[int] = []
        self._integrator = integrator
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._act)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)

    def _act(self) -> None:
        integrator = self._integrator
        while not self._over.is_set():
            reply = send(
                "POST",
                f"{integrator.url}/api/v2/data-structures?teamId={integrator.team_id}",
                headers={"Authorization": f"Token {integrator.api_token}"},
                json_body={"name": "x", "teamId": integrator.team_id, "strict": False, "spec": []},
            )
            if reply.status == 200:
                self.answered.append(reply.json()["dataStructure"]["id"])


def test_a_killed_leader_of_the_audit_is_followed_without_a_gap(installation: Installation) -> None:
    servers = {name: installation.server(name, NODE_ID=name).start() for name in ("first", "second")}
    with psycopg.connect(installation.shard_dsn, autocommit=True) as database:

        def leader() -> str | None:
            row = database.execute(LEADER).fetchone()
            return None if row is None else str(row[0])

        leading = until(leader, "somebody leads", within=20)
        other = next(server for name, server in servers.items() if name != leading)
        integrator = new_organization(installation, other.url)
        with Acting(integrator) as acting:
            until(lambda: len(acting.answered) >= 20, "acts are under way", within=20)
            _kill(servers[leading], acting)

            def caught_up() -> bool:
                row = database.execute("SELECT owner FROM shard.leaders WHERE name = 'audit'").fetchone()
                return row is not None and row[0] == other.name

            until(caught_up, "the other server leads", within=FOLLOWED_WITHIN)
        organization = (integrator.organization_id,)

        def all_chained() -> bool:
            return all(row[0] is not None for row in database.execute(PLACES, organization).fetchall())

        until(all_chained, "STUCK: rows that nobody chains", within=10)
        kept = {row[1] for row in database.execute(PLACES, organization).fetchall()}
        lost = {f"data-structure/{made}" for made in acting.answered} - kept
        places = [row[0] for row in database.execute(ALL_PLACES, organization).fetchall()]
    verified = installation.ask("audit", "verify")
    tell(f"acts {len(acting.answered)}; LOST {len(lost)}; rows {len(places)}; BROKEN {verified['broken']}")
    assert lost == set(), "LOST"
    assert places == list(range(1, len(places) + 1)), "GAP"
    assert verified["broken"] == [], "BROKEN"


def _kill(server: ServerProcess, acting: Acting) -> None:
    before = len(acting.answered)
    server.kill()
    until(lambda: len(acting.answered) >= before + 20, "acts go on without a leader", within=20)
