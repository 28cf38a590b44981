"""Who waits for an execution: the caller of a webhook for its answer, a face for an outcome.

The fast way is a future in this process. When the run was carried out elsewhere (or this process
does not know), the outcome row is asked with growing pauses, so a wait is right wherever the run went. The
answer of a confidential run is sealed in its row and opened here.
"""

import asyncio

from make_bridge.domain.executions import runlog, store
from make_bridge.domain.executions.confidential import Answers
from make_bridge.domain.executions.model import Outcome
from make_bridge.engine.ports import Responder, WebhookResponse
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import ExecutionId, OrganizationId
from make_bridge.platform.database.shards import Shards

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class _Listener:
    """One waiter: told the answer as soon as the scenario gives it, and when the run ends."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[WebhookResponse | None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    def respond(self, response: WebhookResponse) -> None:
        if not self.answer.done():
            self.answer.set_result(response)

    def end(self) -> None:
        if not self.answer.done():
            self.answer.set_result(None)
        if not self.ended.done():
            self.ended.set_result(None)


class Waiting:
    """The waiters of this process, by execution."""

    def __init__(self, shards: Shards, answers: Answers) -> None:
        """``shards`` is asked when a run is carried out elsewhere, ``answers`` opens what it left."""
        self._shards = shards
        self._answers = answers
        self._listeners: dict[ExecutionId, _Listener] = {}

    def listen(self, execution_id: ExecutionId) -> None:
        """Begin to listen; call before the run is accepted, so that nothing is missed."""
        self._listeners[execution_id] = _Listener()

    def forget(self, execution_id: ExecutionId) -> None:
        """Stop listening."""
        self._listeners.pop(execution_id, None)

    def responder(self, execution_id: ExecutionId) -> Responder | None:
        """Return the port through which a run answers its webhook's caller, when one waits here."""
        return self._listeners.get(execution_id)

    def settled(self, outcome: Outcome) -> None:
        """Tell the waiter that the outcome is committed."""
        listener = self._listeners.get(outcome.id)
        if listener is not None:
            listener.end()

    async def response(
        self, organization_id: OrganizationId, execution_id: ExecutionId, seconds: float
    ) -> WebhookResponse | None:
        """Return the scenario's answer, None when it ended without one; raises TimeoutError."""
        listener = self._listeners[execution_id]
        async with asyncio.timeout(seconds):
            if not await self._until(listener.answer, organization_id, execution_id):
                answer = listener.answer.result()
                if answer is not None:
                    return answer
        detail = await self._stored(organization_id, execution_id)
        if detail is None or detail.response is None:
            return None
        stored = detail.response
        return WebhookResponse(status=stored.status, headers=tuple(stored.headers), body=stored.body)

    async def outcome(
        self, organization_id: OrganizationId, execution_id: ExecutionId, seconds: float
    ) -> runlog.StoredDetail | None:
        """Return the detail of a committed outcome, or None when it does not come in time."""
        listener = self._listeners.get(execution_id)
        ended = listener.ended if listener else asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._until(ended, organization_id, execution_id)
        except TimeoutError:
            return None
        return await self._stored(organization_id, execution_id)

    async def _until(
        self, future: "asyncio.Future[WebhookResponse | None] | asyncio.Future[None]",
        organization_id: OrganizationId, execution_id: ExecutionId,
    ) -> bool:  # fmt: skip
        """Wait for the future or for the stored outcome; True when it was the stored one."""
        pause = _FIRST_PAUSE
        while not future.done():
            await asyncio.wait((future,), timeout=pause)
            if future.done():
                return False
            pause = min(pause * 2, _LONGEST_PAUSE)
            if await self._stored(organization_id, execution_id) is not None:
                return not future.done()
        return False

    async def _stored(self, organization_id: OrganizationId, execution_id: ExecutionId) -> runlog.StoredDetail | None:
        try:
            shard = await self._shards.of(organization_id)
            async with shard.read(organization_id) as tx:
                row = await store.read_outcome(tx, organization_id, execution_id)
            if row is None:
                return None
            detail = runlog.decode_detail(bytes(row["detail"]))
            return await self._answers.of(organization_id, row["scenario_id"], execution_id, detail)
        except Unavailable:
            return None
