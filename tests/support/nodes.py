"""Processes of the product in miniature: ingest, worker and waiters over real databases, calls out from a script."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from make_bridge.domain.executions.confidential import Answers, Payloads
from make_bridge.domain.executions.ingest import Ingest, IngestConfig
from make_bridge.domain.executions.journal import JournalConfig, StoredJournals
from make_bridge.domain.executions.lending import LentSlots
from make_bridge.domain.executions.parking import Documents, Parking
from make_bridge.domain.executions.perform import Performer
from make_bridge.domain.executions.programs import Programs
from make_bridge.domain.executions.resuming import Resuming
from make_bridge.domain.executions.subscenarios import ChildCalls
from make_bridge.domain.executions.surroundings import Surroundings
from make_bridge.domain.executions.variables import StoredVariables
from make_bridge.domain.executions.waiting import Waiting
from make_bridge.domain.executions.worker import Machinery, Worker, WorkerConfig
from make_bridge.engine.ports import Components, HttpRequest, HttpResponse, Mailer, NoComponents, NoMail, NoSleep
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.ids import ExecutionId, OrganizationId, TeamId
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from support.organizations import data_keys_of


@dataclass
class Shop:
    """The server a node's scenarios call: remembers requests, says when one is there, answers when it is open."""

    status: int = 200
    body: bytes = b"{}"
    requests: list[HttpRequest] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    opens: int = 0
    """So many calls more are answered while it is not open."""

    def of(self, organization_id: OrganizationId, team_id: TeamId) -> "Shop":
        del organization_id, team_id
        return self

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        self.reached.set()
        if self.opens and not self.is_open.is_set():
            self.opens -= 1
        else:
            await self.is_open.wait()
        return HttpResponse(status=self.status, headers=(("Content-Type", "application/json"),), body=self.body)


class Nobody:
    """No team has connections."""

    def of(self, organization_id: OrganizationId, team_id: TeamId, execution_id: ExecutionId) -> Components:
        del organization_id, team_id, execution_id
        return NoComponents()


class NoPost:
    """No team has a mail server."""

    def of(self, organization_id: OrganizationId, team_id: TeamId) -> Mailer:
        del organization_id, team_id
        return NoMail()


@dataclass(frozen=True, kw_only=True)
class Node:
    """One process; its worker's loops run only between `start` and `stop`."""

    shop: Shop
    waiting: Waiting
    worker: Worker
    ingest: Ingest
    metrics: Metrics


@asynccontextmanager
async def node(
    shards: Shards, name: str, *, shop_is_open: bool = True, most_result_bytes: int = 1024 * 1024
) -> AsyncIterator[Node]:
    """Put a process together; its ingest takes calls at once."""
    sealing = data_keys_of(shards)
    payloads, answers, documents = Payloads(sealing=sealing), Answers(sealing=sealing), Documents(sealing=sealing)
    programs, waiting, lent, metrics = Programs(shards), Waiting(shards, answers), LentSlots(), Metrics()
    children = ChildCalls(shards=shards, programs=programs, waiting=waiting, lent=lent, payloads=payloads, seconds=30.0)
    journals = StoredJournals(shards, sealing, JournalConfig(most_result_bytes=most_result_bytes))
    shop = Shop()
    if shop_is_open:
        shop.is_open.set()
    performer = Performer(
        http=shop,
        mailer=NoPost(),
        sleeper=NoSleep(),
        components=Nobody(),
        clock=SystemClock(),
        parking=Parking(documents=documents),
        around=Surroundings(subscenarios=children.of, journals=journals, variables=StoredVariables(shards)),
    )
    machinery = Machinery(
        shards=shards,
        programs=programs,
        performer=performer,
        waiting=waiting,
        metrics=metrics,
        resuming=Resuming(programs=programs, documents=documents),
        payloads=payloads,
        answers=answers,
        lent=lent,
    )
    worker = Worker(machinery, WorkerConfig(node=name, idle_poll=0.05, drain_patience=5.0))
    ingest = Ingest(machinery, worker, IngestConfig(node=name, response_seconds=30.0))
    try:
        yield Node(shop=shop, waiting=waiting, worker=worker, ingest=ingest, metrics=metrics)
    finally:
        shop.is_open.set()
        await ingest.close()
        await worker.stop()
        await journals.close()
