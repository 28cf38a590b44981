"""The spans of a run: how long it waited, the run itself, and each module at work.

A run goes on with the trace that its row names, in whichever process claims it; one that is carried out before it is
stored stands below the request that brought it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from make_bridge.domain.executions.model import NewRun, Outcome, Status
from make_bridge.kernel.ids import created_at
from make_bridge.platform.observability.tracing.spans import AnySpan, current, step
from make_bridge.platform.observability.tracing.tracer import Tracing

RUN: Final = "run scenario"
WAIT: Final = "wait in queue"
_NANOSECONDS: Final = 1_000_000_000


class ModuleSpans:
    """``Watch`` of the engine: a span for each operation of a module, below that of the run."""

    def is_watching(self) -> bool:
        """Say whether this run's trace is kept."""
        return current() is not None

    def module(self, module_id: int, module: str) -> AnySpan:
        """Begin the span of an operation."""
        span = step(f"module {module}")
        span.set("make_bridge.module.id", module_id)
        span.set("make_bridge.module.name", module)
        return span


MODULES: Final = ModuleSpans()


@contextmanager
def run_span(tracing: Tracing, run: NewRun, *, attempt: int) -> Iterator[AnySpan]:
    """Go on with a stored run's trace; ``attempt`` is how often it was begun."""
    if run.owner is None:
        with tracing.going_on(run.trace_context, WAIT, "internal") as waited:
            waited.began_at(int(created_at(run.id).timestamp() * _NANOSECONDS))
    with tracing.going_on(run.trace_context, RUN, "consumer") as span:
        describe(span, run)
        span.set("make_bridge.execution.attempt", attempt)
        yield span


def describe(span: AnySpan, run: NewRun) -> None:
    """Say which run it is."""
    span.set("make_bridge.execution.id", run.id)
    span.set("make_bridge.execution.origin", run.origin)
    span.set("make_bridge.organization.id", run.organization_id)
    span.set("make_bridge.team.id", run.team_id)
    span.set("make_bridge.scenario.id", run.scenario_id)


def ended(span: AnySpan, outcome: Outcome) -> None:
    """Say how a run ended; that a scenario fails is its owner's business, and an error of the span all the same."""
    span.set("make_bridge.execution.status", outcome.status.name.lower())
    span.set("make_bridge.execution.operations", outcome.operations)
    if outcome.status is Status.ERROR:
        span.fail("scenario_failed")
