"""Customers: what a sub must be, and who sees whom."""

import pytest

from make_bridge.domain.customers.model import (
    checked_external_id,
    checked_name,
    checked_operations_limit,
    only_external_id,
    require_sight,
)
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import OrganizationId, TeamId


def context(kind=ActorKind.CUSTOMER, reference="dana", team_id=None):
    actor = Actor(kind=kind, reference=reference)
    return Context(
        organization_id=OrganizationId(1), actor=actor, permissions=frozenset(), request_id="r", team_id=team_id
    )


@pytest.mark.parametrize(
    "sub", ["dana", "dana@acme.example", "é", "e\u0301", "😀", " ", "../x", "' OR 1=1--", "x" * 255]
)
def test_a_sub_is_taken_as_it_is(sub):
    assert checked_external_id(sub) == sub


@pytest.mark.parametrize("sub", ["", "*", "x" * 256, "a\x00b", "a\nb", "\ud800"])
def test_what_no_row_can_hold_is_no_customer(sub):
    with pytest.raises(InvalidInput):
        checked_external_id(sub)


def test_names_have_one_form():
    assert checked_name(" Cafe\u0301 ") == "Caf\u00e9"
    for name in ("", " ", "x" * 256, "a\x00b", "\ud800"):
        with pytest.raises(InvalidInput):
            checked_name(name)


def test_a_limit_is_a_whole_number_or_none():
    assert [checked_operations_limit(limit) for limit in (None, 0, 2**53 - 1)] == [None, 0, 2**53 - 1]
    for limit in (-1, 2**53):
        with pytest.raises(InvalidInput):
            checked_operations_limit(limit)


def test_a_customer_sees_itself_whatever_it_asks():
    assert only_external_id(context(), None) == "dana"
    assert only_external_id(context(), "mallory") == "dana"
    assert only_external_id(context(ActorKind.ADMINISTRATOR, "*"), None) is None
    assert only_external_id(context(ActorKind.API_TOKEN, "1"), "mallory") == "mallory"


def test_a_team_out_of_sight_does_not_exist():
    require_sight(context(), TeamId(5))
    require_sight(context(team_id=TeamId(5)), TeamId(5))
    with pytest.raises(NotFound):
        require_sight(context(team_id=TeamId(6)), TeamId(5))
