"""Which nodes a gateway asks: those that are well, one after the other, and all when too few seem to be."""

import pytest

from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.roles import Role
from make_bridge.platform.coordination.membership import Member
from make_bridge.platform.egress.breaker import Verdict
from make_bridge.platform.upstreams.nodes import NodeRules, Nodes


class Gateway:
    """Nodes, a clock that stands, and short ways to say what happens."""

    def __init__(self, **rules):
        self.now = 100.0
        self.nodes = Nodes(NodeRules(**{"rule": "round_robin", **rules}), lambda: self.now, lambda: 0.0)

    def hear(self, *names, weights=None, roles=("bridge",)):
        self.nodes.hear([
            Member(name=name, address=f"http://{name}", roles=frozenset(roles), weight=(weights or {}).get(name, 1))
            for name in names
        ])  # fmt: skip
        return self

    def node(self, name):
        return next(node for node in self.nodes.all() if node.member.name == name)

    def check(self, *names, well=True, times=1):
        for name in names:
            for _ in range(times):
                self.nodes.checked(self.node(name), is_ready=well)
        return self

    def ask(self, verdict=Verdict.GOOD, *, tried=(), role=Role.BRIDGE):
        turn = self.nodes.choose(role, frozenset(tried))
        turn.judge(verdict)
        turn.finish()
        return turn.node.member.name

    def asked(self, times=12, **more):
        return {self.ask(**more) for _ in range(times)}

    def spoil(self, name, times=5):
        """Have so many requests at one node fail."""
        left, tried = times, tuple(node.member.name for node in self.nodes.all() if node.member.name != name)
        while left:
            self.ask(Verdict.BAD, tried=tried)
            left -= 1


@pytest.fixture
def gateway():
    return Gateway().hear("a", "b", "c").check("a", "b", "c")


def test_nobody_there_is_said_and_not_waited_for():
    with pytest.raises(Unavailable, match="No server of the role 'bridge'"):
        Gateway().ask()


def test_all_that_are_well_are_asked(gateway):
    assert gateway.asked() == {"a", "b", "c"}


def test_only_nodes_of_the_role_are_asked(gateway):
    with pytest.raises(Unavailable):
        gateway.ask(role=Role.TEMPLATES)


def test_a_worker_and_a_gateway_are_asked_for_nothing():
    gateway = Gateway()
    gateway.hear("a", roles=("worker",))
    assert gateway.nodes.all() == []
    gateway.nodes.hear([Member(name="g", roles=frozenset({"gateway", "bridge"}))])
    assert gateway.nodes.all() == []


def test_a_new_node_is_asked_after_its_first_good_check():
    gateway = Gateway().hear("a", "b").check("a")
    assert gateway.asked() == {"a"}
    gateway.check("b")
    assert gateway.asked() == {"a", "b"}


def test_a_node_falls_after_three_bad_checks_and_rises_after_two_good_ones(gateway):
    gateway.check("b", well=False, times=2)
    assert gateway.asked() == {"a", "b", "c"}
    gateway.check("b", well=False)
    assert gateway.asked() == {"a", "c"}
    gateway.check("b")
    assert gateway.asked() == {"a", "c"}
    gateway.check("b")
    assert gateway.asked() == {"a", "b", "c"}


def test_a_node_that_breaks_requests_is_left_out_and_tried_again_by_one_request(gateway):
    gateway.spoil("a")
    assert gateway.asked() == {"b", "c"}
    gateway.now += 2.5
    probe = gateway.nodes.choose(Role.BRIDGE, frozenset({"b", "c"}))
    assert probe.node.member.name == "a"
    assert gateway.asked() == {"b", "c"}, "a second request would be one probe too many"
    probe.judge(Verdict.GOOD)
    probe.finish()
    assert gateway.asked() == {"a", "b", "c"}


def test_with_fewer_than_half_well_all_are_asked(gateway):
    gateway.check("a", "b", well=False, times=3)
    assert gateway.asked() == {"a", "b", "c"}


def test_a_draining_node_gets_nothing_new_not_even_then(gateway):
    gateway.hear("a", "b", "c", weights={"c": 0})
    assert gateway.asked() == {"a", "b"}
    gateway.check("a", "b", well=False, times=3)
    assert gateway.asked() == {"a", "b"}


def test_a_node_that_was_tried_is_not_asked_again(gateway):
    assert gateway.asked(tried=("a", "c")) == {"b"}
    with pytest.raises(Unavailable):
        gateway.ask(tried=("a", "b", "c"))


def test_one_that_left_is_asked_no_more_and_one_that_stayed_keeps_its_past(gateway):
    gateway.check("b", well=False, times=3)
    gateway.hear("b", "c", "d").check("d")
    assert gateway.asked() == {"c", "d"}


def test_what_is_seen_of_the_nodes_is_counted(gateway):
    gateway.hear("a", "b", "c", "d", weights={"d": 0})
    gateway.check("b", well=False, times=3)
    gateway.spoil("a")
    counted = {state: number for (role, state), number in gateway.nodes.count().items() if role == Role.BRIDGE}
    assert counted == {"up": 1, "down": 1, "ejected": 1, "draining": 1}


def test_requests_in_flight_are_counted_down_once_they_are_over():
    gateway = Gateway(rule="least_connections").hear("a", "b").check("a", "b")
    first = gateway.nodes.choose(Role.BRIDGE)
    second = gateway.nodes.choose(Role.BRIDGE)
    assert {first.node.member.name, second.node.member.name} == {"a", "b"}
    first.finish()
    assert gateway.ask() == first.node.member.name
