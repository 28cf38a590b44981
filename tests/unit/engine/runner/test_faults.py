"""The decision order of errors, as a table: handler, store of incomplete runs, end of the run."""

import pytest

from make_bridge.engine.apps.module import ErrorType
from make_bridge.engine.ports import Ports
from make_bridge.engine.runner.faults import break_off, decide
from make_bridge.engine.runner.request import ResumePoint
from make_bridge.engine.runner.result import Ending, RetryMode, RunError
from make_bridge.engine.runner.state import Ended, RunState
from support.blueprints import module, program, request, webhook, when

WITH_RETRY = ["ConnectionError", "RateLimitError", "OutOfSpaceError", "ModuleTimeoutError"]
WITHOUT_RETRY = [
    "DataError",
    "DuplicateDataError",
    "InvalidConfigurationError",
    "UnexpectedError",
    "MaxFileSizeExceededError",
    "MaxResultsExceededError",
]
NEVER = ["BundleValidationError", "RuntimeError", "InconsistencyError", "OperationsLimitExceededError"]


def state(*, handler=(), resume=None, **settings):
    flow = [webhook(), module(2, "util:ComposeTransformer", {"value": "x"}, onerror=list(handler))]
    compiled = program(*flow, **settings)
    return RunState(compiled, request({"a": 1}, resume=resume), Ports())


def error(kind, number=2):
    return RunError(str(kind), "No.", number, "util:ComposeTransformer", 1)


def at(run, number):
    return run.program.nodes[number]


def ended(run, number, kind):
    with pytest.raises(Ended) as caught:
        decide(run, at(run, number), error(kind, number))
    return caught.value.ending


@pytest.mark.parametrize("kind", WITH_RETRY)
def test_what_may_get_better_is_stored_and_tried_again(kind):
    run = state(dlq=True)
    assert decide(run, at(run, 2), error(kind)) is None
    [stored] = run.incomplete
    assert (stored.retry.mode, stored.retry.attempts) == (RetryMode.BACKOFF, 8)


@pytest.mark.parametrize("kind", WITHOUT_RETRY)
def test_what_will_not_get_better_by_itself_is_stored_for_a_person(kind):
    run = state(dlq=True)
    assert decide(run, at(run, 2), error(kind)) is None
    assert run.incomplete[0].retry.mode is RetryMode.NONE


@pytest.mark.parametrize("kind", NEVER)
def test_everything_else_ends_the_run(kind):
    run = state(dlq=True)
    assert ended(run, 2, kind) is Ending.FAILED
    assert run.incomplete == []


@pytest.mark.parametrize("kind", [*WITH_RETRY, *WITHOUT_RETRY])
def test_without_the_store_every_error_ends_the_run(kind):
    run = state(dlq=False)
    assert ended(run, 2, kind) is Ending.FAILED


@pytest.mark.parametrize("kind", [*WITH_RETRY, *WITHOUT_RETRY, *NEVER])
def test_an_error_of_the_first_module_is_never_stored(kind):
    run = state(dlq=True)
    assert ended(run, 1, kind) is Ending.FAILED


def test_revoked_access_is_stored_for_a_person_and_ends_the_run():
    run = state(dlq=True)
    assert ended(run, 2, ErrorType.ACCESS_TOKEN) is Ending.HELD
    assert run.incomplete[0].retry.mode is RetryMode.NONE


def test_a_scenario_in_order_holds_at_the_first():
    run = state(dlq=True, sequential=True)
    assert ended(run, 2, ErrorType.CONNECTION) is Ending.HELD


def test_a_handler_comes_before_the_store():
    run = state(dlq=True, handler=[module(3, "builtin:Ignore")])
    assert decide(run, at(run, 2), error(ErrorType.CONNECTION)) is at(run, 3)
    assert run.incomplete == []


def test_a_handler_whose_filter_lets_the_error_pass_by_leaves_it_unhandled():
    handler = [module(3, "builtin:Ignore", filter=when("{{2.error.type}}", "text:equal", "DataError"))]
    run = state(dlq=True, handler=handler)
    assert decide(run, at(run, 2), error(ErrorType.CONNECTION)) is None
    assert len(run.incomplete) == 1


@pytest.mark.parametrize(("dlq", "count"), [(True, 0), (False, 0)])
def test_a_file_too_large_is_dropped_with_a_warning_where_data_loss_is_allowed(dlq, count):
    run = state(dlq=dlq, dataloss=True)
    assert decide(run, at(run, 2), error(ErrorType.FILE_SIZE)) is None
    assert len(run.incomplete) == count
    assert [warning.module_id for warning in run.warnings] == [2]


@pytest.mark.parametrize("kind", [*WITH_RETRY, *WITHOUT_RETRY, "BundleValidationError", "RuntimeError"])
def test_a_resumed_run_keeps_its_place_whatever_stops_it(kind):
    run = state(dlq=False, resume=ResumePoint(module_id=2, bundles=[(1, {"a": 1})]))
    assert decide(run, at(run, 2), error(kind)) is None
    assert run.incomplete[0].module_id == 2


def test_a_resumed_run_does_not_keep_a_place_in_data_that_do_not_agree():
    run = state(dlq=True, resume=ResumePoint(module_id=2, bundles=[(1, {"a": 1})]))
    assert ended(run, 2, "InconsistencyError") is Ending.FAILED


@pytest.mark.parametrize(
    ("given", "attempts", "interval"),
    [
        ({"retry": True, "count": 5, "interval": 20}, 5, 20),
        ({"retry": "true", "count": "3", "interval": "15"}, 3, 15),
        ({"retry": True, "count": 0, "interval": -4}, 1, 1),
        ({"retry": True, "count": 99_999, "interval": 99_999}, 10_000, 44_640),
    ],
)
def test_break_keeps_its_numbers_within_their_bounds(given, attempts, interval):
    run = state(dlq=True, handler=[module(3, "builtin:Break")])
    decide(run, at(run, 2), error(ErrorType.DATA))
    break_off(run, at(run, 3), given)
    retry = run.incomplete[0].retry
    assert (retry.mode, retry.attempts, retry.interval_minutes) == (RetryMode.FIXED, attempts, interval)


def test_break_on_the_first_module_ends_the_run():
    compiled = program(
        module(1, "util:ComposeTransformer", {"value": "x"}, onerror=[module(2, "builtin:Break")]), dlq=True
    )
    run = RunState(compiled, request(), Ports())
    decide(run, at(run, 1), error(ErrorType.DATA, 1))
    with pytest.raises(Ended) as caught:
        break_off(run, at(run, 2), {"retry": True, "count": 3, "interval": 15})
    assert caught.value.ending is Ending.FAILED
