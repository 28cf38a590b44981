"""What an expression can see, and how much it may do.

The runner implements ``Scope`` once per module step; an expression reaches nothing else of the program.
``Budget`` is charged before anything is allocated, so that a small template cannot make a large value:
a refused charge costs a comparison, not the memory.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from make_bridge.engine.expression_errors import BudgetExceeded
from make_bridge.engine.iml import limits
from make_bridge.engine.values import Value

# Where Python's search for a text in a text may take their product, and where it turns to a linear one.
_SHORT_TEXT: Final = 2_500
_LINEAR_FROM: Final = 30_000
_PRODUCT_SHIFT: Final = 12
_LONGEST_BY_PRODUCT: Final = 100


@dataclass(slots=True)
class Budget:
    """The operations and the bytes that are left; share one over all templates that belong together."""

    steps: int = limits.STEPS
    output: int = limits.OUTPUT

    def step(self, count: int = 1) -> None:
        """Charge ``count`` operations."""
        self.steps -= count
        if self.steps < 0:
            raise BudgetExceeded("The expression needs more operations than it may use; work on less data at once.")

    def scan(self, size: int) -> None:
        """Charge the reading of ``size`` bytes or characters: one operation for each 256."""
        self.step(1 + (size >> limits.SCAN_SHIFT))

    def search(self, size: int, wanted: int) -> None:
        """Charge the search for a text of ``wanted`` characters in one of ``size``."""
        if size < _LINEAR_FROM:
            compared = size * (wanted if size < _SHORT_TEXT else min(wanted, _LONGEST_BY_PRODUCT))
            self.step(1 + (size >> limits.SCAN_SHIFT) + (compared >> _PRODUCT_SHIFT))
        else:
            self.scan(size)

    def allocate(self, size: int) -> None:
        """Charge ``size`` bytes of new data; call it before making them."""
        self.output -= size
        if self.output < 0:
            raise BudgetExceeded("The expression makes more data than it may; produce a shorter result.")


class Scope(Protocol):
    """The frame of one evaluation. ``now``, ``random`` and ``uuid`` derive from the stored execution."""

    def bundle(self, module_id: int) -> Value:
        """Return the current bundle of an upstream module; None when there is none."""
        ...

    def variable(self, name: str) -> Value:
        """Return a family of variables (``input``, ``scenario``, ``organization``, ``team``); None if unknown."""
        ...

    def random(self) -> float:
        """Return the next number, 0 <= x < 1, of the execution's own sequence."""
        ...

    def uuid(self) -> str:
        """Return the next version-4 UUID of the execution's own sequence."""
        ...

    @property
    def now(self) -> datetime:
        """The time of this step, aware."""
        ...

    @property
    def execution_id(self) -> str:
        """The id of this execution."""
        ...

    @property
    def timezone(self) -> ZoneInfo:
        """The zone for calendar arithmetic and for texts without an offset."""
        ...

    @property
    def budget(self) -> Budget:
        """What this evaluation may still use."""
        ...


class CallingScope:
    """A scope that knows functions of a team, beside those of the language: where one is called, it waits.

    A class and no protocol, so that a call can ask its scope at once whether it is one.
    """

    __slots__ = ()

    def call(self, name: str, arguments: list[Value]) -> Value:
        """Return what the function gives; raises ExpressionError when there is none, or it fails."""
        raise NotImplementedError
