"""Confidential scenarios: while they run their data is stored sealed, afterwards no table holds it in clear.

A canary goes in by every way (body, query, headers, inputs) and comes out of modules, answers and errors. After each
test every table and partition of every database is searched for it, as text and as bytes, also inside base64.
"""

import asyncio
import base64
import json

import msgspec
import psycopg
import pytest
from psycopg import sql

from make_bridge.domain.executions import runlog, store
from make_bridge.domain.executions.callbacks import Callbacks
from make_bridge.domain.executions.confidential import Payloads
from make_bridge.domain.executions.handlers import ExecutionHandlers
from make_bridge.domain.executions.messages import RunScenario
from make_bridge.domain.executions.model import Outcome, Status
from make_bridge.domain.executions.targets import Target
from make_bridge.domain.executions.trigger import CallHead, HookSettings
from make_bridge.domain.scenarios.messages import ActivateScenario, CreateScenario
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import HookId, TeamId
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import JobTypes
from support.blueprints import blueprint, call, module, returns, webhook
from support.nodes import node
from support.organizations import data_keys_of
from support.scheduling import make_scene

CANARY = "kanarienvogel4711kanarienvogel"
OTHER = "zaunkoenig0815zaunkoenig"
IMMEDIATELY = {"type": "immediately"}
ON_DEMAND = {"type": "on-demand"}
INTERFACE = {"input": [{"name": "secret", "type": "text"}], "output": [{"name": "result", "type": "text"}]}
PATIENCE = 15
TELLS = module(8, "gateway:WebhookRespond", {"status": "201", "body": "{{1.secret}} {{1.q}}", "headers": []})
WHERE = "SELECT current_database() AS name"
TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname IN ('shard', 'directory')
"""


def posts(number=2, method="post"):
    return call(number, method, "https://shop.example/", '{"order": "{{1.secret}}"}')


def forms(text):
    """How a text may stand in a row's text: as it is, as bytes, and inside base64, whatever stands before it."""
    raw = text.encode()
    inside = [base64.b64encode(b"x" * shift + raw).decode()[4:-4] for shift in range(3)]
    return "|".join([text, raw.hex(), *inside, *(form.encode().hex() for form in inside)])


async def databases(shards):
    """The names of the databases of a layout."""
    async with shards.directory.read() as tx:
        names = {(await tx.one(WHERE))["name"]}
    for shard in shards.all():
        async with shard.engine_statement() as tx:
            names.add((await tx.one(WHERE))["name"])
    return names


async def found(postgres, shards, text=CANARY):
    """Return the tables with a row in which the text stands."""
    tables = []
    for name in await databases(shards):
        async with await psycopg.AsyncConnection.connect(postgres.dsn(name), autocommit=True) as connection:
            for schema, table in await (await connection.execute(TABLES)).fetchall():
                query = sql.SQL("SELECT count(*) FROM {} t WHERE t::text ~ %s").format(sql.Identifier(schema, table))
                row = await (await connection.execute(query, (forms(text),))).fetchone()
                assert row is not None
                tables += [table] if row[0] else []
    return sorted(tables)


class Stage:
    """An organization with its scenarios, and what is stored of their runs."""

    def __init__(self, shards, postgres, scene):
        self.shards, self.postgres, self.scene = shards, postgres, scene
        callbacks = Callbacks(jobs=JobQueue(types=JobTypes()), policy=EgressPolicy())
        handlers = ExecutionHandlers(payloads=Payloads(sealing=data_keys_of(shards)), callbacks=callbacks)
        self.bus = CommandBus(handlers.commands(), shards, data_keys_of(shards))

    async def target(self, *flow, confidential=True, headers=True, **settings):
        scenario = await self.scene.scenario(IMMEDIATELY, webhook(), *flow, confidential=confidential, **settings)
        return Target(
            hook_id=HookId(scenario.hook_id),
            organization_id=self.scene.context.organization_id,
            team_id=scenario.team_id,
            scenario_id=scenario.id,
            blueprint_version=scenario.blueprint_version,
            settings=HookSettings(headers=headers),
        )

    async def on_demand(self, result):
        """A confidential scenario with an input and an output; its call out takes the one, its output is told here."""
        start = module(1, "scenario-service:StartSubscenario", {})
        document = blueprint(start, posts(), returns(3, result=result), confidential=True) | {"interface": INTERFACE}
        context = self.scene.context
        command = CreateScenario(
            team_id=TeamId(self.scene.organization.team_id), blueprint=document, scheduling=ON_DEMAND
        )
        scenario = await self.scene.bus.execute(context, command)
        await self.scene.bus.execute(context, ActivateScenario(scenario_id=scenario.id))
        return scenario

    async def run(self, scenario, **inputs):
        return await self.bus.execute(self.scene.context, RunScenario(scenario_id=scenario.id, inputs=inputs))

    async def all(self, statement, *parameters):
        async with self.scene.shard.read(self.scene.context.organization_id) as tx:
            return await tx.all(statement, parameters)

    async def payload(self, execution_id):
        [row] = await self.all("SELECT head, body FROM shard.payloads WHERE id = %s", execution_id)
        return bytes(row["head"]), bytes(row["body"])

    async def detail(self, execution_id):
        [row] = await self.all("SELECT detail FROM shard.outcomes WHERE id = %s", execution_id)
        return runlog.decode_detail(bytes(row["detail"]))

    async def steps(self, execution_id):
        [row] = await self.all("SELECT steps FROM shard.execution_logs WHERE id = %s", execution_id)
        return runlog.decode_steps(bytes(row["steps"]))

    async def found(self):
        return await found(self.postgres, self.shards)

    async def only_run(self):
        [row] = await self.all("SELECT id FROM shard.executions ORDER BY id")
        return row["id"].hex


