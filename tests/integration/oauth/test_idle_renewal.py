"""Connections that no run uses keep their consent: one leader renews them, a few at a time, and whoever fails waits."""

import asyncio

import pytest
from aiohttp import web

from make_bridge.domain.oauth.idle_renewal import IdleConfig, IdleRenewal
from support.jobs import until

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")
DAY = 86_400.0


def renewals(provider):
    return provider.asked("refresh_token")


def renewal_of(oauth, node="one", *, keeper=None, **changes):
    """The loop of the scene's shard; its rounds and looks do not make a test wait."""
    given = {"idle_seconds": DAY, "at_once": 4, "look_seconds": 0.02, "round_seconds": 0.05} | changes
    return IdleRenewal(oauth.shards, keeper or oauth.keeper, oauth.metrics, IdleConfig(node=node, **given))


def loop_of(oauth, **changes):
    return renewal_of(oauth, **changes).loops[oauth.place.shard]


async def age(oauth, connection_id, seconds):
    """Let a connection's tokens be of such an age; those of other tests are put out of the way."""
    await oauth.place.execute(
        "UPDATE shard.oauth_grants SET renewed_at = CASE WHEN connection_id = %s"
        " THEN now() - make_interval(secs => %s) ELSE renewed_at END",
        connection_id,
        seconds,
    )


@pytest.fixture(autouse=True)
async def alone(oauth):
    """Nothing of another test is due."""
    await oauth.place.execute("UPDATE shard.oauth_grants SET renewed_at = now() WHERE renewed_at IS NOT NULL")


async def test_a_connection_nobody_uses_is_renewed_and_one_in_use_is_left_alone(oauth, provider):
    idle, used = await oauth.connected(), await oauth.connected()
    await age(oauth, idle, DAY)
    before = await oauth.row(used)
    assert await loop_of(oauth).turn()
    assert (len(renewals(provider)), provider.reused) == (1, 0)
    row = await oauth.row(idle)
    assert (row["version"], row["leased_until"]) == (2, None)
    assert await oauth.row(used) == before
    assert provider.holder(await oauth.token(idle)) is not None
    assert oauth.metrics.oauth.idle_renewals["renewed"]._value.get() == 1  # noqa: SLF001
    assert await loop_of(oauth).turn()
    assert len(renewals(provider)) == 1, "it is not idle any more"


async def test_a_turn_comes_within_the_last_fifth_of_the_time_and_not_for_all_at_once(oauth, provider):
    connections = [await oauth.connected() for _ in range(6)]
    for connection_id in connections:
        await age(oauth, connection_id, DAY * 0.79)
    loop = loop_of(oauth, at_once=50)
    await loop.turn()
    assert renewals(provider) == []
    for connection_id in connections:
        await age(oauth, connection_id, DAY * 0.9)
    await loop.turn()
    assert 0 < len(renewals(provider)) < len(connections)


async def test_so_many_are_renewed_at_a_time_and_all_in_the_end(oauth, provider):
    connections = [await oauth.connected() for _ in range(5)]
    for connection_id in connections:
        await age(oauth, connection_id, DAY)
    loop = loop_of(oauth, at_once=2)
    counts = []
    while not await loop.turn():
        counts.append(len(renewals(provider)))
    assert (counts, len(renewals(provider))) == ([2, 4], 5)


async def test_a_provider_in_trouble_keeps_nobody_waiting_and_is_asked_again_in_the_next_round(oauth, provider):
    connections = [await oauth.connected() for _ in range(3)]
    for connection_id in connections:
        await age(oauth, connection_id, DAY)
    asked = 0

    async def fault(request):
        nonlocal asked
        asked += 1
        if asked <= 2:
            return web.json_response({"error": "server_error"}, status=503)
        return provider.answer(request, await provider.form_of(request))

    provider.faults["/token"] = fault
    loop = loop_of(oauth, at_once=1)
    while not await loop.turn():
        pass
    failed = oauth.metrics.oauth.idle_renewals["failed"]._value.get()  # noqa: SLF001
    assert (asked, failed) == (3, 2)
    while not await loop.turn():
        pass
    assert [(await oauth.row(connection_id))["version"] for connection_id in connections] == [3, 3, 2]
    assert {(await oauth.shown(connection_id)).state for connection_id in connections} == {"active"}


async def test_a_grant_that_was_revoked_is_noticed_without_a_run(oauth, provider):
    connection_id = await oauth.connected()
    provider.end_family(provider.issued[0].family)
    await age(oauth, connection_id, DAY)
    await loop_of(oauth).turn()
    assert (await oauth.shown(connection_id)).state == "needs_consent"
    assert oauth.metrics.oauth.idle_renewals["lost"]._value.get() == 1  # noqa: SLF001
    await loop_of(oauth).turn()
    assert len(renewals(provider)) == 1, "it has no token to renew any more"


async def test_leaders_and_runs_that_meet_make_one_call(oauth, provider):
    connection_id = await oauth.connected()
    await oauth.make_due(connection_id, is_over=True)
    await age(oauth, connection_id, DAY)
    loops = [loop_of(oauth, node=str(number), keeper=oauth.new_keeper()) for number in range(3)]
    await asyncio.gather(*(loop.turn() for loop in loops), oauth.token(connection_id))
    assert (len(renewals(provider)), provider.reused) == (1, 0)


@pytest.mark.parametrize("kind", ["client_credentials", "no refresh token"])
async def test_what_has_nothing_that_could_die_is_left_alone(oauth, provider, kind):
    if kind == "client_credentials":
        connection_id = await oauth.pending(await oauth.application(), kind=kind)
        await oauth.token(connection_id)
    else:
        connection_id = await oauth.connected()
        await oauth.place.execute("UPDATE shard.oauth_grants SET refresh_sealed = NULL")
    await age(oauth, connection_id, DAY * 2)
    asked = len(provider.calls)
    await loop_of(oauth).turn()
    assert len(provider.calls) == asked


async def test_of_two_processes_one_leads_and_when_it_stops_the_other_does(oauth, provider):
    connection_id = await oauth.connected()
    nodes = [renewal_of(oauth, node=node, keeper=oauth.new_keeper()) for node in ("first", "second")]

    def leaders():
        return [node for node in nodes if any(loop._tenure.is_leading for loop in node.loops.values())]  # noqa: SLF001

    for node in nodes:
        await node.start()
    try:
        for number in (1, 2):
            await age(oauth, connection_id, DAY)

            async def is_renewed(number=number):
                return len(renewals(provider)) == number

            await until(is_renewed)
            [leader] = leaders()
            await leader.stop()
            assert leaders() in ([], [node for node in nodes if node is not leader])
    finally:
        for node in nodes:
            await node.stop()
    assert provider.reused == 0


async def test_nobody_looks_where_the_setting_is_none(oauth):
    renewal = renewal_of(oauth, idle_seconds=0)
    await renewal.start()
    assert not renewal.loops
    await renewal.stop()
