"""Reports over a real database: they say what the tables say, survive their workers, and double nothing."""

import asyncio
import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from make_bridge.domain.executions import runlog, store
from make_bridge.domain.executions.model import Status
from make_bridge.domain.reports import generating, rows, sources_store
from make_bridge.domain.reports import store as report_store
from make_bridge.domain.reports import views as report_views
from make_bridge.domain.reports.generating import GENERATE, GeneratingReports, forget_reports
from make_bridge.domain.reports.handlers import ReportHandlers
from make_bridge.domain.reports.messages import (
    DeleteReport,
    GetReport,
    GetReportPart,
    ListReports,
    MakeReport,
)
from make_bridge.domain.reports.model import Grouping, ReportForm, ReportKind, ReportLimits
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound
from make_bridge.kernel.ids import ExecutionId, Retention, new_execution_id, new_job_id
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.queries import QueryBus
from make_bridge.platform.queue.jobs import Failed, JobType, RunningJob
from support.endings import make_place
from support.jobs import JobScene
from support.organizations import administrator, data_keys_of

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")
OPEN = b'{"name":"Orders","flow":[],"metadata":{"scenario":{"confidential":false}}}'
CONFIDENTIAL = b'{"name":"Orders","flow":[],"metadata":{"scenario":{"confidential":true}}}'
ADD_BLUEPRINT = "INSERT INTO shard.blueprints (organization_id, scenario_id, version, blueprint) VALUES (%s, %s, 1, %s)"
ADD_SCENARIO = """
INSERT INTO shard.scenarios (organization_id, team_id, name, state, used_packages, scheduling, interface)
VALUES (%s, %s, %s, 'active', '{}', '{}', '{}')
"""
ADD_CUSTOMER = "INSERT INTO shard.customers (organization_id, external_id, team_id, name) VALUES (%s, %s, %s, %s)"
ADD_TEAM = "INSERT INTO shard.teams (organization_id, name) VALUES (%s, %s)"
ADD_USAGE = """
INSERT INTO shard.usage_daily (organization_id, scenario_id, day, executions, operations, data_transfer)
VALUES (%s, %s, %s, %s, %s, %s)
"""
PARTS = "SELECT number, octet_length(content) AS size FROM shard.report_parts WHERE report_id = %s ORDER BY number"


class Desk:
    """One organization's reports: ordered, made by a worker, read back."""

    def __init__(self, shards, place, limits=None):
        self.shards, self.place, self.limits = shards, place, limits or ReportLimits()
        self.work = GeneratingReports(shards=shards, limits=self.limits)
        self.scene = JobScene(shards, place)
        self.context = administrator(place.organization_id)
        handlers = ReportHandlers(jobs=self.scene.queue, clock=SystemClock(), limits=self.limits)
        self.commands = CommandBus(handlers.commands(), shards, data_keys_of(shards))
        self.queries = QueryBus(report_views.queries(), shards)
        self.today = datetime.now(UTC).date()

    def serve(self, run=None):
        self.scene.queue.types.add(replace(self.work.type(), run=run or self.work.run))

    async def order(self, kind=ReportKind.USAGE, form=ReportForm.CSV, context=None, **changes):
        values = {"first": self.today - timedelta(days=1), "last": self.today} | changes
        return await self.commands.execute(context or self.context, MakeReport(kind=kind, form=form, **values))

    async def get(self, report):
        return await self.queries.ask(self.context, GetReport(report_id=report.id))

    async def made(self, *args, **changes):
        report = await self.order(*args, **changes)
        await self.scene.worker.start()
        self.scene.worker.wake()
        await self.scene.until_state(report.id, "completed")
        return await self.get(report)

    async def content(self, report):
        asked = [GetReportPart(report_id=report.id, number=number) for number in range(report.parts)]
        content = b"".join([await self.queries.ask(self.context, part) for part in asked])
        assert len(content) == report.bytes
        return content

    async def table(self, *args, **changes):
        report = await self.made(*args, **changes)
        found = read(await self.content(report))
        assert len(found) == report.rows
        return found

    async def parts(self, report):
        return await self.place.all(PARTS, report.id)

    async def scenario(self, name, team_id=None, blueprint=OPEN):
        await self.place.execute(ADD_SCENARIO, self.place.organization_id, team_id or self.place.team_id, name)
        row = await self.place.one("SELECT max(id) AS id FROM shard.scenarios")
        await self.place.execute(ADD_BLUEPRINT, self.place.organization_id, row["id"], blueprint)
        return row["id"]

    async def team(self, name, *customers):
        await self.place.execute(ADD_TEAM, self.place.organization_id, name)
        team_id = (await self.place.one("SELECT max(id) AS id FROM shard.teams"))["id"]
        for external_id in customers:
            await self.place.execute(
                ADD_CUSTOMER, self.place.organization_id, external_id, team_id, f"name of {external_id}"
            )
        return team_id

    async def run(self, scenario_id=None, execution_id=None, status=Status.SUCCESS, **changes):
        place = self.place
        scenario_id = scenario_id or place.scenario_id
        run = place.run(
            id=execution_id or new_execution_id(shard=place.shard.number),
            scenario_id=scenario_id,
            team_id=changes.pop("team_id", place.team_id),
        )
        await store.accept(place.shard, [run])
        assert await store.settle(place.shard, [place.outcome(run, status, **changes)], "me") == {run.id}
        return run.id


