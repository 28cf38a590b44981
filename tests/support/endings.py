"""A scenario on a real database, runs that end in it, and the rows they leave."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from make_bridge.domain.executions import store
from make_bridge.domain.executions.incomplete import Parked, RetryPlan, encode_point, new_record_id
from make_bridge.domain.executions.model import NewRun, Outcome, Status
from make_bridge.domain.executions.troubles import Trouble
from make_bridge.engine.runner.request import ResumePoint
from make_bridge.kernel.ids import OrganizationId, ScenarioId, TeamId, new_execution_id
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from support.organizations import make_organization

_MAKE_SCENARIO = """
INSERT INTO shard.scenarios (organization_id, team_id, name, state, used_packages, scheduling, interface)
VALUES (%s, %s, 'Orders', 'active', '{}', '{}', '{}') RETURNING id
"""
COUNTED = Trouble(
    error_type="RuntimeError", message="Enough.", counts=True, limit=3, waits=False, cause="consecutive_errors"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A scenario and its shard."""

    shard: Shard
    organization_id: OrganizationId
    team_id: TeamId
    scenario_id: ScenarioId

    def run(self, **changes: Any) -> NewRun:
        values: dict[str, Any] = {
            "id": new_execution_id(shard=self.shard.number),
            "organization_id": self.organization_id,
            "team_id": self.team_id,
            "scenario_id": self.scenario_id,
            "blueprint_version": 1,
            "origin": "webhook",
            "seed": 1,
            "head": b"{}",
            "body": b"",
            "owner": "me",
        }
        return NewRun(**values | changes)

    def outcome(self, run: NewRun, status: Status = Status.SUCCESS, **changes: Any) -> Outcome:
        values: dict[str, Any] = {
            "id": run.id,
            "fence": 1,
            "organization_id": run.organization_id,
            "team_id": run.team_id,
            "scenario_id": run.scenario_id,
            "status": status,
            "duration_ms": 1,
            "operations": 1,
            "transfer": 1,
            "detail": b"{}",
            "steps": b"[]",
        }
        return Outcome(**values | changes)

    async def end(self, status: Status = Status.SUCCESS, *, limits: Any = None, **changes: Any) -> Outcome:
        """Accept a run and settle it; return its outcome as it was given."""
        run = self.run()
        await store.accept(self.shard, [run])
        outcome = self.outcome(run, status, **changes)
        extra = () if limits is None else (limits,)
        assert await store.settle(self.shard, [outcome], "me", *extra) == {run.id}
        return outcome

    async def all(self, statement: Any, *parameters: object) -> list[Any]:
        async with self.shard.read(self.organization_id) as tx:
            return await tx.all(statement, parameters)

    async def one(self, statement: Any, *parameters: object) -> Any:
        [row] = await self.all(statement, *parameters)
        return row

    async def scenario(self) -> Any:
        return await self.one(
            """
            SELECT s.*, coalesce(t.consecutive_errors, 0) AS consecutive_errors, coalesce(t.backoffs, 0) AS backoffs
            FROM shard.scenarios s LEFT JOIN shard.scenario_troubles t ON t.scenario_id = s.id WHERE s.id = %s
            """,
            self.scenario_id,
        )

    async def records(self) -> list[Any]:
        return await self.all(
            "SELECT * FROM shard.incomplete_executions WHERE scenario_id = %s ORDER BY created_at", self.scenario_id
        )

    async def timers(self) -> list[Any]:
        return await self.all(
            "SELECT *, ready_at - now() AS left_over FROM shard.queue WHERE scenario_id = %s AND kind = %s",
            self.scenario_id,
            "incomplete.retry",
        )

    async def events(self) -> Counter[str]:
        """Count what was told; facts of one transaction have no order yet."""
        return Counter(row["type"] for row in await self.all("SELECT type FROM shard.outbox"))

    async def execute(self, statement: Any, *parameters: object) -> None:
        async with self.shard.write(self.organization_id) as tx:
            await tx.execute(statement, parameters)


def parked(**changes: Any) -> Parked:
    """A bundle that stopped at module 3."""
    point = ResumePoint(module_id=3, bundles=[(1, {"order": "a-17"})], step_key="k" * 32)
    document = encode_point(point)
    values: dict[str, Any] = {
        "id": new_record_id(),
        "module_id": 3,
        "error_type": "ConnectionError",
        "message": "No\x00body \ud800answers.",
        "plan": RetryPlan(mode="backoff", most_attempts=8),
        "blueprint_version": 1,
        "document": document,
        "size": len(document),
        "is_sealed": False,
        "sequential": False,
        "may_drop": False,
    }
    return Parked(**values | changes)


async def make_place(shards: Shards) -> Place:
    """Make an organization with one scenario that is switched on; the queue is empty."""
    organization = await make_organization(shards)
    shard = await shards.of(OrganizationId(organization.organization_id))
    async with shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue")
    async with shard.write(OrganizationId(organization.organization_id)) as tx:
        row = await tx.one(_MAKE_SCENARIO, (organization.organization_id, organization.team_id))
    assert row is not None
    return Place(
        shard=shard,
        organization_id=OrganizationId(organization.organization_id),
        team_id=TeamId(organization.team_id),
        scenario_id=ScenarioId(row["id"]),
    )
