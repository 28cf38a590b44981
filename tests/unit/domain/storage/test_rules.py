"""The rules of keeping: bounds, whose number is in force, and how long the care rests after its work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.domain.storage.messages import StorageLimits
from make_bridge.domain.storage.model import (
    LONGEST_REST,
    StorageConfig,
    checked_bytes,
    checked_days,
    in_force,
    rest_after,
)
from make_bridge.kernel.errors import InvalidInput


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_days_have_bounds(days):
    with pytest.raises(InvalidInput):
        checked_days(days)


@pytest.mark.parametrize("size", [0, 2**20 - 1, 2**50 + 1])
def test_bytes_have_bounds(size):
    with pytest.raises(InvalidInput):
        checked_bytes(size)


def test_an_organization_s_own_numbers_go_before_the_installation_s():
    config = StorageConfig(days=60, bytes=2**30)
    assert in_force(StorageLimits(), config) == (60, 2**30)
    assert in_force(StorageLimits(days=7), config) == (7, 2**30)
    assert in_force(StorageLimits(days=90, bytes=2**20), config) == (90, 2**20)


@given(st.floats(min_value=0, max_value=0.2), st.floats(min_value=10, max_value=100))
def test_work_takes_no_more_than_its_share_of_the_time(seconds, percent):
    rest = rest_after(seconds, percent)
    assert rest == pytest.approx(min(seconds * (100 / percent - 1), LONGEST_REST))


def test_a_rest_is_shorter_than_the_term_of_the_lead():
    assert rest_after(10.0, 1.0) == LONGEST_REST