def read(content):
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))


def at(day, hour=12, retention=Retention.STANDARD):
    """The id of an execution that was accepted then."""
    moment = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    return ExecutionId(f"{int(moment.timestamp() * 1000):012x}{new_execution_id(retention)[12:]}")


@pytest.fixture
async def desk(shards):
    desk = Desk(shards, await make_place(shards))
    await desk.place.execute(ADD_BLUEPRINT, desk.place.organization_id, desk.place.scenario_id, OPEN)
    yield desk
    await desk.scene.worker.stop()


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(sources_store, "USAGE_PAGE", 2)
    monkeypatch.setattr(sources_store, "EXECUTION_PAGE", 3)


# What they say.


GROUPINGS = [
    tuple(Grouping),
    (Grouping.DAY,),
    (Grouping.TEAM,),
    (Grouping.CUSTOMER,),
    (Grouping.SCENARIO,),
    (Grouping.DAY, Grouping.CUSTOMER),
    (),
]


@pytest.mark.usefixtures("small_pages")
async def test_usage_sums_up_to_the_days_counters_however_it_is_grouped(desk):
    alone, shared = await desk.team("Dana's", "dana"), await desk.team("Shared", "eve", "finn")
    scenarios = [await desk.scenario(f"s{number}", team) for number, team in enumerate([alone, shared, None, alone])]
    deleted = scenarios[-1] + 1
    for back in range(3):
        for number, scenario_id in enumerate([*scenarios, deleted, desk.place.scenario_id]):
            day = desk.today - timedelta(days=back)
            figures = (number + 1, 10 * (number + 1), 1000 * (back + 1))
            await desk.place.execute(ADD_USAGE, desk.place.organization_id, scenario_id, day, *figures)
    whole = await desk.place.one(
        "SELECT sum(executions)::bigint AS executions, sum(operations)::bigint AS operations,"
        " sum(data_transfer)::bigint AS transfer FROM shard.usage_daily WHERE day > %s",
        desk.today - timedelta(days=2),
    )
    desk.serve()
    lengths = []
    for grouping in GROUPINGS:
        found = await desk.table(group_by=grouping)
        lengths.append(len(found))
        for name, known in (("executions", "executions"), ("operations", "operations"), ("dataTransfer", "transfer")):
            assert sum(int(row[name]) for row in found) == whole[known], (grouping, name)
    assert lengths == [12, 2, 4, 2, 6, 4, 1]
    by_customer = {row["customerExternalId"]: int(row["executions"]) for row in await desk.table(group_by=GROUPINGS[3])}
    assert by_customer == {"dana": 2 * (1 + 4), "": 2 * (2 + 3 + 5 + 6)}


async def test_usage_of_a_day_is_told_with_names(desk):
    await desk.run(operations=7, transfer=300)
    desk.serve()
    [row] = await desk.table(first=desk.today)
    assert row == {
        "day": desk.today.isoformat(),
        "teamId": str(desk.place.team_id),
        "team": row["team"],
        "customerId": "",
        "customerExternalId": "",
        "customer": "",
        "scenarioId": str(desk.place.scenario_id),
        "scenario": "Orders",
        "executions": "1",
        "operations": "7",
        "dataTransfer": "300",
    }


