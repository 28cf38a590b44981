"""A storm of replayed tokens (A17, F-31): every token on four processes at the same moment, while something breaks.

Four servers on one external PostgreSQL; the fourth reaches it over a line that can be held and cut. Tokens are minted
as they are shown, each to all four at once. The oracle counts by token: DOUBLE is one that was accepted twice, and
must be 0 whatever happens; LOST is one that nobody accepted, and must be 0 while nothing breaks. CI shows 400 tokens,
`MAKE_BRIDGE_TEST_STORM=10000` as many as the promise names. What breaks is a parameter: an entry of ``BREAKING`` is
called at each eighth of the storm.
"""

import asyncio
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import aiohttp
import psycopg
import pytest

from attacks.scene import LISTED
from faults.scene import tell
from support.integrator import Integrator, new_organization
from support.postgres_process import PostgresProcess, own_postgres
from support.redis_process import own_redis
from support.server import Installation, ServerProcess, installed
from support.slow_line import SlowLine, slow_line
from support.waiting import until

TOKENS = int(os.environ.get("MAKE_BRIDGE_TEST_STORM", "400"))
SERVERS, AT_ONCE, PARTS = 4, 8, 8
SECONDS = 300 + TOKENS * 0.15
pytestmark = [pytest.mark.requires_server("postgresql-15"), pytest.mark.timeout(SECONDS)]
PATIENCE = 60.0
ACCEPTED, REFUSED, UNAVAILABLE = 200, 401, 503


@dataclass(frozen=True, kw_only=True)
class Storm:
    """Where it rages: the last of the servers reaches its database over the line."""

    installation: Installation
    postgres: PostgresProcess
    servers: tuple[ServerProcess, ...]
    line: SlowLine
    acme: Integrator


@dataclass(kw_only=True)
class Seen:
    """What came of it: how often each token was accepted, and what each server answered how often."""

    accepted: Counter[str] = field(default_factory=Counter)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    last: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    broken: int = 0

    @property
    def double(self) -> list[str]:
        return [token for token, times in self.accepted.items() if times > 1]

    @property
    def lost(self) -> list[str]:
        return [token for token, times in self.accepted.items() if times == 0]

    def __str__(self) -> str:
        """All numbers on one line."""
        told = {name: dict(sorted(found.items())) for name, found in sorted(self.statuses.items())}
        return (
            f"tokens {len(self.accepted)}, DOUBLE {len(self.double)}, LOST {len(self.lost)},"
            f" broken {self.broken} times, answers {told}"
        )


def nothing_breaks(_storm: Storm) -> None:
    """Let it be."""


def the_line_is_cut(storm: Storm) -> None:
    """Break the connections of one process to its database, whatever it has just asked."""
    storm.line.cut()


def answers_are_lost(storm: Storm) -> None:
    """Let what one process asks be done, and the answer never arrive. Its own loops always ask something."""
    storm.line.hold_answers()
    until(lambda: storm.line.holds(b""), "an answer of the database is held", within=PATIENCE)
    storm.line.cut()


