"""What the compiler makes of a node: a closure, and what is known of its value before anything runs.

Operators and functions look at what is known to leave out at run time what can be done once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml import limits
from make_bridge.engine.iml.scope import Budget, Scope
from make_bridge.engine.values import Value

Evaluator: TypeAlias = Callable[[Scope], Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A value known while compiling; wrapped, because None is such a value."""

    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A closure. ``constant`` says that it needs nothing of its scope but the budget; ``known`` is its value then.

    A constant may be unknown: one that fails must fail when it is evaluated, and an array is made anew each time,
    so that nobody's change to it is seen by the next.
    """

    evaluate: Evaluator
    constant: bool = False
    known: Known | None = None


def constant(value: Value) -> Compiled:
    """Return the closure of a value that cannot be changed."""
    return Compiled(evaluate=lambda _scope: value, constant=True, known=Known(value=value))


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UTC: Final = ZoneInfo("UTC")


class CompilingScope:
    """The scope of constants: there is nothing in it but a budget, which all constants of one template share."""

    __slots__ = ("budget", "execution_id", "now", "timezone")

    def __init__(self) -> None:
        self.budget = Budget(steps=limits.COMPILING_STEPS, output=limits.COMPILING_OUTPUT)
        self.now = _EPOCH
        self.timezone = _UTC
        self.execution_id = ""

    def bundle(self, _module_id: int) -> Value:
        return None

    def variable(self, _name: str) -> Value:
        return None

    def random(self) -> float:
        return 0.0

    def uuid(self) -> str:
        return ""


def fold(evaluate: Evaluator, scope: Scope) -> Compiled:
    """Compute a constant now; one that fails, costs too much or is no scalar stays to be evaluated each time."""
    try:
        value = evaluate(scope)
    except ExpressionError:
        return Compiled(evaluate=evaluate)
    return Compiled(evaluate=evaluate, constant=True) if isinstance(value, (list, dict)) else constant(value)