@pytest.mark.usefixtures("small_pages")
async def test_there_is_a_row_for_each_execution_over_the_borders_of_pages_days_and_classes(desk):
    team = await desk.team("Dana's", "dana")
    scenario = await desk.scenario("Mails", team)
    yesterday = desk.today - timedelta(days=1)
    ids = {await desk.run(execution_id=at(yesterday, hour)) for hour in (0, 0, 0, 0, 5, 6, 6, 6, 23)}
    ids |= {await desk.run(scenario, at(yesterday, 12, retention), team_id=team) for retention in Retention}
    ids |= {await desk.run() for _ in range(7)}
    running = desk.place.run()
    await store.accept(desk.place.shard, [running])
    desk.serve()
    found = await desk.table(ReportKind.EXECUTIONS)
    assert sorted(row["id"] for row in found) == sorted([*ids, running.id])
    assert {row["executions"] for row in found} == {"1"}
    assert [row["status"] for row in found if row["id"] == running.id] == ["running"]
    assert {row["customerExternalId"] for row in found if row["scenario"] == "Mails"} == {"dana"}
    one_day = await desk.table(ReportKind.EXECUTIONS, first=yesterday, last=yesterday)
    assert len(one_day) == 12


async def test_an_error_is_told_by_kind_and_module_and_never_by_what_was_said(desk):
    error = runlog.StoredError(name="DataError", message="secret4711", module="http:ActionSendData", module_id=3)
    detail = msgspec.json.encode(runlog.StoredDetail(outputs={"x": "secret4711"}, error=error))
    await desk.run(status=Status.ERROR, detail=detail, steps=b'["secret4711"]')
    long = msgspec.json.encode(runlog.StoredDetail(outputs={"x": "y" * sources_store.DETAIL_BYTES}, error=error))
    await desk.run(status=Status.ERROR, detail=long)
    desk.serve()
    report = await desk.made(ReportKind.EXECUTIONS)
    content = await desk.content(report)
    assert b"secret4711" not in content
    told = [(row["errorType"], row["errorModule"], row["errorModuleId"]) for row in read(content)]
    assert sorted(told) == sorted([("DataError", "http:ActionSendData", "3"), (rows.UNREAD, "", "")])


async def test_of_confidential_and_deleted_scenarios_only_counts_are_told(desk):
    confidential = await desk.scenario("Secret", blueprint=CONFIDENTIAL)
    kept = [await desk.run(confidential, operations=4, transfer=10) for _ in range(3)]
    kept.append(await desk.run(confidential, status=Status.ERROR, operations=1, transfer=5))
    kept.append(await desk.run(confidential + 1, operations=9))
    open_id = await desk.run()
    desk.serve()
    report = await desk.made(ReportKind.EXECUTIONS)
    content = (await desk.content(report)).decode()
    assert not [execution_id for execution_id in kept if execution_id in content]
    found = {(row["id"], row["scenario"], row["status"]): row for row in read(content.encode())}
    counts = {key: (row["executions"], row["operations"], row["dataTransfer"]) for key, row in found.items()}
    assert counts == {
        (open_id, "Orders", "success"): ("1", "1", "1"),
        ("", "Secret", "success"): ("3", "12", "30"),
        ("", "Secret", "error"): ("1", "1", "5"),
        ("", "", "success"): ("1", "9", "1"),
    }
    assert found["", "Secret", "success"]["startedAt"] == desk.today.isoformat()


@pytest.mark.attack("D12")
async def test_names_of_strangers_make_no_formulas(desk):
    name = '=HYPERLINK("http://evil.example","x")'
    scenario = await desk.scenario(name)
    await desk.run(scenario)
    desk.serve()
    [row] = await desk.table(ReportKind.EXECUTIONS)
    assert row["scenario"] == "'" + name


async def test_json_holds_the_same_as_csv(desk):
    for _ in range(3):
        await desk.run()
    desk.serve()
    document = json.loads(await desk.content(await desk.made(form=ReportForm.JSON)))
    assert [row["executions"] for row in document["rows"]] == [3]
    lines = (await desk.content(await desk.made(ReportKind.EXECUTIONS, ReportForm.JSON))).splitlines()
    told = [{name: str(cell or "") for name, cell in json.loads(line).items()} for line in lines]
    assert told == await desk.table(ReportKind.EXECUTIONS)


