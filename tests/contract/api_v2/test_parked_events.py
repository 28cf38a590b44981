"""Parked events over the API: one's own, by page, and asking for one to be tried again."""

import pytest

from support.portal import refusal

PARK = """
INSERT INTO shard.parked_events
    (consumer, event_id, organization_id, position, type, subject, payload, error, created_at, parked_at)
VALUES ('webhooks', gen_random_uuid(), %(organization)s, %(number)s, 'scenario.paused.v1', 'scenario/7',
        convert_to('{"scenario_id":7}', 'UTF8'), 'ValueError: of the server', now(),
        now() + make_interval(secs => %(number)s))
"""
ASKED = "SELECT count(*) AS found FROM shard.parked_events WHERE organization_id = %s AND replay_at IS NOT NULL"


@pytest.fixture
def park(api):
    """Put events of an integrator aside, the last one newest."""

    async def parked(integrator, count=1):
        shard = await api.shards.of(integrator.facts.organization_id)
        async with shard.engine_write() as tx:
            for number in range(count):
                await tx.execute(PARK, {"organization": integrator.facts.organization_id, "number": number})

    return parked


async def asked(api, integrator):
    shard = await api.shards.of(integrator.facts.organization_id)
    async with shard.engine_statement() as tx:
        row = await tx.one(ASKED, (integrator.facts.organization_id,))
    return row["found"]


async def test_a_parked_event_is_shown_with_its_consumer_and_without_what_the_server_said_to_itself(acme, park):
    await park(acme)
    [parked] = (await acme.ask("GET", "/parked-events"))["parkedEvents"]
    assert (parked["consumer"], parked["error"], parked["replays"], parked["waits"]) == (
        "webhooks", "ValueError", 0, False,
    )  # fmt: skip
    assert (parked["event"]["type"], parked["event"]["data"]) == ("scenario.paused.v1", {"scenario_id": 7})


async def test_parked_events_are_listed_newest_first_by_page_with_the_columns_asked_for(acme, park):
    await park(acme, 3)
    ids = [parked["id"] for parked in (await acme.ask("GET", "/parked-events"))["parkedEvents"]]
    page = await acme.ask("GET", "/parked-events?pg[limit]=1&pg[offset]=1&cols[]=id")
    assert page == {"parkedEvents": [{"id": ids[1]}], "pg": {"limit": 1, "offset": 1}}
    refusal(await acme.send("GET", "/parked-events?pg[sortBy]=id"), 400, "invalid_page")


async def test_one_that_is_asked_for_waits_and_asking_twice_is_asking_once(acme, api, park):
    await park(acme, 2)
    [first, second] = (await acme.ask("GET", "/parked-events"))["parkedEvents"]
    for _ in range(2):
        answer = await acme.ask("POST", f"/parked-events/{first['id']}/replay")
        assert answer == {"parkedEvent": {"id": first["id"], "waits": True}}
    shown = (await acme.ask("GET", "/parked-events"))["parkedEvents"]
    assert [(row["id"], row["waits"]) for row in shown] == [(first["id"], True), (second["id"], False)]
    assert await asked(api, acme) == 1


async def test_another_organization_neither_sees_a_parked_event_nor_can_ask_for_it(acme, api, park):
    rival = await api.integrator("Rival")
    await park(rival)
    [theirs] = (await rival.ask("GET", "/parked-events"))["parkedEvents"]
    assert (await acme.ask("GET", "/parked-events"))["parkedEvents"] == []
    refusal(await acme.send("POST", f"/parked-events/{theirs['id']}/replay"), 404, "not_found")
    assert await asked(api, rival) == 0


async def test_an_id_that_is_none_is_not_found(acme):
    for name in ("7", "x" * 32, "0" * 32):
        refusal(await acme.send("POST", f"/parked-events/{name}/replay"), 404, "not_found")


async def test_parked_events_need_their_permissions_and_the_whole_organization(acme, api, park):
    refusal(await acme.send("GET", f"/parked-events?teamId={acme.facts.team_id}"), 403, "permission_denied")
    reader = await api.integrator("Reader")
    await reader.allow_only("events:read")
    await park(reader)
    [parked] = (await reader.ask("GET", "/parked-events"))["parkedEvents"]
    refusal(await reader.send("POST", f"/parked-events/{parked['id']}/replay"), 403, "permission_denied")
