"""Circuit breakers over the API: the shape, whose they are, and who may look."""

import re

import pytest

from make_bridge.platform.egress.messages import EgressFailure, EgressRequest, EgressResponse
from support.portal import refusal

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PATH = "/circuit-breakers"


async def break_down(api, team_id, *, credential="", url="https://shop.example/orders?key=s3cret"):
    async def fail(_request: EgressRequest) -> EgressResponse:
        raise EgressFailure("connect", "Nobody is there.")

    for _ in range(20):
        with pytest.raises(EgressFailure):
            await api.circuits.call(EgressRequest(url=url), fail, team_id=team_id, credential=credential)


async def test_what_is_paused_is_told_with_its_reason_and_no_secret(acme, api):
    team = acme.facts.team_id
    assert await acme.ask("GET", f"{PATH}?teamId={team}") == {"circuitBreakers": []}
    await break_down(api, team, credential="12+7")
    answer = await acme.send("GET", f"{PATH}?teamId={team}")
    assert b"s3cret" not in answer.body
    [told] = answer.json()["circuitBreakers"]
    since, until = told.pop("since"), told.pop("until")
    assert INSTANT.fullmatch(since)
    assert INSTANT.fullmatch(until)
    assert since < until
    assert told == {
        "host": "shop.example:443",
        "components": [12, 7],
        "state": "open",
        "reason": "20 of 20 calls within 10 s failed or were slow (the last: no connection)",
    }


async def test_each_team_sees_its_own(acme, api):
    team = await acme.another_team("dana")
    await break_down(api, team)
    assert (await acme.ask("GET", f"{PATH}?teamId={acme.facts.team_id}"))["circuitBreakers"] == []
    assert len((await acme.ask("GET", f"{PATH}?teamId={team}"))["circuitBreakers"]) == 1
    rival = await api.integrator("Rival")
    refusal(await rival.send("GET", f"{PATH}?teamId={team}"), 404, "not_found")
    refusal(await acme.send("GET", PATH), 400, "team_required")


async def test_it_takes_a_permission(acme):
    await acme.allow_only("datastores:read")
    refusal(await acme.send("GET", f"{PATH}?teamId={acme.facts.team_id}"), 403, "permission_denied")
