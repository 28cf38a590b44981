"""Two layers: an answer for each organization, kept in the process and, where there is Redis, for all servers.

For what many read and few change, such as the public templates; ``platform/bus/queries`` puts it before a view. Near
entries are answered a little longer while they are read anew, so nobody but the first waits for a reading: not for what
somebody's access hangs on. A change is forgotten near at once; until Redis has been told of it, this process asks the
database itself and brings nothing there.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.cache.far import FarShelf, Place
from make_bridge.platform.cache.near import CacheNumbers, NearLookUp, Traits

Kept = TypeVar("Kept")

_MOST: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """How long an answer lives near, and how much longer it is answered while it is read anew."""

    seconds: float
    stale_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question(Generic[Kept]):
    """One organization; how to read its answer is that of whoever asks first."""

    organization_id: OrganizationId
    read: Callable[[], Awaitable[Kept]] | None = field(default=None, compare=False)


class RememberedAnswers(Generic[Kept]):
    """See the module."""

    def __init__(self, clock: Clock, lives: Lives) -> None:
        """Begin empty, with one layer."""
        self._shelf: FarShelf[Kept] | None = None
        self._finder: NearLookUp[_Question[Kept], Kept] = NearLookUp(
            clock, self._look_up, seconds=lives.seconds, most=_MOST, traits=Traits(stale_seconds=lives.stale_seconds)
        )
        self._untold: Counter[OrganizationId] = Counter()
        self._telling: asyncio.Task[None] | None = None

    def share(self, shelf: FarShelf[Kept]) -> None:
        """Put the second layer behind the first."""
        self._shelf = shelf

    async def find(self, organization_id: OrganizationId, read: Callable[[], Awaitable[Kept]]) -> Kept:
        """Return the answer; ``read`` opens what it needs itself, since others may wait for it, too."""
        found = await self._finder.find(_Question(organization_id=organization_id, read=read))
        return await read() if found is None else found

    def forget(self, organization_id: OrganizationId) -> None:
        """Drop the answer of an organization in which something changed, and have Redis told."""
        self._finder.forget(_Question(organization_id=organization_id))
        if self._shelf is None:
            return
        self._untold[organization_id] += 1
        if self._telling is None:
            # What it logs is of no request.
            self._telling = asyncio.create_task(self._tell(self._shelf), name="far-cache", context=Context())

    def numbers(self) -> CacheNumbers:
        """Return what became of the reads."""
        return self._finder.numbers()

    async def close(self) -> None:
        """Tell what is untold."""
        if self._telling is not None:
            await self._telling

    async def _tell(self, shelf: FarShelf[Kept]) -> None:
        """Tell Redis of changes, one after the other. One that is away is not believed afterwards, so none is lost."""
        try:
            while self._untold:
                organization_id, changes = next(iter(self._untold.items()))
                await shelf.forget(Place(organization_id=organization_id))
                # One that came meanwhile wants a telling of its own: who has read before it may still write.
                if self._untold[organization_id] == changes:
                    del self._untold[organization_id]
        finally:
            self._telling = None

    async def _look_up(self, question: _Question[Kept]) -> Kept | None:
        read = question.read
        if read is None:
            return None
        if self._shelf is None or question.organization_id in self._untold:
            return await read()
        return await self._shelf.through(Place(organization_id=question.organization_id), read)
