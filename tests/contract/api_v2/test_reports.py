"""Reports over the API: ordered, followed, downloaded, deleted; whose they are, and who may."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from make_bridge.faces.api_v2.downloads import Download
from make_bridge.kernel.ids import OrganizationId, ScenarioId, TeamId, new_execution_id
from support.endings import Place
from support.jobs import JobScene
from support.portal import refusal

PATH = "/reports"
ID = re.compile(r"[0-9a-f]{32}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ADD_USAGE = """
INSERT INTO shard.usage_daily (organization_id, scenario_id, day, executions, operations, data_transfer)
SELECT %s, n, %s, 1, 2, 3 FROM generate_series(1, %s) n
"""


def today():
    return datetime.now(UTC).date()


def wanted(**changes):
    return {"kind": "usage", "from": today().isoformat(), "to": today().isoformat()} | changes


async def order(acme, **changes):
    answer = await acme.send("POST", PATH, wanted(**changes))
    assert answer.status == 202, (answer.status, answer.body)
    return answer.json()["report"]


@pytest.fixture
async def place(acme, api):
    return Place(
        shard=await api.shards.of(OrganizationId(acme.facts.organization_id)),
        organization_id=OrganizationId(acme.facts.organization_id),
        team_id=TeamId(acme.facts.team_id),
        scenario_id=ScenarioId(1),
    )


@pytest.fixture
async def scene(api, place):
    scene = JobScene(api.shards, place, types=api.jobs.types)
    yield scene
    await scene.worker.stop()


async def made(acme, scene, **changes):
    report = await order(acme, **changes)
    await scene.worker.start()
    scene.worker.wake()
    await scene.until_state(report["id"], "completed")
    return (await acme.ask("GET", f"{PATH}/{report['id']}"))["report"]


async def test_an_order_is_accepted_and_says_where_its_report_will_be(acme):
    answer = await acme.send("POST", PATH, wanted(groupBy=["scenario", "day"], format="json"))
    assert answer.status == 202
    report = answer.json()["report"]
    assert answer.header("location") == f"/api/v2/reports/{report['id']}"
    assert ID.fullmatch(report["id"])
    assert INSTANT.fullmatch(report.pop("createdAt"))
    assert report == {
        "id": report["id"],
        "teamId": None,
        "kind": "usage",
        "from": today().isoformat(),
        "to": today().isoformat(),
        "groupBy": ["day", "scenario"],
        "format": "json",
        "state": "waiting",
        "progress": 0,
        "error": None,
        "rows": 0,
        "bytes": 0,
        "finishedAt": None,
    }
    refusal(await acme.send("GET", f"{PATH}/{report['id']}/content"), 409, "state")
    assert (await order(acme, groupBy=["scenario", "day"], format="json"))["id"] == report["id"]


@pytest.mark.parametrize(
    ("kind", "form", "media", "ending"),
    [
        ("usage", "csv", "text/csv; charset=utf-8; header=present", "csv"),
        ("usage", "json", "application/json", "json"),
        ("executions", "csv", "text/csv; charset=utf-8; header=present", "csv"),
        ("executions", "json", "application/x-ndjson", "jsonl"),
    ],
    ids=["usage csv", "usage json", "executions csv", "executions json"],
)
async def test_a_finished_report_is_a_file(acme, scene, kind, form, media, ending):
    report = await made(acme, scene, kind=kind, format=form)
    assert (report["state"], report["progress"]) == ("completed", 100)
    assert INSTANT.fullmatch(report["finishedAt"])
    answer = await acme.send("GET", f"{PATH}/{report['id']}/content")
    assert answer.status == 200
    assert answer.header("content-type") == media
    assert answer.header("content-disposition") == f'attachment; filename="{kind}-{today()}-{today()}.{ending}"'
    assert answer.header("cache-control") == "no-store"
    assert answer.header("content-length") == str(len(answer.body)) == str(report["bytes"])


async def test_a_report_of_many_parts_comes_whole(acme, scene, place):
    await place.execute(ADD_USAGE, place.organization_id, today(), 20_000)
    report = await made(acme, scene)
    assert report["bytes"] > 2 * 256 * 1024
    answer = await acme.send("GET", f"{PATH}/{report['id']}/content")
    lines = answer.body.decode().splitlines()
    assert len(answer.body) == report["bytes"]
    assert len(lines) == report["rows"] + 1 == 20_001
    assert len(set(lines)) == len(lines)


async def test_reports_are_listed_newest_first_and_in_pages(acme):
    ids = [(await order(acme, groupBy=[one]))["id"] for one in ("day", "team", "customer")]
    listed = await acme.ask("GET", PATH)
    assert [report["id"] for report in listed["reports"]] == sorted(ids, reverse=True)
    assert listed["pg"] == {"sortBy": "createdAt", "sortDir": "desc", "limit": 100, "offset": 0}
    second = await acme.ask("GET", f"{PATH}?pg[limit]=1&pg[offset]=1&pg[sortDir]=asc&cols[]=id")
    assert second["reports"] == [{"id": sorted(ids)[1]}]
    refusal(await acme.send("GET", f"{PATH}?pg[sortBy]=kind"), 400, "invalid_page")


async def test_a_deleted_report_is_gone(acme, scene):
    report = await made(acme, scene)
    assert await acme.ask("DELETE", f"{PATH}/{report['id']}") == {"report": {"id": report["id"]}}
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        refusal(await acme.send(method, f"{PATH}/{report['id']}{path}"), 404, "not_found")


async def test_others_do_not_find_it(acme, api, scene):
    report = await made(acme, scene)
    rival = await api.integrator("Rival")
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        refusal(await rival.send(method, f"{PATH}/{report['id']}{path}"), 404, "not_found")
    assert (await rival.ask("GET", PATH))["reports"] == []
    # One of the whole organization is not a team's.
    team = await acme.another_team("dana")
    refusal(await acme.send("GET", f"{PATH}/{report['id']}?teamId={team}"), 404, "not_found")
    theirs = (await acme.send("POST", f"{PATH}?teamId={team}", wanted())).json()["report"]
    assert theirs["teamId"] == team
    assert theirs["id"] != report["id"]
    assert len((await acme.ask("GET", f"{PATH}?teamId={team}"))["reports"]) == 1


@pytest.mark.parametrize("report_id", ["4", "x" * 32, "..", new_execution_id()], ids=["short", "odd", "dots", "none"])
async def test_an_id_that_names_nothing_is_not_found(acme, report_id):
    refusal(await acme.send("GET", f"{PATH}/{report_id}"), 404, "not_found")


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "money"},
        {"kind": None},
        {"from": "yesterday"},
        {"from": 5},
        {"from": None},
        {"to": "2026-02-30"},
        {"from": "0001-01-01", "to": "0001-01-02"},
        {"from": "2000-01-01"},
        {"to": "9999-12-31"},
        {"to": (today() + timedelta(days=2)).isoformat()},
        {"from": today().isoformat(), "to": (today() - timedelta(days=1)).isoformat()},
        {"groupBy": ["hour"]},
        {"groupBy": "day"},
        {"groupBy": ["day"] * 5},
        {"kind": "executions", "groupBy": ["day"]},
        {"format": "xlsx"},
    ],
    ids=[
        "unknown kind", "no kind", "no day", "number", "null", "no such day", "long ago", "too long", "never",
        "future", "turned round", "unknown group", "text", "too many groups", "grouped executions", "unknown format",
    ],
)  # fmt: skip
async def test_an_order_that_makes_no_report_is_refused_with_a_sentence(acme, changes):
    answer = await acme.send("POST", PATH, wanted(**changes))
    assert 400 <= answer.status < 500, (answer.status, answer.body)
    assert len(answer.json()["message"]) > 10
    assert (await acme.ask("GET", PATH))["reports"] == []


async def test_reading_and_making_take_permissions_of_their_own(acme):
    await acme.allow_only("reports:read")
    assert (await acme.ask("GET", PATH))["reports"] == []
    refusal(await acme.send("POST", PATH, wanted()), 403, "permission_denied")
    refusal(await acme.send("DELETE", f"{PATH}/{new_execution_id()}"), 403, "permission_denied")


async def test_who_may_only_order_may_not_read(acme):
    await acme.allow_only("reports:write")
    report = await order(acme)
    for path in ("", f"/{report['id']}", f"/{report['id']}/content"):
        refusal(await acme.send("GET", f"{PATH}{path}"), 403, "permission_denied")


async def test_a_download_that_is_not_taken_in_time_is_cut():
    taken = []

    async def pieces():
        yield b"x"
        yield b"y"

    async def send(message):
        taken.append(message)
        if len(taken) == 2:
            await asyncio.Event().wait()

    async def receive():
        await asyncio.Event().wait()

    answer = Download(pieces(), headers={"content-length": "2"}, seconds=0.05)
    await answer({"type": "http", "asgi": {"spec_version": "2.4"}}, receive, send)
    assert [message["type"] for message in taken] == ["http.response.start", "http.response.body"]
    assert taken[1]["more_body"]
