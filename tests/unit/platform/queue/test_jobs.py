"""Types of jobs and their pauses: every number that is promised."""

import math

import pytest

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.kernel.ids import MAX_ID, OrganizationId, TeamId
from make_bridge.platform.queue.jobs import (
    DELIVERIES,
    QUICK,
    Backoff,
    Done,
    JobType,
    JobTypes,
    RunningJob,
    Tries,
    chance,
    lane_of,
    pause_after,
    pause_until_later,
    shown_result,
)

HOUR = 3600.0


async def run(job: RunningJob) -> Done:
    return Done()


def test_quick_jobs_have_three_tries_from_two_seconds() -> None:
    assert QUICK.most == 3
    assert [QUICK.backoff.after(n) for n in (1, 2)] == [2.0, 4.0]


def test_deliveries_have_ten_tries_over_about_seventy_five_hours() -> None:
    pauses = [DELIVERIES.backoff.after(n) for n in range(1, DELIVERIES.most)]
    assert pauses == [5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
    assert 75 * HOUR < sum(pauses) < 76 * HOUR


def test_a_series_grows_to_its_bound_and_never_overflows() -> None:
    backoff = Backoff(first=10, factor=3, longest=100)
    assert [backoff.after(n) for n in (1, 2, 3, 4)] == [10, 30, 90, 100]
    assert backoff.after(10_000) == 100


@pytest.mark.parametrize(("luck", "seconds"), [(0.0, 1.6), (0.5, 2.0), (1.0, 2.4)], ids=["short", "even", "long"])
def test_a_pause_is_up_to_twenty_percent_shorter_or_longer(luck: float, seconds: float) -> None:
    assert pause_after(JobType(name="t", run=run), 1, luck) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(600, 600, 720), (-5, 0, 0), (1e12, 86_400, 103_680), (math.inf, 86_400, 103_680), (math.nan, 86_400, 103_680)],
    ids=["ten minutes", "negative", "very long", "endless", "no number"],
)
def test_later_is_bounded_and_never_before_what_was_asked(asked: float, least: float, most: float) -> None:
    assert pause_until_later(asked, 0.0) == pytest.approx(least)
    assert pause_until_later(asked, 1.0) == pytest.approx(most)


def test_chance_is_a_number_from_nothing_up_to_one() -> None:
    assert all(0 <= chance() < 1 for _ in range(100))


def test_a_name_is_taken_once_and_never_one_of_the_queue_s_own() -> None:
    types = JobTypes([JobType(name="t", run=run)])
    for name in ("t", "scenario.execute", "scenario.retry", "incomplete.retry"):
        with pytest.raises(ConfigurationError):
            types.add(JobType(name=name, run=run))
    with pytest.raises(ConfigurationError, match="unheard"):
        types.named("unheard")
    assert types.find("unheard") is None
    assert types.named("t").name == "t"


@pytest.mark.parametrize(
    "wrong",
    [
        JobType(name="w", run=run, queue_class=3),
        JobType(name="w", run=run, seconds=0),
        JobType(name="w", run=run, tries=Tries(most=0)),
    ],
    ids=["class", "seconds", "tries"],
)
def test_a_type_that_cannot_work_fails_at_start(wrong: JobType) -> None:
    with pytest.raises(ConfigurationError):
        JobTypes([wrong])


def test_no_team_has_the_lane_of_an_organization() -> None:
    assert lane_of(OrganizationId(5), TeamId(7)) == 7
    assert lane_of(OrganizationId(5), None) == 2**53 + 5 > MAX_ID
    assert lane_of(OrganizationId(MAX_ID), None) < 2**63


def test_a_result_is_shown_when_it_is_json() -> None:
    assert shown_result(b'{"a":1}') == {"a": 1}
    assert shown_result(b"") is None
    assert shown_result(b"\xff\x00") is None
