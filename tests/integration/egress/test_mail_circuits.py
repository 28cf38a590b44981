"""Circuit breakers before a real mail server: no connection and no answer open them, what it refuses does not."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from make_bridge.domain.executions.outbound import Lanes, MailByTeam
from make_bridge.engine.ports import Mail, MailFailure, MailServer
from make_bridge.kernel.clock import ManualClock
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.egress.breaker import BreakerLimits, State
from make_bridge.platform.egress.circuits import Circuits, CircuitsConfig
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.host_turns import HostTurns, TurnLimits
from make_bridge.platform.egress.mail import MailSender
from support import mail_server
from support.network import free_port

ORGANIZATION, ACME, OTHER = OrganizationId(1), TeamId(1024), TeamId(2048)
START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CALLS = 20


class Post:
    """Two teams with one mail server; time stands still unless moved."""

    def __init__(self, server):
        self.server = server
        self.clock = ManualClock(START)
        self.circuits = Circuits(CircuitsConfig(limits=BreakerLimits(jitter=0.0)), self.clock)
        sender = MailSender(EgressPolicy.parse([f"127.0.0.1:{server.port}"]), name="bridge.example")
        self.calls: Counter[tuple[str, str]] = Counter()
        self.lanes = Lanes(circuits=self.circuits, turns=HostTurns(TurnLimits()), count=self.count)
        self.mail = MailByTeam(sender=sender, lanes=self.lanes)

    def count(self, kind, result):
        self.calls[kind, result] += 1

    async def send(self, *, team=ACME, credential="7", patience=5.0, to=("b@example.com",)):
        mail = Mail(sender="a@example.com", recipients=to, message=b"Subject: s\r\n\r\nx\r\n", timeout=patience)
        address = MailServer(host="127.0.0.1", port=self.server.port, security="none", credential=credential)
        return await self.mail.of(ORGANIZATION, team).send(mail, address)

    async def fail(self, times=CALLS, **more):
        """Send so many that fail; return how they did."""
        kinds = set()
        for _ in range(times):
            with pytest.raises(MailFailure) as caught:
                await self.send(**more)
            kinds.add((caught.value.kind, caught.value.retry_after))
        return kinds

    def state(self, team=ACME):
        return [(circuit.host, circuit.credential, circuit.state) for circuit in self.circuits.open_of(team)]


@pytest.fixture
def post(stack):
    async def start(**options):
        return Post(await stack.enter_async_context(mail_server.MailServer(**options).serving()))

    return start


async def test_a_server_that_is_not_there_is_not_asked_again_before_its_time():
    post = Post(mail_server.MailServer(port=free_port()))
    assert await post.fail() == {("connect", None)}
    assert post.state() == [(f"127.0.0.1:{post.server.port}", "7", State.OPEN)]
    with pytest.raises(MailFailure, match=r"Calls to 127\.0\.0\.1:\d+ are paused, .*Try again in 10 s\.") as caught:
        await post.send()
    assert (caught.value.kind, caught.value.retry_after) == ("connect", 10.0)
    assert post.calls == {("mail", "connect"): CALLS, ("mail", "paused"): 1}


async def test_a_server_that_hangs_opens_the_breaker_and_is_spared_from_then_on(post):
    silent = await post(silent_after="MAIL")
    assert await silent.fail(patience=0.05) == {("timeout", None)}
    connections = silent.server.connections
    assert await silent.fail(1) == {("connect", 10.0)}
    assert silent.server.connections == connections


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ({"RCPT": "550 no such person"}, "rejected"),
        ({"RCPT": "450 try later"}, "temporary"),
        ({"DATA": "554 no spam"}, "rejected"),
        ({"MAIL": "421 busy"}, "temporary"),
    ],
)
async def test_what_a_server_refuses_says_that_it_lives(answers, kind, post):
    refusing = await post(answers=answers)
    assert await refusing.fail(2 * CALLS) == {(kind, None)}
    assert refusing.state() == []
    refusing.server.answers.clear()
    assert await refusing.send() == ()
    assert refusing.calls == {("mail", kind): 2 * CALLS, ("mail", "sent"): 1}


async def test_other_teams_and_other_connections_to_the_same_server_are_not_held_up():
    post = Post(mail_server.MailServer(port=free_port()))
    await post.fail()
    assert await post.fail(1, team=OTHER) == {("connect", None)}
    assert await post.fail(1, credential="8") == {("connect", None)}
    assert post.state(OTHER) == []


async def test_the_breaker_closes_when_the_server_is_back(post):
    hanging = await post(silent_after="MAIL")
    await hanging.fail(patience=0.05)
    hanging.server.silent_after = ""
    hanging.clock.advance(10.5)
    for _ in range(BreakerLimits().probes):
        assert await hanging.send() == ()
    assert hanging.state() == []
    assert len(hanging.server.taken) == BreakerLimits().probes


async def test_our_own_refusals_and_cancelled_messages_count_for_nothing(post):
    working = await post()
    closed = MailByTeam(sender=MailSender(EgressPolicy.parse([]), name="bridge.example"), lanes=working.lanes)
    working.mail = closed
    assert await working.fail(2 * CALLS) == {("refused", None)}
    assert working.state() == []