async def send(node, target, text=CANARY):
    head = CallHead(query=f"q={text}", content_type="application/json", headers=[("x-thing", text)])
    async with asyncio.timeout(PATIENCE):
        return await node.ingest.take(target, head, json.dumps({"secret": text}).encode())


async def ended(node, organization_id, execution_id):
    async with asyncio.timeout(PATIENCE):
        return await node.waiting.outcome(organization_id, execution_id, PATIENCE)


@pytest.fixture
async def stage(shards, postgres):
    scene = await make_scene(shards)
    async with scene.shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue")
    return Stage(shards, postgres, scene)


async def test_the_search_finds_what_any_other_scenario_leaves(shards, postgres, stage):
    async with node(shards, "one") as one:
        one.shop.body = json.dumps({"token": OTHER}).encode()
        target = await stage.target(posts(), TELLS, confidential=False)
        _, answer = await send(one, target, OTHER)
        assert (answer.status, answer.body) == (201, f"{OTHER} {OTHER}".encode())
    parents = {name.rstrip("0123456789_") for name in await found(postgres, shards, OTHER)}
    assert {"payloads", "outcomes", "execution_logs", "journal"} <= parents


async def test_a_run_in_place_is_stored_sealed_and_leaves_counts(shards, stage):
    target = await stage.target(posts(), TELLS)
    async with node(shards, "one", shop_is_open=False) as one:
        one.shop.body = json.dumps({"token": CANARY}).encode()
        sending = asyncio.create_task(send(one, target))
        async with asyncio.timeout(PATIENCE):
            await one.shop.reached.wait()
        running = await stage.only_run()
        head, body = await stage.payload(running)
        assert (head.startswith(b"v1."), body) == (True, b"")
        assert await stage.found() == []
        one.shop.is_open.set()
        execution_id, answer = await sending
        assert (execution_id, answer.status, answer.body) == (running, 201, f"{CANARY} {CANARY}".encode())
        await ended(one, target.organization_id, execution_id)
        assert CANARY in str(one.shop.requests[0].body)
    assert await stage.payload(execution_id) == (b"", b"")
    assert await stage.detail(execution_id) == runlog.StoredDetail()
    steps = await stage.steps(execution_id)
    assert [(step["moduleId"], step["outputCount"], step["input"], step["outputs"]) for step in steps] == [
        (1, 1, None, []),
        (2, 1, None, []),
        (8, 1, None, []),
    ]
    assert await stage.found() == []


async def test_a_run_at_once_is_stored_without_its_payload(shards, stage):
    target = await stage.target(module(2, "util:ComposeTransformer", {"value": "{{1.secret}}"}), TELLS)
    async with node(shards, "one") as one:
        execution_id, answer = await send(one, target)
        assert (answer.status, answer.body) == (201, f"{CANARY} {CANARY}".encode())
        assert 'path="at_once"} 1.0' in one.metrics.render().decode()
    assert await stage.payload(execution_id) == (b"", b"")
    assert await stage.detail(execution_id) == runlog.StoredDetail()
    assert await stage.found() == []