async def test_a_report_of_a_team_tells_of_that_team_alone(desk):
    team = await desk.team("Dana's", "dana")
    scenario = await desk.scenario("Mails", team)
    theirs = await desk.run(scenario, team_id=team, operations=5)
    await desk.run()
    desk.serve()
    context = administrator(desk.place.organization_id, team_id=team)
    assert [row["id"] for row in await desk.table(ReportKind.EXECUTIONS, context=context)] == [theirs]
    [usage] = await desk.table(context=context)
    assert usage["operations"] == "5"
    assert len(await desk.queries.ask(context, ListReports())) == 2
    other = administrator(desk.place.organization_id, team_id=desk.place.team_id)
    assert await desk.queries.ask(other, ListReports()) == []


# How they are made.


@pytest.mark.usefixtures("small_pages")
async def test_memory_is_bounded_by_a_page_and_a_part(desk, monkeypatch):
    monkeypatch.setattr(generating, "PART_BYTES", 300)
    for _ in range(10):
        await desk.run()
    scope = sources_store.Scope(organization_id=desk.place.organization_id, team_id=None)
    desk.serve()
    report = await desk.made(ReportKind.EXECUTIONS)
    order = report.order
    pages = [page async for page in rows.pages_of(desk.place.shard, scope, order)]
    assert max(len(page.rows) for page in pages) == 3
    assert [page.share for page in pages] == sorted(page.share for page in pages)
    assert pages[-1].share == 1
    sizes = [part["size"] for part in await desk.parts(report)]
    assert set(sizes[:-1]) == {300}
    assert 0 < sizes[-1] <= 300
    assert len(sizes) == report.parts > 3
    assert (await desk.scene.events())["job.completed.v1"] == 1


class Stops:
    """Work that stands still on its first try, after so many pages, until it may go on."""

    def __init__(self, work, pages=3):
        self.work, self.pages = work, pages
        self.stands, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def run(self, job):
        left = self.pages if not self.stands.is_set() else -1

        async def report(percent, note):
            nonlocal left
            left -= 1
            if left == 0:
                self.stands.set()
                await self.may_go_on.wait()
            await job.report(percent, note)

        return await self.work.run(replace(job, report=report))


@pytest.fixture
async def long(desk, monkeypatch, small_pages):
    """A report of many parts whose first try stands still in the middle."""
    monkeypatch.setattr(generating, "PART_BYTES", 300)
    desk.ids = sorted([await desk.run() for _ in range(20)])
    # The first six windows before today's are empty, the first pages too: what it stands behind has rows.
    desk.stops = Stops(desk.work)
    desk.serve(desk.stops.run)
    desk.report = await desk.order(ReportKind.EXECUTIONS, first=desk.today)
    return desk


async def test_what_another_worker_takes_up_is_whole_and_doubles_nothing(long, shards):
    await long.scene.worker.start()
    await asyncio.wait_for(long.stops.stands.wait(), 15)
    assert len(await long.parts(long.report)) > 1
    with pytest.raises(NotFound):
        await long.queries.ask(long.context, GetReportPart(report_id=long.report.id, number=0))
    await long.scene.worker.stop()
    other = JobScene(shards, long.place, "other", types=long.scene.queue.types)
    await other.worker.start()
    await other.hurry()
    await other.until_state(long.report.id, "completed")
    await other.worker.stop()
    report = await long.get(long.report)
    assert sorted(row["id"] for row in read(await long.content(report))) == long.ids
    assert report.rows == 20


async def test_an_attempt_that_was_overtaken_writes_nothing_more(long):
    job = RunningJob(
        id=long.report.id,
        type=GENERATE,
        organization_id=long.place.organization_id,
        team_id=None,
        payload=msgspec.json.encode(long.report.order),
        number_of_try=1,
        created_at=datetime.now(UTC),
        report=unheard,
    )
    slept = asyncio.create_task(long.stops.run(job))
    await asyncio.wait_for(long.stops.stands.wait(), 15)
    await long.work.run(job)
    before = await long.parts(long.report)
    long.stops.may_go_on.set()
    assert isinstance(await slept, Failed)
    assert await long.parts(long.report) == before
    row = await long.place.one("SELECT * FROM shard.reports WHERE id = %s", long.report.id)
    assert sum(part["size"] for part in before) == row["bytes"]
    raw = await long.place.all("SELECT content FROM shard.report_parts WHERE report_id = %s ORDER BY number", job.id)
    found = sorted(line["id"] for line in read(b"".join(bytes(part["content"]) for part in raw)))
    assert found == long.ids, f"MULTI: {len(found) - len(set(found))} rows twice"


async def unheard(percent, note):
    pass


