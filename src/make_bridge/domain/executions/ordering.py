"""Which runs go one after the other: the ordering key of a run, evaluated when it is accepted.

Called by whatever accepts runs: webhooks, the scheduler, people, calling scenarios, replays. A scenario that runs one
at a time as a whole has the empty key for all. Else the scenario's expression is evaluated over the trigger's bundle,
within the ordinary budget of an expression; no text, or an error, means that the run waits for nobody and nobody for
it, because refusing what was sent to a webhook would lose it. Ticks of a schedule bring no bundle, so an expression
over the bundle leaves them unordered.

A key is shown to people and stands in indexes, so it is short: a longer one, one that no database stores, and any of
a confidential scenario is replaced by its digest.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from make_bridge.engine.blueprint.model import Settings
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml import Budget, compile_template
from make_bridge.engine.runner.chance import Chance
from make_bridge.engine.values import Value, size_of, to_text
from make_bridge.kernel.ids import ExecutionId, ScenarioId, created_at

WHOLE_SCENARIO: Final = ""
MAX_KEY: Final = 200
# Less than an expression of a run may use: nobody waits for a worker here, and everybody for the loop.
_STEPS: Final = 10_000
_OUTPUT: Final = 100_000
_UTC: Final = ZoneInfo("UTC")


@dataclass(slots=True, kw_only=True)
class _Scope:
    """What the expression sees: the trigger's bundle under whatever number the trigger has by now."""

    execution_id: str
    scenario_id: ScenarioId
    trigger: Mapping[str, Value]
    now: datetime
    chance: Chance
    timezone: ZoneInfo = _UTC
    budget: Budget = field(default_factory=lambda: Budget(steps=_STEPS, output=_OUTPUT))

    def bundle(self, _module_id: int) -> Value:
        return dict(self.trigger)

    def variable(self, name: str) -> Value:
        if name == "scenario":
            return {"id": self.scenario_id}
        return dict(self.trigger) if name == "input" else None

    def random(self) -> float:
        return self.chance.random(0, 0)

    def uuid(self) -> str:
        return self.chance.uuid(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose run it is."""

    execution_id: ExecutionId
    scenario_id: ScenarioId
    seed: int


def ordering_key(expression: str | None, settings: Settings, place: Place, trigger: Mapping[str, Value]) -> str | None:
    """Return the key of a run; None when it is not ordered."""
    if settings.sequential:
        return WHOLE_SCENARIO
    if expression is None:
        return None
    text = _evaluated(expression, place, trigger)
    if not text:
        return None
    return _digest(place.scenario_id, text) if settings.confidential or not _is_storable(text) else text


def _evaluated(expression: str, place: Place, trigger: Mapping[str, Value]) -> str:
    scope = _Scope(
        execution_id=place.execution_id,
        scenario_id=place.scenario_id,
        trigger=trigger,
        now=created_at(place.execution_id),
        chance=Chance(place.seed),
    )
    try:
        value = compile_template(expression).evaluate(scope)
        scope.budget.allocate(size_of(value, _OUTPUT))
        return to_text(value)
    except ExpressionError:
        return ""


def _is_storable(text: str) -> bool:
    return len(text) <= MAX_KEY and text.isprintable()


def _digest(scenario_id: ScenarioId, text: str) -> str:
    named = f"{scenario_id}:{text}".encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(named).hexdigest()}"