async def test_a_caller_on_one_server_gets_the_answer_of_a_run_on_another(shards, stage):
    target = await stage.target(posts(), TELLS, sequential=True)
    async with node(shards, "one") as one, node(shards, "two", shop_is_open=False) as two:
        await two.worker.start()
        sending = asyncio.create_task(send(one, target))
        async with asyncio.timeout(PATIENCE):
            await two.shop.reached.wait()
        assert await stage.found() == []
        two.shop.is_open.set()
        execution_id, answer = await sending
    assert (answer.status, answer.body) == (201, f"{CANARY} {CANARY}".encode())
    assert one.shop.requests == []
    assert await stage.payload(execution_id) == (b"", b"")
    detail = await stage.detail(execution_id)
    assert (detail.response, detail.answer is None) == (None, False)
    assert await stage.found() == []


async def test_another_server_takes_up_the_sealed_run_of_one_that_died(shards, stage):
    target = await stage.target(posts(method="put"), TELLS)
    async with node(shards, "one", shop_is_open=False) as one, node(shards, "two") as two:
        sending = asyncio.create_task(send(one, target))
        async with asyncio.timeout(PATIENCE):
            await one.shop.reached.wait()
        async with stage.scene.shard.engine_write() as tx:
            await tx.execute("UPDATE shard.queue SET lease_until = now() - interval '1 second'")
        await two.worker.start()
        execution_id, answer = await sending
        assert (answer.status, answer.body) == (201, f"{CANARY} {CANARY}".encode())
        assert two.shop.requests[0].body == one.shop.requests[0].body
        assert await stage.payload(execution_id) == (b"", b"")
    assert "journal_refused_total 1.0" in one.metrics.render().decode()
    assert await stage.found() == []


async def test_a_failed_run_keeps_the_kind_of_its_error_and_no_words(shards, stage):
    target = await stage.target(posts(), module(3, "builtin:ThrowError", {"message": "No {{1.secret}}!"}), TELLS)
    async with node(shards, "one") as one:
        execution_id, answer = await send(one, target)
        assert answer.status == 500
    error = (await stage.detail(execution_id)).error
    assert (error.name, error.module, error.module_id) == ("RuntimeError", "builtin:ThrowError", 3)
    assert error.message == runlog.NOT_KEPT
    *_, last = await stage.steps(execution_id)
    assert last["error"] == {"name": "RuntimeError", "message": runlog.NOT_KEPT}
    [told] = await stage.all("SELECT payload FROM shard.outbox WHERE type = 'execution.failed.v1'")
    assert msgspec.json.decode(bytes(told["payload"]))["message"] == ""
    assert await stage.found() == []


async def test_an_incomplete_run_is_tried_again_and_nothing_is_left_of_it(shards, stage):
    target = await stage.target(posts(), dlq=True)
    async with node(shards, "one") as one, node(shards, "two") as two:
        one.shop.status, one.shop.body = 400, json.dumps({"error": CANARY}).encode()
        execution_id, _ = await send(one, target)
        await ended(one, target.organization_id, execution_id)
        [record] = await stage.all("SELECT id, reason, document FROM shard.incomplete_executions")
        assert (record["reason"], bytes(record["document"])[:3]) == (runlog.NOT_KEPT, b"v1.")
        assert await stage.found() == []
        async with stage.scene.shard.engine_write() as tx:
            await tx.execute(
                "INSERT INTO shard.queue (id, organization_id, team_id, scenario_id, kind)"
                " SELECT id, organization_id, team_id, scenario_id, 'incomplete.retry' FROM shard.incomplete_executions"
                " ON CONFLICT (id) DO UPDATE SET ready_at = now()"
            )
        await two.worker.start()
        async with asyncio.timeout(PATIENCE):
            await two.shop.reached.wait()
        await two.worker.stop()
        [record] = await stage.all("SELECT resolved FROM shard.incomplete_executions")
        assert record["resolved"]
        assert two.shop.requests[0].body == one.shop.requests[0].body
    payloads = await stage.all("SELECT head, body FROM shard.payloads")
    assert [(bytes(row["head"]), bytes(row["body"])) for row in payloads] == [(b"", b"")] * 2
    assert await stage.found() == []


async def test_a_run_by_hand_gives_its_outputs_to_who_waits_on_another_server(shards, stage):
    scenario = await stage.on_demand("{{1.secret}} is done")
    execution_id = await stage.run(scenario, secret=CANARY)
    assert (await stage.payload(execution_id))[0].startswith(b"v1.")
    assert await stage.found() == []
    async with node(shards, "one") as one, node(shards, "two") as two:
        await two.worker.start()
        detail = await ended(one, stage.scene.context.organization_id, execution_id)
        assert detail.outputs == {"result": f"{CANARY} is done"}
    assert await stage.payload(execution_id) == (b"", b"")
    assert (await stage.detail(execution_id)).outputs is None
    assert await stage.found() == []