def sessions_are_ended(storm: Storm) -> None:
    """End every session of the product at the database, in the middle of whatever it does."""
    with psycopg.connect(storm.postgres.url(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


BREAKING: Mapping[str, Callable[[Storm], None]] = MappingProxyType(
    {
        "nothing": nothing_breaks,
        "the line of one process": the_line_is_cut,
        "answers to one process": answers_are_lost,
        "all sessions": sessions_are_ended,
    }
)


@pytest.fixture(scope="module")
def storm(server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    with raging(server("postgresql-15"), tmp_path_factory.mktemp("storm")) as storm:
        yield storm


@contextmanager
def raging(programs: Path, folder: Path, **settings: str) -> Iterator[Storm]:
    """Serve four times over one database, the last over a line."""
    with ExitStack() as exits:
        postgres = exits.enter_context(own_postgres(programs))
        line = exits.enter_context(slow_line(postgres.port))
        installation = exits.enter_context(installed("external-one", folder / "served", postgres, **settings))
        over_the_line = installation.environment["DATABASE_URL"].replace(f":{postgres.port}/", f":{line.port}/")
        assert urlsplit(over_the_line).port == line.port
        names = [f"server-{number}" for number in range(1, SERVERS + 1)]
        servers = [installation.server(name, NODE_ID=name) for name in names[:-1]]
        servers.append(installation.server(names[-1], NODE_ID=names[-1], DATABASE_URL=over_the_line))
        servers[0].start()
        for one in servers[1:]:
            one.start(wait=False)
        acme = new_organization(installation, servers[0].url)
        for one in servers[1:]:
            one.wait_ready()
        yield Storm(installation=installation, postgres=postgres, servers=tuple(servers), line=line, acme=acme)


async def rage(storm: Storm, breaks: Callable[[Storm], None]) -> Seen:
    """Show every token to every server at the same moment, a few tokens at a time, and break something meanwhile."""
    seen = Seen(statuses={one.name: Counter() for one in storm.servers})
    room, one_at_a_time = asyncio.Semaphore(AT_ONCE), asyncio.Lock()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:

        async def show(token: str, where: ServerProcess) -> None:
            async with session.get(where.url + LISTED, headers={"Authorization": f"Bearer {token}"}) as reply:
                await reply.read()
            seen.statuses[where.name][reply.status] += 1
            seen.accepted[token] += reply.status == ACCEPTED

        async def show_everywhere() -> None:
            async with room:
                token = storm.acme.token("dana")
                seen.accepted[token] = 0
                seen.last.append(token)
                await asyncio.gather(*(show(token, where) for where in storm.servers))

        async def break_it() -> None:
            async with one_at_a_time:
                await asyncio.to_thread(breaks, storm)
                seen.broken += 1

        async with asyncio.TaskGroup() as tasks:
            for number in range(TOKENS):
                if number % max(TOKENS // PARTS, 1) == max(TOKENS // PARTS, 1) // 2:
                    tasks.create_task(break_it())
                await room.acquire()
                room.release()
                tasks.create_task(show_everywhere())
        for one in storm.servers:
            await asyncio.to_thread(until, one.is_ready, f"{one.name} is ready again", within=PATIENCE)
        # What was accepted stays used, everywhere, however the storm ended.
        for token in [token for token in seen.last if seen.accepted[token]]:
            for where in storm.servers:
                await show(token, where)
    tell(str(seen))
    return seen


@pytest.mark.parametrize("breaking", BREAKING)
async def test_a17_of_a_token_on_four_servers_at_once_one_is_accepted_whatever_breaks(
    storm: Storm, breaking: str
) -> None:
    """Hundreds of tokens, each on four processes at the same moment: never one twice, also while connections break."""
    seen = await rage(storm, BREAKING[breaking])
    told = str(seen)
    assert seen.double == [], told
    assert len(seen.accepted) == TOKENS, told
    answers = Counter[int]()
    for found in seen.statuses.values():
        answers.update(found)
    assert set(answers) <= {ACCEPTED, REFUSED, UNAVAILABLE}, told
    if breaking == "nothing":
        again = len([token for token in seen.last if seen.accepted[token]])
        assert seen.lost == [], told
        assert answers == {ACCEPTED: TOKENS, REFUSED: TOKENS * (SERVERS - 1) + again * SERVERS}, told
        return
    assert seen.broken >= min(PARTS, TOKENS), told
    if breaking != "all sessions":
        # What breaks the line of one is no business of the others.
        undisturbed = [seen.statuses[one.name] for one in storm.servers[:-1]]
        assert all(set(found) <= {ACCEPTED, REFUSED} for found in undisturbed), told
    # A claim of which nobody knows is lost at most: where most of them are, nothing was shown.
    assert len(seen.lost) < TOKENS / 4, told


@pytest.mark.requires_server("redis-server")
async def test_a17_exactly_one_of_four_is_accepted_while_redis_is_emptied_again_and_again(
    server: Callable[[str], Path], tmp_path: Path
) -> None:
    """What Redis has forgotten lets no token in twice, and keeps none out."""
    with own_redis(server("redis-server"), tmp_path / "redis") as redis:
        # A machine that does much else answers late, and that is not what this is about.
        settings = {"REDIS_URL": redis.url, "REDIS_SECONDS": "1"}
        with raging(server("postgresql-15"), tmp_path, **settings) as storm:
            seen = await rage(storm, lambda _storm: redis.flush())
            seen_there = sum(one.metric("used_tokens_seen_in_redis_total") for one in storm.servers)
    told = f"{seen}, refused by Redis {seen_there:g}"
    tell(told)
    assert (seen.double, seen.lost, len(seen.accepted)) == ([], [], TOKENS), told
    assert seen.broken >= min(PARTS, TOKENS), told
    assert seen_there > TOKENS, "Redis stood in nobody's way: the test does not bite"
