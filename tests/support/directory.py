"""The operator's view of an installation from this process: organizations are made, and listed while others work.

For tests that need many organizations, or many looks in a short time; the command, which does the same, takes a second
for each.
"""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from make_bridge.boot import open_domain
from make_bridge.domain.organizations.messages import NewOrganization
from make_bridge.domain.organizations.overview import overview
from make_bridge.settings import load_settings
from make_bridge.wiring.domain import Domain
from support.server import Installation

_PAGE = 5
_PAUSE = 0.2


@dataclass(slots=True)
class Listings:
    """Lists all organizations again and again, page by page; ``wrong`` is what was not as it should."""

    expected: frozenset[int]
    taken: int = 0
    wrong: list[str] = field(default_factory=list)

    def judge(self, listed: Sequence[tuple[int, int | None]]) -> None:
        """Hold one listing, of ids with their number of teams, against what there is."""
        self.taken += 1
        ids = [id_ for id_, _ in listed]
        known = [id_ for id_ in ids if id_ in self.expected]
        if missing := self.expected - set(known):
            self.wrong.append(f"missing {sorted(missing)}")
        if len(known) != len(set(known)):
            self.wrong.append(f"twice {sorted({id_ for id_ in known if known.count(id_) > 1})}")
        if bare := [id_ for id_, teams in listed if teams == 0]:
            self.wrong.append(f"without a team {bare}")


def make_organizations(installation: Installation, count: int) -> list[int]:
    """Make organizations as the command does, and return their ids."""

    async def make(domain: Domain) -> list[int]:
        given = [NewOrganization(name=f"Acme {number}", origins=()) for number in range(count)]
        return [int((await domain.service.create(one)).organization_id) for one in given]

    async def opened() -> list[int]:
        async with AsyncExitStack() as stack:
            return await make(await _open(stack, installation))

    return asyncio.run(opened())


@contextmanager
def listing(installation: Installation, expected: Sequence[int]) -> Iterator[Listings]:
    """List for as long as the block lasts, on a thread of its own."""
    listings, stopped = Listings(frozenset(expected)), threading.Event()

    async def go_on() -> None:
        async with AsyncExitStack() as stack:
            domain = await _open(stack, installation)
            while not stopped.is_set():
                listings.judge(await _all(domain))
                await asyncio.sleep(_PAUSE)

    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(go_on())
        except Exception as error:  # noqa: BLE001 - told to the test when the block ends
            failed.append(error)

    thread = threading.Thread(target=run, name="listing")
    thread.start()
    try:
        yield listings
    finally:
        stopped.set()
        thread.join()
    assert not failed, failed


async def _all(domain: Domain) -> list[tuple[int, int | None]]:
    listed: list[tuple[int, int | None]] = []
    after: int | None = 0
    while after is not None:
        page = await overview(domain.shards, after=after, limit=_PAGE)
        listed += [(int(one.id), None if one.figures is None else one.figures.teams) for one in page.organizations]
        after = page.after
    return listed


async def _open(stack: AsyncExitStack, installation: Installation) -> Domain:
    environment = installation.environment
    given = {
        "database_url": environment["DATABASE_URL"],
        "shard_urls": environment["SHARD_URLS"],
        "root_key_file": Path(environment["ROOT_KEY_FILE"]),
        "data_dir": installation.data_dir,
        "database_connections": 2,
    }
    return await open_domain(stack, load_settings(None, given), lambda _line: None)