async def test_one_that_overtakes_in_the_middle_keeps_the_slower_one_out(long):
    """The slower attempt goes on while the newer one is half-way: between them nothing is lost or doubled."""
    newer = Stops(long.work)
    job = RunningJob(
        id=long.report.id,
        type=GENERATE,
        organization_id=long.place.organization_id,
        team_id=None,
        payload=msgspec.json.encode(long.report.order),
        number_of_try=1,
        created_at=datetime.now(UTC),
        report=unheard,
    )
    slept = asyncio.create_task(long.stops.run(job))
    await asyncio.wait_for(long.stops.stands.wait(), 15)
    second = asyncio.create_task(newer.run(job))
    await asyncio.wait_for(newer.stands.wait(), 15)
    long.stops.may_go_on.set()
    assert isinstance(await slept, Failed)
    newer.may_go_on.set()
    await second
    raw = await long.place.all("SELECT content FROM shard.report_parts WHERE report_id = %s ORDER BY number", job.id)
    found = sorted(line["id"] for line in read(b"".join(bytes(part["content"]) for part in raw)))
    assert found == long.ids, f"MULTI: {len(found) - len(set(found))} rows twice"


async def test_cancelling_takes_its_parts_away(long):
    await long.scene.worker.start()
    await asyncio.wait_for(long.stops.stands.wait(), 15)
    assert await long.parts(long.report)
    async with long.place.shard.write(long.place.organization_id) as tx:
        assert await long.scene.queue.cancel(tx, long.place.organization_id, long.report.id) == "running"
    with pytest.raises(Conflict):
        await long.order(ReportKind.EXECUTIONS, first=long.today)
    await long.scene.until_state(long.report.id, "cancelled")
    report = await long.get(long.report)
    assert await long.parts(long.report) == []
    assert (report.state, report.rows, report.bytes) == ("cancelled", 0, 0)


async def test_deleting_one_under_way_stops_it_and_leaves_nothing(long):
    await long.scene.worker.start()
    await asyncio.wait_for(long.stops.stands.wait(), 15)
    await long.commands.execute(long.context, DeleteReport(report_id=long.report.id))
    with pytest.raises(NotFound):
        await long.get(long.report)
    with pytest.raises(Conflict):
        await long.order(ReportKind.EXECUTIONS, first=long.today)
    long.stops.may_go_on.set()

    job = await long.scene.until_tried(long.report.id)
    assert job["state"] in {"failed", "cancelled"}
    assert await long.parts(long.report) == []
    assert (await long.order(ReportKind.EXECUTIONS, first=long.today)).id != long.report.id


async def test_one_that_waits_is_deleted_with_its_job(desk):
    desk.serve()
    report = await desk.order()
    await desk.commands.execute(desk.context, DeleteReport(report_id=report.id))
    assert (await desk.scene.job(report.id))["state"] == "cancelled"
    assert await desk.scene.queued() == []


async def test_one_that_grows_too_large_ends_with_a_sentence_and_without_parts(shards, monkeypatch):
    monkeypatch.setattr(generating, "PART_BYTES", 300)
    desk = Desk(shards, await make_place(shards), ReportLimits(bytes=1000))
    for _ in range(12):
        scenario = await desk.scenario("x" * 200)
        await desk.run(scenario)
    desk.serve()
    report = await desk.order()
    await desk.scene.worker.start()
    job = await desk.scene.until_state(report.id, "failed")
    await desk.scene.worker.stop()
    assert job["tries"] == 1
    report = await desk.get(report)
    assert report.error == "The report is larger than 1000 bytes: order fewer days, or group them more coarsely."
    assert (report.state, report.bytes, await desk.parts(report)) == ("failed", 0, [])


async def test_a_job_that_is_done_again_leaves_a_finished_report_as_it_is(desk):
    await desk.run()
    desk.serve()
    report = await desk.made()
    job = RunningJob(
        id=report.id,
        type=GENERATE,
        organization_id=desk.place.organization_id,
        team_id=None,
        payload=msgspec.json.encode(report.order),
        number_of_try=2,
        created_at=datetime.now(UTC),
        report=unheard,
    )
    done = await desk.work.run(job)
    assert json.loads(done.result) == {"rows": report.rows, "bytes": report.bytes}
    assert await desk.get(report) == report


# Ordering and keeping them.


