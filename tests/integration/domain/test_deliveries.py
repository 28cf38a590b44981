"""Outbound webhooks over a real database and a real HTTP receiver: told, tried again, held, given up, replayed."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from make_bridge.domain.deliveries import views
from make_bridge.domain.deliveries.handlers import DeliveryHandlers
from make_bridge.domain.deliveries.messages import (
    CreateEndpoint,
    DeleteEndpoint,
    GetEndpoint,
    GetMessage,
    ListMessages,
    PauseEndpoint,
    PingEndpoint,
    ReplayFailedMessages,
    ReplayMessage,
    ResumeEndpoint,
    RotateEndpointSecret,
)
from make_bridge.domain.deliveries.model import DeliveryLimits
from make_bridge.domain.deliveries.sending import Delivering
from make_bridge.domain.deliveries.telling import TellingEndpoints, forget_messages
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import Conflict, LimitExceeded, NotFound
from make_bridge.platform.bus import event_store
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.consumers import ConsumerLoop
from make_bridge.platform.bus.event_store import Lead
from make_bridge.platform.bus.queries import QueryBus
from make_bridge.platform.bus.relay import DUTY
from make_bridge.platform.coordination.leadership import Leadership
from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from support.endings import make_place
from support.jobs import JobScene, until
from support.organizations import administrator, data_keys_of
from support.target import serving_target
from support.webhooks import verify

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")

INSERT = "INSERT INTO shard.outbox (organization_id, type, subject, payload) VALUES (%s, %s, 'execution/1', %s)"
FAILED, WARNED, DISABLED = "execution.failed.v1", "execution.warned.v1", "endpoint.disabled.v1"
KNOWN = frozenset({FAILED, WARNED, DISABLED, "job.completed.v1", "batch.completed.v1"})


class Webhooks:
    """An organization, the parts that serve its endpoints, and a receiver."""

    def __init__(self, shards, scene, target, client, **limits):
        self.shards, self.scene, self.target, self.place = shards, scene, target, scene.place
        self.policy = EgressPolicy.parse(["127.0.0.1"])
        self.limits = DeliveryLimits(plain_http=True, known_types=KNOWN, **limits)
        keys, clock = data_keys_of(shards), SystemClock()
        parts = {"sealing": keys, "jobs": scene.queue, "clock": clock, "policy": self.policy, "limits": self.limits}
        self.delivering = Delivering(shards=shards, out=client, metrics=scene.metrics, **parts)
        for kind in self.delivering.types():
            scene.queue.types.add(kind)
        self.commands = CommandBus(DeliveryHandlers(**parts).commands(), shards, keys)
        self.queries = QueryBus(views.queries(), shards)
        self.telling = TellingEndpoints(jobs=scene.queue, limits=self.limits, metrics=scene.metrics)
        self.context = administrator(self.place.organization_id)

    async def do(self, command):
        return await self.commands.execute(self.context, command)

    async def ask(self, query):
        return await self.queries.ask(self.context, query)

    async def listen(self, path="/hook", events=(FAILED,)):
        made = await self.do(CreateEndpoint(url=self.target.url + path, events=tuple(events)))
        return made.endpoint.id, made.secret

    async def happen(self, *kinds, data=b"{}"):
        """Let events happen, and the consumer take them."""
        shard = self.place.shard
        async with shard.write(self.place.organization_id) as tx:
            for kind in kinds:
                await tx.execute(INSERT, (self.place.organization_id, kind, data))
        return await self.relay()

    async def relay(self):
        shard = self.place.shard
        fence = await Leadership(shard, DUTY, "one").hold()
        assert fence is not None
        async with shard.engine_statement() as tx:
            await event_store.stamp(tx, Lead(name=DUTY, owner="one", fence=fence), 1000)
            await event_store.join(tx, self.telling.name)
        while await ConsumerLoop(shard, self.telling, self.scene.metrics).step():
            pass

    async def messages(self, endpoint_id, state=None):
        return await self.ask(ListMessages(endpoint_id=endpoint_id, state=state))

    async def log(self, endpoint_id):
        [message] = await self.messages(endpoint_id)
        return (await self.ask(GetMessage(endpoint_id=endpoint_id, message_id=message.id))).log

    async def endpoint(self, endpoint_id):
        return await self.ask(GetEndpoint(endpoint_id=endpoint_id))

    async def until_state(self, endpoint_id, *states):
        async def is_there():
            return sorted(message.state for message in await self.messages(endpoint_id)) == sorted(states)

        await until(is_there)

    async def until_tries(self, endpoint_id, tries):
        async def is_there():
            jobs = await self.place.all("SELECT tries, state FROM shard.jobs WHERE type = 'webhook.send'")
            return any(job["tries"] >= tries and job["state"] != "running" for job in jobs)

        await until(is_there)

    async def until_quiet(self):
        async def is_there():
            return not await self.scene.queued()

        await until(is_there)

    def calls(self, path="/hook"):
        return self.target.calls_to(path)


@pytest.fixture(scope="module")
def receiver():
    with serving_target() as target:
        yield target


@pytest.fixture
async def client():
    async with EgressClient(EgressConfig(policy=EgressPolicy.parse(["127.0.0.1"]))) as client:
        yield client


@pytest.fixture
async def build(shards, receiver, client):
    receiver.calls.clear()
    receiver.statuses.clear()
    receiver.headers.clear()
    receiver.answer = {"received": True}
    scenes = []

    async def built(**limits):
        scene = JobScene(shards, await make_place(shards))
        scenes.append(scene)
        return Webhooks(shards, scene, receiver, client, **limits)

    yield built
    for scene in scenes:
        await scene.worker.stop()


@pytest.fixture
async def hooks(build):
    hooks = await build()
    await hooks.scene.worker.start()
    return hooks


async def test_an_event_is_told_signed_in_the_form_of_standard_webhooks_and_cloud_events(hooks):
    endpoint, secret = await hooks.listen()
    await hooks.happen(FAILED, WARNED, data=b'{"execution_id":"e1"}')
    await hooks.until_state(endpoint, "delivered")
    [call] = hooks.calls()
    assert (call.method, call.headers["content-type"]) == ("POST", "application/json")
    shown = verify(secret, call.headers, call.body, time.time())
    body = json.loads(call.body)
    assert body["type"] == FAILED
    assert body["data"] == {"execution_id": "e1"}
    assert body["timestamp"] == body["time"]
    assert (body["specversion"], body["source"]) == (
        "1.0",
        f"urn:make-bridge:organization:{hooks.place.organization_id}",
    )
    [message] = await hooks.messages(endpoint)
    assert (shown, message.event_id, message.attempts) == (f"msg_{message.id}", body["id"], 1)
    [attempt] = await hooks.log(endpoint)
    assert (attempt.status, attempt.failure, attempt.answer, attempt.next_at) == (200, "", '{"received": true}', None)
    assert (await hooks.endpoint(endpoint)).last_success_at is not None
    assert hooks.scene.count('webhook_attempts_total{result="delivered"}') == 1


async def test_a_failed_attempt_is_tried_again_under_the_same_id_and_logged(hooks):
    endpoint, secret = await hooks.listen()
    hooks.target.statuses["/hook"] = 500
    await hooks.happen(FAILED)
    await hooks.until_tries(endpoint, 1)
    [message] = await hooks.messages(endpoint)
    assert (message.state, message.error) == ("waiting", "It answered with status 500.")
    pause = message.next_attempt_at - datetime.now(UTC)
    assert pause < timedelta(seconds=6)
    hooks.target.statuses.clear()
    await hooks.scene.hurry()
    await hooks.until_state(endpoint, "delivered")
    assert [(attempt.number, attempt.status) for attempt in await hooks.log(endpoint)] == [(1, 500), (2, 200)]
    first, second = hooks.calls()
    assert verify(secret, first.headers, first.body, time.time()) == verify(
        secret, second.headers, second.body, time.time()
    )
    assert first.body == second.body


async def test_after_ten_failed_attempts_a_message_has_failed_and_leaves_no_dead_letter(hooks):
    endpoint, _ = await hooks.listen()
    hooks.target.statuses["/hook"] = 404
    await hooks.happen(FAILED)
    for tries in range(1, 10):
        await hooks.until_tries(endpoint, tries)
        await hooks.scene.hurry()
    await hooks.until_state(endpoint, "failed")
    await hooks.until_quiet()
    log = await hooks.log(endpoint)
    assert [attempt.number for attempt in log] == list(range(1, 11))
    steps = [round((attempt.next_at - attempt.at).total_seconds()) for attempt in log[:-1]]
    assert steps == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert log[-1].next_at is None
    assert len(hooks.calls()) == 10
    assert await hooks.place.all("SELECT 1 FROM shard.dead_letters") == []


@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_that_asks_for_a_pause_gets_it(hooks, status):
    endpoint, _ = await hooks.listen()
    hooks.target.statuses["/hook"] = status
    hooks.target.headers["/hook"] = {"Retry-After": "3000"}
    await hooks.happen(FAILED)
    await hooks.until_tries(endpoint, 1)
    [message] = await hooks.messages(endpoint)
    pause = (message.next_attempt_at - datetime.now(UTC)).total_seconds()
    assert 2990 < pause <= 3600


async def test_a_receiver_that_is_gone_disables_its_endpoint_at_once_with_notice(hooks):
    endpoint, _ = await hooks.listen()
    watching, _ = await hooks.listen("/watch", (DISABLED,))
    hooks.target.statuses["/hook"] = 410
    await hooks.happen(FAILED)
    await hooks.until_state(endpoint, "failed")
    shown = await hooks.endpoint(endpoint)
    assert (shown.state, "410" in shown.disabled_reason) == ("disabled", True)
    [audit] = await hooks.place.all("SELECT object FROM shard.audit WHERE action = 'webhook_endpoint.disable'")
    assert audit["object"] == f"webhook_endpoint/{endpoint}"
    await hooks.relay()
    await hooks.until_state(watching, "delivered")
    [told] = hooks.calls("/watch")
    assert json.loads(told.body)["data"]["endpoint_id"] == endpoint
    with pytest.raises(Conflict):
        await hooks.do(PingEndpoint(endpoint_id=endpoint))


@pytest.mark.attack("E23")
async def test_a_redirect_is_not_followed(hooks):
    endpoint, _ = await hooks.listen()
    hooks.target.statuses["/hook"] = 307
    hooks.target.headers["/hook"] = {"Location": f"{hooks.target.url}/elsewhere"}
    await hooks.happen(FAILED)
    await hooks.until_tries(endpoint, 1)
    assert [attempt.status for attempt in await hooks.log(endpoint)] == [307]
    assert hooks.calls("/elsewhere") == []


async def test_a_long_answer_is_a_delivery_and_only_its_beginning_is_kept(hooks):
    endpoint, _ = await hooks.listen()
    hooks.target.answer = {"long": "x" * 200_000}
    await hooks.happen(FAILED)
    await hooks.until_state(endpoint, "delivered")
    [attempt] = await hooks.log(endpoint)
    assert len(attempt.answer) == 1024


@pytest.mark.attack("E22")
async def test_an_address_that_is_closed_meanwhile_is_not_called(hooks):
    endpoint, _ = await hooks.listen()
    await hooks.place.execute("UPDATE shard.webhook_endpoints SET url = 'http://10.0.0.1/' WHERE id = %s", endpoint)
    await hooks.happen(FAILED)
    await hooks.until_tries(endpoint, 1)
    [attempt] = await hooks.log(endpoint)
    assert (attempt.status, attempt.failure) == (None, "refused")
    assert (await hooks.messages(endpoint))[0].error == "The address 10.0.0.1 is not open to calls from here."


@pytest.mark.attack("D08")
async def test_both_secrets_sign_while_one_is_changed_and_only_the_new_one_afterwards(hooks):
    endpoint, first = await hooks.listen()
    second = (await hooks.do(RotateEndpointSecret(endpoint_id=endpoint))).secret
    await hooks.happen(FAILED)
    await hooks.until_state(endpoint, "delivered")
    [call] = hooks.calls()
    verify(first, call.headers, call.body, time.time())
    verify(second, call.headers, call.body, time.time())
    shown = await hooks.endpoint(endpoint)
    left = shown.previous_secret_until - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    await hooks.place.execute("UPDATE shard.webhook_endpoints SET previous_until = now() WHERE id = %s", endpoint)
    await hooks.happen(FAILED)
    await hooks.until_state(endpoint, "delivered", "delivered")
    call = hooks.calls()[-1]
    verify(second, call.headers, call.body, time.time())
    with pytest.raises(AssertionError, match="no signature fits"):
        verify(first, call.headers, call.body, time.time())


async def test_secrets_are_sealed_in_the_database(hooks):
    endpoint, secret = await hooks.listen()
    row = await hooks.place.one("SELECT * FROM shard.webhook_endpoints WHERE id = %s", endpoint)
    assert secret not in repr(row)
    assert row["secret_sealed"].startswith("v1.")


async def test_a_pause_keeps_messages_and_resuming_sends_them(hooks):
    endpoint, _ = await hooks.listen()
    await hooks.do(PauseEndpoint(endpoint_id=endpoint))
    await hooks.happen(FAILED, FAILED)
    await hooks.do(PingEndpoint(endpoint_id=endpoint))
    await hooks.until_state(endpoint, "held", "held", "held")
    assert await hooks.scene.queued() == []
    assert hooks.calls() == []
    await hooks.do(ResumeEndpoint(endpoint_id=endpoint))
    await hooks.until_state(endpoint, "delivered", "delivered", "delivered")
    assert len({call.headers["webhook-id"] for call in hooks.calls()}) == 3


async def test_a_pause_also_stops_what_waits_for_its_next_attempt(hooks):
    endpoint, _ = await hooks.listen()
    hooks.target.statuses["/hook"] = 500
    await hooks.happen(FAILED)
    await hooks.until_tries(endpoint, 1)
    await hooks.do(PauseEndpoint(endpoint_id=endpoint))
    await hooks.scene.hurry()
    await hooks.until_state(endpoint, "held")
    assert len(hooks.calls()) == 1


async def test_an_endpoint_is_disabled_after_days_of_nothing_but_failures_and_not_before(build):
    hooks = await build(disable_attempts=3)
    endpoint, _ = await hooks.listen()
    hooks.target.statuses["/hook"] = 500
    await hooks.scene.worker.start()
    await hooks.happen(FAILED, FAILED)
    await hooks.until_tries(endpoint, 1)
    assert (await hooks.endpoint(endpoint)).state == "active"

    async def both_failed():
        return (await hooks.endpoint(endpoint)).failures == 2

    await until(both_failed)
    await hooks.place.execute(
        "UPDATE shard.webhook_endpoints SET failing_since = now() - interval '5 days' WHERE id = %s", endpoint
    )
    assert (await hooks.endpoint(endpoint)).state == "active"
    await hooks.scene.hurry()

    async def is_disabled():
        await hooks.scene.hurry()
        return (await hooks.endpoint(endpoint)).state == "disabled"

    await until(is_disabled)
    assert "5 days" in (await hooks.endpoint(endpoint)).disabled_reason
    await hooks.happen(FAILED)

    async def all_failed():
        await hooks.scene.hurry()
        return len(await hooks.messages(endpoint, "failed")) == 3

    await until(all_failed)
    # One call enables it; what failed meanwhile is sent again by another.
    hooks.target.statuses.clear()
    shown = await hooks.do(ResumeEndpoint(endpoint_id=endpoint))
    assert (shown.state, shown.failures, shown.failing_since) == ("active", 0, None)
    since = datetime.now(UTC) - timedelta(hours=1)
    replayed = await hooks.do(ReplayFailedMessages(endpoint_id=endpoint, since=since))
    assert (replayed.messages, replayed.more) == (3, False)
    await hooks.until_state(endpoint, "delivered", "delivered", "delivered")
    [batch] = await hooks.place.all("SELECT total FROM shard.job_batches")
    assert batch["total"] == 3


async def test_a_success_ends_the_days_of_failure(hooks):
    endpoint, _ = await hooks.listen()
    await hooks.place.execute(
        "UPDATE shard.webhook_endpoints SET failing_since = now() - interval '9 days', failures = 90 WHERE id = %s",
        endpoint,
    )
    await hooks.happen(FAILED)
    await hooks.until_state(endpoint, "delivered")
    shown = await hooks.endpoint(endpoint)
    assert (shown.state, shown.failing_since, shown.failures) == ("active", None, 0)


async def test_deliveries_cause_no_deliveries(hooks):
    everything, _ = await hooks.listen("/all", ())
    gone, _ = await hooks.listen("/gone", ())
    hooks.target.statuses["/gone"] = 410
    await hooks.happen(FAILED)
    await hooks.until_state(gone, "failed")
    await hooks.do(PingEndpoint(endpoint_id=everything))
    for _ in range(5):
        await hooks.relay()
        await hooks.until_quiet()
    # The failure, the ping, and once that the other endpoint was disabled, which that one is not told.
    await hooks.until_state(everything, "delivered", "delivered", "delivered")
    assert [message.type for message in await hooks.messages(gone)] == [FAILED]
    assert len(hooks.target.calls) == 4
    events = await hooks.scene.events()
    assert events == {FAILED: 1, DISABLED: 1}


async def test_one_message_is_replayed_under_its_own_id(hooks):
    endpoint, _ = await hooks.listen()
    await hooks.happen(FAILED)
    await hooks.until_state(endpoint, "delivered")
    [message] = await hooks.messages(endpoint)
    await hooks.do(ReplayMessage(endpoint_id=endpoint, message_id=message.id))

    async def is_sent_again():
        return len(await hooks.log(endpoint)) == 2

    await until(is_sent_again)
    first, second = hooks.calls()
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_an_event_taken_twice_is_one_message(hooks):
    endpoint, _ = await hooks.listen()
    await hooks.happen(FAILED)
    await hooks.until_state(endpoint, "delivered")
    async with hooks.place.shard.engine_write() as tx:
        await tx.execute("UPDATE shard.event_consumers SET position = 0 WHERE name = 'webhooks'")
    await hooks.relay()
    await hooks.until_quiet()
    assert len(await hooks.messages(endpoint)) == 1
    assert len(hooks.calls()) == 1


async def test_a_hanging_endpoint_takes_its_few_places_and_no_more(build):
    hooks = await build(in_flight=2)
    hanging, _ = await hooks.listen("/hanging")
    quick, _ = await hooks.listen("/quick", (WARNED,))
    hold = hooks.target.hold()
    try:
        await hooks.happen(*[FAILED] * 6)
        await hooks.scene.worker.start()

        async def are_put_off():
            return hooks.scene.count('webhook_attempts_total{result="put_off"}') >= 4

        await until(are_put_off)
        assert len(hooks.calls("/hanging")) == 2
        hold.end()
        await hooks.happen(WARNED)
        await hooks.until_state(quick, "delivered")
        assert len(hooks.calls("/hanging")) == 2
    finally:
        hold.release()

    async def all_delivered():
        await hooks.scene.hurry()
        return len(await hooks.messages(hanging, "delivered")) == 6

    await until(all_delivered)


async def test_what_there_is_no_room_for_is_dropped_and_counted(build):
    hooks = await build(unfinished=2)
    endpoint, _ = await hooks.listen()
    await hooks.do(PauseEndpoint(endpoint_id=endpoint))
    await hooks.happen(*[FAILED] * 5)
    assert len(await hooks.messages(endpoint, "held")) == 2
    assert (await hooks.endpoint(endpoint)).dropped == 3
    assert hooks.scene.count("webhook_messages_dropped_total") == 3
    with pytest.raises(LimitExceeded):
        await hooks.do(PingEndpoint(endpoint_id=endpoint))


async def test_an_organization_has_only_so_many_endpoints(build):
    hooks = await build(endpoints=2)
    await hooks.listen()
    await hooks.listen()
    with pytest.raises(LimitExceeded):
        await hooks.listen()


async def test_another_organization_hears_nothing_and_finds_nothing(build, hooks):
    other = await build()
    endpoint, _ = await other.listen("/other", ())
    mine, _ = await hooks.listen()
    await hooks.happen(FAILED)
    await hooks.until_state(mine, "delivered")
    assert await other.messages(endpoint) == []
    [message] = await hooks.messages(mine)
    for query in (
        GetEndpoint(endpoint_id=mine),
        ListMessages(endpoint_id=mine),
        GetMessage(endpoint_id=mine, message_id=message.id),
    ):
        with pytest.raises(NotFound):
            await other.ask(query)
    for command in (ReplayMessage(endpoint_id=mine, message_id=message.id), DeleteEndpoint(endpoint_id=mine)):
        with pytest.raises(NotFound):
            await other.do(command)


async def test_the_log_of_a_message_is_bounded(build):
    hooks = await build(logged_attempts=2)
    endpoint, _ = await hooks.listen()
    await hooks.scene.worker.start()
    hooks.target.statuses["/hook"] = 500
    await hooks.happen(FAILED)
    for tries in range(1, 5):
        await hooks.until_tries(endpoint, tries)
        await hooks.scene.hurry()
    assert [attempt.number for attempt in await hooks.log(endpoint)][-1] >= 4
    assert len(await hooks.log(endpoint)) == 2


async def test_old_messages_are_forgotten_and_those_that_nobody_sends_are_put_down_as_failed(hooks):
    endpoint, _ = await hooks.listen()
    await hooks.happen(FAILED)
    await hooks.until_state(endpoint, "delivered")
    await forget_messages(hooks.shards, 30)
    assert len(await hooks.messages(endpoint)) == 1
    age = "UPDATE shard.webhook_messages SET finished_at = now() - interval '31 days' WHERE state = 'delivered'"
    async with hooks.place.shard.engine_write() as tx:
        await tx.execute(age)
    assert await forget_messages(hooks.shards, 30) >= 1
    assert await hooks.messages(endpoint) == []
    assert await hooks.place.all("SELECT 1 FROM shard.webhook_attempts") == []
    lost = """
    INSERT INTO shard.webhook_messages (id, organization_id, endpoint_id, event_id, type, body, state, created_at)
    VALUES (gen_random_uuid(), %s, %s, 'e', 't', '{}', 'waiting', now() - interval '1 hour')
    """
    await hooks.place.execute(lost, hooks.place.organization_id, endpoint)
    await forget_messages(hooks.shards, 30)
    [message] = await hooks.messages(endpoint)
    assert (message.state, "replay" in message.error) == ("failed", True)
    await hooks.do(DeleteEndpoint(endpoint_id=endpoint))
    assert await forget_messages(hooks.shards, 30) >= 1
