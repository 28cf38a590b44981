"""The rules by which a gateway chooses among nodes: fair by their own measure, whatever the nodes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.platform.upstreams.balancing import (
    Candidate,
    LeastConnections,
    RoundRobin,
    SmoothWeighted,
    rule_of,
)


def candidates(*weights, in_flight=()):
    busy = [*in_flight, *[0] * (len(weights) - len(in_flight))]
    return [
        Candidate(name="abcdefghij"[number], weight=weight, in_flight=busy[number])
        for number, weight in enumerate(weights)
    ]


def test_round_robin_goes_through_all_whatever_their_weight():
    rule, nodes = RoundRobin(), candidates(5, 1, 1)
    assert "".join(rule.choose(nodes) for _ in range(7)) == "abcabca"


def test_round_robin_goes_on_when_nodes_come_and_go():
    rule = RoundRobin()
    for count in (3, 1, 4, 2):
        assert Counter(rule.choose(candidates(*[1] * count)) for _ in range(count * 5)) == dict.fromkeys(
            "abcd"[:count], 5
        )


def test_weighted_spreads_the_heavy_ones_out():
    rule, nodes = SmoothWeighted(), candidates(5, 1, 1)
    assert "".join(rule.choose(nodes) for _ in range(7)) == "aabacaa"


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8))
def test_weighted_gives_everybody_their_exact_share_in_each_round(weights):
    rule, nodes, whole = SmoothWeighted(), candidates(*weights), sum(weights)
    for _ in range(3):
        chosen = Counter(rule.choose(nodes) for _ in range(whole))
        assert chosen == {node.name: node.weight for node in nodes}


def test_weighted_saves_nothing_up_for_one_that_was_away():
    rule, nodes = SmoothWeighted(), candidates(1, 1)
    for _ in range(100):
        rule.choose(nodes[:1])
    assert Counter(rule.choose(nodes) for _ in range(10)) == {"a": 5, "b": 5}


def test_the_least_busy_for_its_weight_is_asked():
    assert LeastConnections().choose(candidates(1, 1, 1, in_flight=(2, 1, 3))) == "b"
    assert LeastConnections().choose(candidates(4, 1, in_flight=(4, 1))) == "a"


def test_equally_busy_nodes_take_turns():
    rule = LeastConnections()
    assert Counter(rule.choose(candidates(1, 1, 1)) for _ in range(30)) == {"a": 10, "b": 10, "c": 10}


@given(st.sampled_from(["round_robin", "least_connections", "weighted"]), st.data())
def test_a_rule_chooses_a_candidate_whatever_came_before(name, data):
    rule = rule_of(name)
    for _ in range(5):
        nodes = candidates(*data.draw(st.lists(st.integers(1, 1000), min_size=1, max_size=10)))
        assert rule.choose(nodes) in {node.name for node in nodes}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("round_robin", RoundRobin), ("least_connections", LeastConnections), ("weighted", SmoothWeighted)],
)
def test_each_name_has_its_rule(name, kind):
    assert isinstance(rule_of(name), kind)
