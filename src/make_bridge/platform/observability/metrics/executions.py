"""Figures of runs: what was accepted, how it ended, and what limits of usage hold up."""

from collections.abc import Iterable, Mapping
from typing import Final

from make_bridge.platform.observability.metrics.declaring import Declarations, Label, children

_STATUS: Final = Label("status", ("success", "warning", "error"))
_PATH: Final = Label("path", ("at_once", "in_place", "queued", "deferred"))
_CALLED: Final = Label("result", ("ok", "error", "input", "time", "memory", "stack", "output", "crash", "unavailable"))
_SIGNATURE: Final = Label("reason", ("no_secret", "missing", "malformed", "stale", "wrong"))
_TICK: Final = Label("result", ("fired", "left_out"))
_PROMISE: Final = Label("promise", ("execution_lost", "running_without_lease", "lane_held_twice"))
_DEFERRED: Final = Label("of", ("webhook", "waiting"))


class ExecutionCounters:
    """What is accepted, and what becomes of it."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        settled = declare.counter("executions_total", "Executions settled by this process, by result.", _STATUS)
        self.by_status = children(settled, _STATUS)
        self.operations = declare.counter("operations_total", "Operations of settled executions.")
        self.durations = declare.histogram(
            "execution_duration_seconds", "How long runs took that this process settled, from their first module on."
        )
        self.running = declare.gauge("executions_running", "Executions and jobs in flight in this process.")
        self.beyond_lease = declare.gauge(
            "executions_beyond_lease",
            "Of those, how many whose lease this process could not extend in time: another may begin them again.",
        )
        self.active_scenarios = declare.gauge(
            "active_scenarios_total", "Scenarios that are switched on, in the whole installation.", is_shared=True
        )
        promises = declare.counter(
            "promises_broken_total",
            "Runs of a sample for which a promise does not hold: accepted but nowhere, held without a lease, two of an"
            " order held at once. Has to be 0; each process looks for itself.",
            _PROMISE,
        )
        self.promises = children(promises, _PROMISE)
        accepted = declare.counter("webhooks_accepted_total", "Webhook calls stored, by how their run began.", _PATH)
        self.accepted = children(accepted, _PATH)
        self.repeated = declare.counter(
            "webhooks_repeated_total", "Webhook calls answered with the execution of an earlier one."
        )
        refused = declare.counter(
            "webhook_signatures_refused_total", "Webhook calls whose signature was refused, by reason.", _SIGNATURE
        )
        self.signatures_refused = children(refused, _SIGNATURE)
        self.function_calls = declare.counter(
            "custom_function_calls_total", "Calls of custom functions, by what came of them.", _CALLED
        )
        ticks = declare.counter(
            "schedule_ticks_total", "Due schedules handled by this process, by what came of it.", _TICK
        )
        self.ticks = children(ticks, _TICK)

    def count_settled(self, statuses: Mapping[str, int], operations: int, seconds: Iterable[float]) -> None:
        """Count executions that ended together, by result, with how long each took."""
        for status, count in statuses.items():
            self.by_status[status].inc(count)
        self.operations.inc(operations)
        for one in seconds:
            self.durations.observe(one)


class UsageCounters:
    """What limits of usage hold up."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        deferred = declare.counter(
            "runs_deferred_total", "Runs that wait for a limit of usage: new webhooks, or waiting already.", _DEFERRED
        )
        self.deferred = children(deferred, _DEFERRED)
        self.refused = declare.counter(
            "webhooks_refused_over_limit_total", "Webhook calls refused: too many wait for a limit already."
        )
        self.let_go = declare.counter("runs_let_go_total", "Runs that this process let go after waiting for a limit.")
        self.reached = declare.gauge(
            "usage_limits_reached", "Limits of usage that are reached, as far as this process knows.", is_shared=True
        )