async def test_an_identical_one_that_is_not_finished_is_answered_again(shards, desk):
    desk.serve()
    first = await desk.order()
    assert (await desk.order()).id == first.id
    assert (await desk.order(form=ReportForm.JSON)).id != first.id
    rival = Desk(shards, await make_place(shards))
    rival.serve()
    assert (await rival.order()).id != first.id
    again, also = await asyncio.gather(desk.order(first=desk.today), desk.order(first=desk.today))
    assert again.id == also.id
    assert len(await desk.queries.ask(desk.context, ListReports())) == 3


async def test_after_it_is_finished_the_same_may_be_ordered_anew(desk):
    desk.serve()
    first = await desk.made()
    assert (await desk.order()).id != first.id


async def test_there_is_a_most(shards):
    desk = Desk(shards, await make_place(shards), ReportLimits(reports=2, days=3))
    desk.serve()
    first = await desk.order()
    await desk.order(form=ReportForm.JSON)
    with pytest.raises(Conflict, match="2 reports"):
        await desk.order(ReportKind.EXECUTIONS)
    # Nothing of the refused one stays.
    assert len(await desk.scene.queued()) == 2
    assert (await desk.order()).id == first.id
    with pytest.raises(InvalidInput, match="at most 3 days"):
        await desk.order(first=desk.today - timedelta(days=3))
    await desk.commands.execute(desk.context, DeleteReport(report_id=first.id))
    await desk.order(ReportKind.EXECUTIONS)


async def test_a_stranger_s_report_does_not_exist(shards, desk):
    await desk.run()
    desk.serve()
    report = await desk.made()
    stranger = await make_place(shards)
    context = administrator(stranger.organization_id)
    for query in (GetReport(report_id=report.id), GetReportPart(report_id=report.id, number=0)):
        with pytest.raises(NotFound):
            await desk.queries.ask(context, query)
    with pytest.raises(NotFound):
        await desk.commands.execute(context, DeleteReport(report_id=report.id))
    # The policy alone holds too.
    assert await stranger.all("SELECT 1 FROM shard.reports WHERE id = %s", report.id) == []
    assert await stranger.all("SELECT 1 FROM shard.report_parts WHERE report_id = %s", report.id) == []
    with pytest.raises(Exception, match="row-level security"):
        async with stranger.shard.write(stranger.organization_id) as tx:
            await report_store.add(tx, desk.place.organization_id, None, new_job_id(), report.order)


async def age(desk, report, days):
    async with desk.place.shard.write(desk.place.organization_id) as tx:
        with pytest.raises(Exception, match="permission denied"):
            await tx.execute("UPDATE shard.reports SET created_at = now()")
    old = new_execution_id()
    await desk.place.execute(
        "INSERT INTO shard.reports (id, organization_id, wanted, parts, created_at)"
        " SELECT %s, organization_id, wanted, 1, now() - make_interval(days => %s) FROM shard.reports WHERE id = %s",
        old, days, report.id,
    )  # fmt: skip
    await desk.place.execute(
        "INSERT INTO shard.report_parts (report_id, number, organization_id, content) VALUES (%s, 0, %s, 'x')",
        old, desk.place.organization_id,
    )  # fmt: skip
    return old


async def test_reports_are_kept_for_their_days_and_parts_that_nobody_needs_go(desk, monkeypatch):
    monkeypatch.setattr(generating, "_FORGOTTEN_AT_A_TIME", 2)
    await desk.run()
    desk.serve()
    report = await desk.made()
    old = [await age(desk, report, 31) for _ in range(5)]
    abandoned = await age(desk, report, 29)
    assert await forget_reports(desk.shards, 30) == 5
    kept = await desk.queries.ask(desk.context, ListReports())
    assert {one.id for one in kept} == {report.id, abandoned}
    assert (await desk.place.one("SELECT count(*) AS parts FROM shard.report_parts"))["parts"] == report.parts == 1
    [left] = [one for one in kept if one.id == abandoned]
    assert (left.state, left.error, left.bytes) == ("failed", "It was not finished.", 0)
    assert old


async def test_parts_of_one_under_way_stay(long):
    await long.scene.worker.start()
    await asyncio.wait_for(long.stops.stands.wait(), 15)
    before = await long.parts(long.report)
    await forget_reports(long.shards, 30)
    assert await long.parts(long.report) == before != []


async def test_the_type_tells_and_is_bounded(desk):
    kind = desk.work.type()
    assert isinstance(kind, JobType)
    assert (kind.name, kind.tells) == (GENERATE, True)
    assert 0 < kind.seconds <= 3600