async def test_a_called_scenario_is_given_and_gives_what_no_table_holds(shards, stage):
    child = await stage.on_demand("{{1.secret}} again")
    calls = module(
        2,
        "scenario-service:CallSubscenario",
        {"data": {"secret": "{{1.secret}}"}},
        parameters={"scenario": child.id, "shouldWaitForExecutionEnd": True},
    )
    target = await stage.target(calls, module(3, "gateway:WebhookRespond", {"status": "200", "body": "{{2.result}}"}))
    async with node(shards, "one") as one, node(shards, "two", shop_is_open=False) as two:
        await two.worker.start()
        sending = asyncio.create_task(send(one, target))
        async with asyncio.timeout(PATIENCE):
            await two.shop.reached.wait()
        assert await stage.found() == []
        two.shop.is_open.set()
        _, answer = await sending
        assert answer.body == f"{CANARY} again".encode()
    assert await stage.found() == []


async def test_a_refused_outcome_erases_nothing(shards, stage):
    target = await stage.target(posts(), sequential=True)
    async with node(shards, "one") as one:
        execution_id, _ = await send(one, target)
    before = await stage.payload(execution_id)
    assert before[0].startswith(b"v1.")
    stale = outcome(target, execution_id, fence=99)
    assert await store.settle(stage.scene.shard, [stale], "x") == set()
    assert await stage.payload(execution_id) == before


def outcome(target, execution_id, **changes):
    return Outcome(
        id=execution_id,
        organization_id=target.organization_id,
        team_id=target.team_id,
        scenario_id=target.scenario_id,
        status=Status.SUCCESS,
        duration_ms=1,
        operations=1,
        transfer=0,
        detail=b"{}",
        steps=b"[]",
        confidential=True,
        **changes,
    )


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE shard.payloads SET head = head || 'AAAA' WHERE id = %s",
        (
            "UPDATE shard.payloads p SET head = o.head FROM shard.payloads o"
            " WHERE p.id = %s AND o.id <> p.id AND o.organization_id = p.organization_id"
        ),
    ],
    ids=["changed", "moved"],
)
async def test_a_payload_that_was_changed_or_moved_ends_its_run_with_an_error(shards, stage, tamper):
    target = await stage.target(posts(), sequential=True)
    async with node(shards, "one") as one, node(shards, "two") as two:
        execution_id, _ = await send(one, target)
        await send(one, await stage.target(posts(), sequential=True))
        async with stage.scene.shard.engine_write() as tx:
            await tx.execute("DELETE FROM shard.queue WHERE id <> %s", (execution_id,))
            await tx.execute(tamper, (execution_id,))
        await two.worker.start()
        detail = await ended(one, target.organization_id, execution_id)
        assert (detail.error.name, detail.error.message) == ("ScenarioValidationError", runlog.NOT_KEPT)
        assert two.shop.requests == []
    assert await stage.payload(execution_id) == (b"", b"")


async def test_nobody_but_the_engine_changes_a_payload_and_it_no_more_than_head_and_body(stage):
    with pytest.raises((psycopg.errors.InsufficientPrivilege, Unavailable)):
        async with stage.scene.shard.write(stage.scene.context.organization_id) as tx:
            await tx.execute("UPDATE shard.payloads SET body = ''")
    with pytest.raises((psycopg.errors.InsufficientPrivilege, Unavailable)):
        async with stage.scene.shard.engine_write() as tx:
            await tx.execute("UPDATE shard.payloads SET organization_id = 1")
    with pytest.raises((psycopg.errors.InsufficientPrivilege, Unavailable)):
        async with stage.scene.shard.engine_write() as tx:
            await tx.execute("DELETE FROM shard.payloads")


async def test_runs_that_settle_together_lose_their_payloads_each_by_its_own_scenario(shards, stage):
    secret = await stage.target(posts(), sequential=True)
    open_one = await stage.target(posts(), sequential=True, confidential=False)
    async with node(shards, "one") as one:
        hidden, _ = await send(one, secret)
        shown, _ = await send(one, open_one, OTHER)
    before = await stage.payload(shown)
    outcomes = [
        outcome(secret, hidden, fence=0),
        msgspec.structs.replace(outcome(open_one, shown, fence=0), confidential=False),
    ]
    assert await store.settle(stage.scene.shard, outcomes, "x") == {hidden, shown}
    assert await stage.payload(hidden) == (b"", b"")
    assert await stage.payload(shown) == before
