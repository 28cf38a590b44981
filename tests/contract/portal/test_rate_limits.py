"""Rate limits of the token-protected APIs: what is refused, what never is, and what answers say of it."""

import pytest

from make_bridge.domain.scenarios.messages import GetScenario
from support.portal import API_TOKEN, RIVAL_KEY_ID, RIVAL_SECRET, Portal, rates, refusal

TARGET = "/scenarios/7168"


@pytest.fixture
def portal():
    portal = Portal(rates())
    portal.forget()
    return portal


async def looked_at(portal, authorization):
    """Say whether credentials were let in: what comes of the request then is another story."""
    portal.buses.dispatched.clear()
    await portal.get("/templates/9216", authorization=authorization)
    return bool(portal.buses.dispatched)


async def test_each_answer_says_how_the_limit_stands_and_the_last_one_when_to_come_back(portal):
    for left in range(19, -1, -1):
        answer = await portal.get(TARGET)
        assert answer.status == 200
        assert answer.header("ratelimit-policy") == '"api";q=20;w=3600'
        assert answer.header("ratelimit") == f'"api";r={left};t={(20 - left) * 180}'
        assert answer.header("retry-after") is None
    answer = await portal.get(TARGET)
    assert (
        "20 are allowed within 3600 seconds. Try again in 180 seconds."
        in refusal(answer, 429, "rate_limited")["detail"]
    )
    assert (answer.header("retry-after"), answer.header("ratelimit")) == ("180", '"api";r=0;t=180')
    assert answer.header("ratelimit-policy") == '"api";q=20;w=3600'
    portal.clock.advance(179.9)
    assert (await portal.get(TARGET)).header("retry-after") == "1"
    portal.clock.advance(0.1)
    assert (await portal.get(TARGET)).status == 200
    assert len(portal.buses.messages(GetScenario)) == 21


async def test_a_refusal_after_authentication_says_how_the_limit_stands_too(portal):
    answer = await portal.get("/scenarios/1")
    assert (answer.status, answer.header("ratelimit")) == (404, '"api";r=19;t=180')


async def test_keys_and_tokens_have_limits_of_their_own(portal):
    for _ in range(21):
        await portal.get(TARGET)
    assert (await portal.get(TARGET)).status == 429
    rival = f"Bearer {portal.token('dana', key_id=RIVAL_KEY_ID, secret=RIVAL_SECRET)}"
    assert (await portal.get(TARGET, authorization=rival)).status == 404
    assert await looked_at(portal, f"Token {API_TOKEN}")


async def test_a05_a_flood_of_unknown_keys_costs_few_look_ups_and_locks_out_nobody(portal):
    assert (await portal.get(TARGET)).status == 200
    statuses = [
        (await portal.get(TARGET, authorization=f"Bearer {portal.token(key_id=f'nobodys{n:05}')}")).status
        for n in range(300)
    ]
    assert (statuses.count(401), statuses.count(429)) == (100, 200)
    assert len([name for name in portal.directories.looked_up if name.startswith("nobodys")]) == 120
    assert (await portal.get(TARGET, sub=None)).status == 429
    assert (await portal.get(TARGET)).status == 200


async def test_a05_forged_tokens_of_a_real_key_lock_out_nobody(portal):
    assert (await portal.get(TARGET)).status == 200
    forged = [await portal.get(TARGET, authorization=f"Bearer {portal.token(secret='x' * 40)}") for _ in range(300)]
    assert [answer.status for answer in forged].count(401) == 100
    refusal(forged[-1], 429, "rate_limited")
    assert (await portal.get(TARGET)).status == 200


async def test_b08_one_wrong_credential_is_looked_at_five_times(portal):
    wrong = "Token 00000000-0000-4000-8000-000000000000"
    answers = [await portal.get("/templates/9216", authorization=wrong) for _ in range(8)]
    assert [answer.status for answer in answers] == [401] * 5 + [429] * 3
    assert answers[-1].header("retry-after") == "3600"
    assert answers[-1].header("ratelimit-policy") == '"failures";q=5;w=900'
    assert await looked_at(portal, f"Token {API_TOKEN}")


async def test_requests_without_credentials_are_refused_unread_in_the_end(portal):
    answers = [await portal.get(TARGET, sub=None) for _ in range(101)]
    assert [answer.status for answer in answers] == [401] * 100 + [429]
    assert answers[-1].header("retry-after") == "9"
