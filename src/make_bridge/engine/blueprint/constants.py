"""Evaluating at compile time what does not depend on the run.

Used by filters and mappings, so that the many fixed texts of a blueprint cost nothing per bundle. A
constant that cannot be evaluated is left for the run, where its error belongs to a module.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from make_bridge.engine.iml import Budget, CompiledValue, ExpressionError
from make_bridge.engine.values import Value

ANY_ZONE: Final = ZoneInfo("UTC")
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class NothingScope:
    """A scope in which nothing has happened yet."""

    budget: Budget = field(default_factory=Budget)
    now: datetime = _EPOCH
    execution_id: str = ""
    timezone: ZoneInfo = ANY_ZONE

    def bundle(self, module_id: int) -> Value:
        """Know no bundle."""
        del module_id
        return None

    def variable(self, name: str) -> Value:
        """Know no variable."""
        del name
        return None

    def random(self) -> float:
        """Have no chance."""
        return 0.0

    def uuid(self) -> str:
        """Have no identity."""
        return ""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value known at compile time; wrapped, because None is such a value."""

    value: Value


def fold(compiled: CompiledValue) -> Constant | None:
    """Return the constant, or None when only a run can tell."""
    if not compiled.constant:
        return None
    try:
        return Constant(compiled.evaluate(NothingScope()))
    except ExpressionError:
        return None
