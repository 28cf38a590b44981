"""Events over the API: CloudEvents in the order of commits, by page and type, of one's own organization only."""

import re

import pytest

from make_bridge.domain.activity.counting import Counting
from make_bridge.platform.bus import event_store
from make_bridge.platform.bus.consumers import ConsumerLoop
from make_bridge.platform.bus.event_store import Lead
from make_bridge.platform.bus.relay import DUTY
from make_bridge.platform.coordination.leadership import Leadership
from make_bridge.platform.observability.metrics import Metrics
from support.portal import refusal

INSERT = """
INSERT INTO shard.outbox (organization_id, type, subject, payload, trace) VALUES (%s, %s, %s, %s, 'request-1')
"""


@pytest.fixture
def happen(api):
    """Let events happen to an integrator, as its commands would write them, and the relay do its part."""

    async def happened(integrator, *events):
        shard = await api.shards.of(integrator.facts.organization_id)
        async with shard.write(integrator.facts.organization_id) as tx:
            for kind, scenario_id in events:
                data = b'{"scenario_id":%d}' % scenario_id
                subject = f"scenario/{scenario_id}"
                await tx.execute(INSERT, (integrator.facts.organization_id, kind, subject, data))
        fence = await Leadership(shard, DUTY, "one").hold()
        assert fence is not None
        async with shard.engine_statement() as tx:
            await event_store.stamp(tx, Lead(name=DUTY, owner="one", fence=fence), 1000)
            await event_store.join(tx, Counting.name)
        while await ConsumerLoop(shard, Counting(), Metrics()).step():
            pass

    return happened


async def test_events_are_told_as_cloud_events_page_by_page(acme, happen):
    await happen(acme, ("scenario.created.v1", 1), ("scenario.activated.v1", 1), ("scenario.created.v1", 2))
    first = await acme.ask("GET", "/events?limit=2")
    [created, activated] = first["events"]
    organization = acme.facts.organization_id
    assert created == {
        "specversion": "1.0",
        "id": created["id"],
        "source": f"urn:make-bridge:organization:{organization}",
        "type": "scenario.created.v1",
        "subject": "scenario/1",
        "time": created["time"],
        "datacontenttype": "application/json",
        "tenant": str(organization),
        "trace": "request-1",
        "data": {"scenario_id": 1},
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", created["time"])
    assert activated["id"] != created["id"]
    second = await acme.ask("GET", f"/events?after={first['next']}")
    assert [event["data"]["scenario_id"] for event in second["events"]] == [2]
    assert await acme.ask("GET", f"/events?after={second['next']}") == {"events": [], "next": second["next"]}
    chosen = await acme.ask("GET", "/events?type=scenario.activated.v1&type=scenario.paused.v1")
    assert chosen["events"] == [activated]


async def test_an_organization_sees_its_own_events_only(acme, api, happen):
    rival = await api.integrator("Rival")
    await happen(rival, ("scenario.created.v1", 7))
    assert (await acme.ask("GET", "/events"))["events"] == []
    assert (await acme.ask("GET", "/events/counts"))["counts"] == []


async def test_events_are_counted_by_day_and_type(acme, happen):
    await happen(acme, ("scenario.created.v1", 1), ("scenario.created.v1", 2))
    await happen(acme, ("scenario.created.v1", 3), ("scenario.deleted.v1", 3))
    counts = (await acme.ask("GET", "/events/counts"))["counts"]
    assert [(count["type"], count["events"]) for count in counts] == [
        ("scenario.created.v1", 3), ("scenario.deleted.v1", 1),
    ]  # fmt: skip


async def test_events_need_their_permission_and_the_whole_organization(acme, api):
    refusal(await acme.send("GET", f"/events?teamId={acme.facts.team_id}"), 403, "permission_denied")
    refusal(await acme.send("GET", "/events?after=x"), 400, "invalid_page")
    refusal(await acme.send("GET", "/events?type=a%00b"), 400, "invalid_page")
    refusal(await acme.send("GET", f"/events?type={'a' * 101}"), 400, "invalid_page")
    narrow = await api.integrator("Narrow")
    await narrow.allow_only("scenarios:read")
    refusal(await narrow.send("GET", "/events"), 403, "permission_denied")
