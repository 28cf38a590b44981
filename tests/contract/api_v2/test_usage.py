"""Usage and limits over the API: by day and month, of teams and the organization, settable by its owner only."""

from datetime import UTC, datetime, timedelta

import pytest

from make_bridge.kernel.ids import OrganizationId, TeamId
from support.portal import refusal

_SCENARIO = """
INSERT INTO shard.scenarios (organization_id, team_id, name, state, used_packages, scheduling, interface)
VALUES (%s, %s, 'Orders', 'active', '{}', '{}', '{}') RETURNING id
"""
_USE = "INSERT INTO shard.usage_daily VALUES (%s, %s, %s, %s, %s, %s)"


@pytest.fixture
def today():
    """The day of this test: a run of all of them may go on past midnight."""
    return datetime.now(UTC).date()


@pytest.fixture
def use(api, today):
    """Let a new scenario of a team have used something so many days ago."""

    async def used(integrator, team_id, *, operations, executions=1, transfer=10, days_ago=0):
        organization_id = OrganizationId(integrator.facts.organization_id)
        shard = await api.shards.of(organization_id)
        async with shard.write(organization_id) as tx:
            [row] = await tx.all(_SCENARIO, (organization_id, team_id))
            await tx.execute(
                _USE, (organization_id, row["id"], today - timedelta(days_ago), executions, operations, transfer)
            )

    return used


def of(integrator):
    return f"/organizations/{integrator.facts.organization_id}"


async def test_usage_is_summed_up_by_day_for_teams_and_the_organization(acme, use, today):
    team_id = await acme.another_team("dana")
    await use(acme, team_id, operations=3)
    await use(acme, team_id, operations=4, days_ago=1)
    await use(acme, acme.facts.team_id, operations=5, executions=2, transfer=70)
    whole = (await acme.ask("GET", f"{of(acme)}/usage"))["data"]
    assert len(whole) == 30
    used = {"operations": 8, "dataTransfer": 80, "centicredits": 800, "executions": 3}
    assert whole[-1] == {"date": today.isoformat(), **used}
    team = (await acme.ask("GET", f"/teams/{team_id}/usage"))["data"]
    assert [day["operations"] for day in team[-3:]] == [0, 4, 3]


async def test_a_range_is_told_day_by_day(acme, use, today):
    await use(acme, acme.facts.team_id, operations=3, days_ago=40)
    first, last = today - timedelta(days=41), today - timedelta(days=39)
    told = (await acme.ask("GET", f"{of(acme)}/usage?from={first}&to={last}"))["data"]
    assert [(day["date"], day["operations"]) for day in told] == [
        (first.isoformat(), 0), ((first + timedelta(days=1)).isoformat(), 3), (last.isoformat(), 0),
    ]  # fmt: skip


@pytest.mark.parametrize("query", ["from=x", "to=2026-13-01", "from=2026-02-02&to=2026-02-01", "from=2020-01-01"])
async def test_a_range_that_cannot_be_is_refused(acme, query):
    answer = await acme.send("GET", f"{of(acme)}/usage?{query}")
    assert answer.status == 400


async def test_limits_are_set_shown_and_taken_away(acme, use, today):
    await use(acme, acme.facts.team_id, operations=8, transfer=70)
    set_ = await acme.ask("PUT", f"{of(acme)}/limits", {"operations": 10, "dataTransfer": 1000})
    assert set_ == await acme.ask("GET", f"{of(acme)}/limits")
    assert set_["limits"] == {"operations": 10, "executions": None, "dataTransfer": 1000}
    assert set_["usage"] == {"operations": 8, "executions": 1, "dataTransfer": 70}
    assert (set_["state"], set_["isPaused"], set_["waiting"]) == ("near", False, 0)
    assert set_["lastReset"] == today.replace(day=1).isoformat()
    assert (await acme.ask("PUT", f"{of(acme)}/limits", {"operations": 8}))["state"] == "reached"
    lifted = await acme.ask("PUT", f"{of(acme)}/limits", {})
    assert lifted["limits"] == {"operations": None, "executions": None, "dataTransfer": None}
    assert lifted["state"] == "normal"


@pytest.mark.parametrize("body", [{"operations": -1}, {"operations": "5"}, {"operation": 5}, {"executions": 1.5}])
async def test_a_limit_of_the_wrong_form_is_refused(acme, body):
    refusal(await acme.send("PUT", f"{of(acme)}/limits", body), 422, "invalid_body")


async def test_another_organization_and_its_teams_do_not_exist(acme, api):
    rival = await api.integrator("Rival")
    for path in (f"{of(rival)}/usage", f"{of(rival)}/limits", f"/teams/{rival.facts.team_id}/usage"):
        refusal(await acme.send("GET", path), 404, "not_found")
    refusal(await acme.send("PUT", f"{of(rival)}/limits", {}), 404, "not_found")
    refusal(await acme.send("GET", "/teams/x/usage"), 404, "not_found")


async def test_who_is_bound_to_a_team_sees_that_team_only(acme):
    team_id = TeamId(await acme.another_team("eve"))
    assert len((await acme.ask("GET", f"/teams/{team_id}/usage?teamId={team_id}"))["data"]) == 30
    refusal(await acme.send("GET", f"/teams/{acme.facts.team_id}/limits?teamId={team_id}"), 404, "not_found")
    refusal(await acme.send("GET", f"{of(acme)}/usage?teamId={team_id}"), 403, "permission_denied")
    refusal(await acme.send("PUT", f"{of(acme)}/limits?teamId={team_id}", {}), 403, "permission_denied")


async def test_limits_need_their_permission(api):
    narrow = await api.integrator("Narrow")
    await narrow.allow_only("usage:read")
    assert (await narrow.ask("GET", f"{of(narrow)}/limits"))["state"] == "normal"
    refusal(await narrow.send("PUT", f"{of(narrow)}/limits", {"operations": 1}), 403, "permission_denied")
