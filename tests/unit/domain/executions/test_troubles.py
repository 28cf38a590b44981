"""What a failed run means for its scenario: the whole table of error types, by how the run was started."""

import pytest

from make_bridge.domain.executions.troubles import BACKOFF_MINUTES, backoffs, trouble_of, trouble_of_start
from make_bridge.engine.blueprint.findings import BlueprintInvalid
from make_bridge.engine.runner.result import Ending, RunError
from make_bridge.kernel.errors import InvalidInput, NotFound

COUNTED = [
    "BundleValidationError",
    "InvalidConfigurationError",
    "InvalidAccessTokenError",
    "AccountValidationError",
    "IncompleteDataError",
    "OutOfSpaceError",
    "MaxResultsExceededError",
    "MaxFileSizeExceededError",
    "RuntimeError",
    "UnknownError",
    "UnexpectedError",
]
AT_ONCE = [
    "InconsistencyError",
    "OperationsLimitExceededError",
    "DataSizeLimitExceededError",
    "ScenarioValidationError",
    "ValidationError",
]
WAITED_FOR = ["ConnectionError", "RateLimitError", "ModuleTimeoutError"]


def trouble(kind, origin="schedule", ending=Ending.FAILED, max_errors=3):
    return trouble_of(RunError(kind, "No.", 2, "http:ActionSendData", 1), ending, origin=origin, max_errors=max_errors)


@pytest.mark.parametrize("kind", COUNTED)
def test_most_errors_count_towards_the_scenario_s_own_limit(kind):
    found = trouble(kind, max_errors=5)
    assert (found.counts, found.limit, found.waits, found.cause) == (True, 5, False, "consecutive_errors")


@pytest.mark.parametrize("kind", COUNTED)
def test_an_instant_scenario_is_switched_off_at_the_first_of_them(kind):
    found = trouble(kind, origin="webhook", max_errors=5)
    assert (found.counts, found.limit, found.cause) == (True, 1, "first_error")


@pytest.mark.parametrize("kind", AT_ONCE)
@pytest.mark.parametrize("origin", ["webhook", "schedule", "manual", "retry"])
def test_what_cannot_get_better_switches_off_at_once(kind, origin):
    found = trouble(kind, origin=origin)
    assert (found.counts, found.limit) == (True, 0)


@pytest.mark.parametrize("kind", WAITED_FOR)
def test_a_scheduled_scenario_waits_for_the_other_side(kind):
    found = trouble(kind)
    assert (found.counts, found.waits) == (False, True)


@pytest.mark.parametrize("kind", [*WAITED_FOR, "DataError", "DuplicateDataError"])
def test_the_other_side_s_refusal_does_not_count_against_an_instant_scenario(kind):
    found = trouble(kind, origin="webhook")
    assert (found.counts, found.waits) == (False, False)


@pytest.mark.parametrize("kind", ["DataError", "DuplicateDataError"])
def test_refused_data_does_not_count_on_a_schedule_either(kind):
    found = trouble(kind)
    assert (found.counts, found.waits) == (False, False)


@pytest.mark.parametrize("origin", ["manual", "retry"])
def test_runs_that_a_person_watches_do_not_count(origin):
    assert not trouble("RuntimeError", origin=origin).counts


def test_a_rollback_directive_does_not_count():
    assert not trouble("RuntimeError", origin="webhook", ending=Ending.ROLLED_BACK).counts


def test_a_limit_of_nothing_is_one():
    assert trouble("RuntimeError", max_errors=0).limit == 1


def test_an_invalid_blueprint_switches_off_at_once_and_a_bad_body_does_not_count():
    invalid = trouble_of_start(BlueprintInvalid([]), origin="webhook")
    assert (invalid.error_type, invalid.limit, invalid.counts) == ("ScenarioValidationError", 0, True)
    assert not trouble_of_start(InvalidInput("Malformed."), origin="webhook").counts
    assert not trouble_of_start(BlueprintInvalid([]), origin="retry").counts
    assert not trouble_of_start(NotFound("Gone."), origin="retry").counts


def test_the_waits_of_a_scheduled_scenario_are_those_of_the_product():
    assert BACKOFF_MINUTES == (1, 2, 5, 10, 60, 180, 720, 1440)


@pytest.mark.parametrize(
    ("detail", "asked"), [(None, 0.0), ({"retryAfter": 90}, 90.0), ({"retryAfter": 10**9}, 86400.0)]
)
def test_a_scenario_that_waits_knows_for_how_long_the_other_side_wants_to_be_left_alone(detail, asked):
    error = RunError("RateLimitError", "No.", 2, "http:ActionSendData", 1, detail)
    assert trouble_of(error, Ending.FAILED, origin="schedule", max_errors=3).asked == asked


@pytest.mark.parametrize(("chance", "share"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_each_step_of_the_backoff_is_spread_by_a_fifth(chance, share):
    assert backoffs(0.0, chance) == pytest.approx([minutes * 60 * share for minutes in BACKOFF_MINUTES])


def test_what_the_other_side_asked_for_is_the_least_and_a_day_the_most_of_it():
    assert backoffs(900.0, 0.0) == pytest.approx([900, 900, 900, 900, 2880, 8640, 34560, 69120])
    assert all(86400 * 0.8 <= pause <= 86400 for pause in backoffs(1e12, 0.5))
