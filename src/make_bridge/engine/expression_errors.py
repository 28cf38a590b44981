"""What can go wrong in an expression.

Raised by values (coercion) and by the language in ``engine.iml``, which offers these names as its own;
they live one level lower because values must not import the language that is built on them. The runner
turns them into a ``BundleValidationError`` or ``DataError`` of the scenario.
"""

from collections.abc import Sequence

from make_bridge.kernel.errors import BridgeError


class ExpressionError(BridgeError):
    """The expression could not be evaluated."""

    code = "expression_error"

    def __init__(
        self,
        message: str | None = None,
        *,
        function: str | None = None,
        argument: int | None = None,
        position: int | None = None,
    ) -> None:
        """``argument`` counts from 1; ``position`` is the offset in the template's text, from 0."""
        super().__init__(message)
        self.function = function
        self.argument = argument
        self.argument_name: str | None = None
        self.position = position

    def locate(self, position: int) -> None:
        """Say where it happened, unless somebody nearer has said so already."""
        if self.position is None:
            self.position = position

    def locate_call(self, position: int, function: str, argument: int | None, names: Sequence[str]) -> None:
        """Say in which call it happened and in which argument, unless somebody nearer has.

        ``names`` are those of the arguments; the last stands for all that follow it.
        """
        if self.position is not None:
            return
        self.position = position
        self.function = function
        self.argument = self.argument or argument
        if self.argument is not None and names:
            self.argument_name = names[min(self.argument, len(names)) - 1]

    def __str__(self) -> str:
        """Return the sentence with the place: ``substring(), argument 2 (start), at 12: …``."""
        place = []
        if self.function is not None:
            place.append(f"{self.function}()")
        if self.argument is not None:
            place.append(f"argument {self.argument}" + (f" ({self.argument_name})" if self.argument_name else ""))
        if self.position is not None:
            place.append(f"at {self.position}")
        return f"{', '.join(place)}: {self.message}" if place else self.message


class ExpressionSyntaxError(ExpressionError):
    """The expression is not well formed."""

    code = "expression_syntax"


class BudgetExceeded(ExpressionError):
    """The expression did more work, or made more data, than it may."""

    code = "expression_budget"
