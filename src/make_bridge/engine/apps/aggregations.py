"""How aggregators collect: one small class per kind of result.

The runner makes one per aggregator and group, adds every item that arrives while the feeder's
operation lasts, and asks for the result once. A class takes the module's parameters.
"""

from math import isfinite
from typing import Final

from make_bridge.engine.apps.fields import Field
from make_bridge.engine.apps.json_text import write
from make_bridge.engine.apps.module import Collection, ErrorType, ModuleError
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.values import Value, to_number, to_text

FEEDER: Final = Field(name="feeder", type="uinteger", label="Source module", required=True)
_EXACT: Final = 2**53
_NAMED_SEPARATORS: Final = {"tab": "\t", "newline": "\n", "space": " ", "comma": ",", "semicolon": ";"}


class ArrayAggregation:
    """builtin:BasicAggregator: the items themselves."""

    def __init__(self, parameters: Collection) -> None:
        """Parameters only shape the editor."""
        del parameters
        self.items: list[Value] = []

    def add(self, item: Collection) -> None:
        """Append."""
        self.items.append(item)

    def result(self) -> Collection:
        """Return the array."""
        return {"array": self.items, "__IMTAGGLENGTH__": len(self.items)}


class TextAggregation:
    """util:TextAggregator: texts joined by a separator."""

    def __init__(self, parameters: Collection) -> None:
        """Read the separator."""
        self.separator = separator(parameters, "rowSeparator", "otherRowSeparator")
        self.texts: list[str] = []

    def add(self, item: Collection) -> None:
        """Append; null is an empty text, not a missing one."""
        self.texts.append(to_text(item.get("value")))

    def result(self) -> Collection:
        """Return the joined text."""
        return {"text": self.separator.join(self.texts)}


class NumericAggregation:
    """util:FunctionAggregator2: one number from many."""

    def __init__(self, parameters: Collection) -> None:
        """Read the function."""
        self.function = to_text(parameters.get("fn")) or "sum"
        self.numbers: list[int | float] = []
        self.count = 0

    def add(self, item: Collection) -> None:
        """Take a number; null and empty text are left out, other text is an error."""
        value = item.get("value")
        self.count += 1
        if value is None or value == "" or self.function == "count":
            return
        try:
            self.numbers.append(to_number(value))
        except ExpressionError as error:
            raise ModuleError(ErrorType.BUNDLE_VALIDATION, f"{to_text(value)!r} is not a number.") from error

    def result(self) -> Collection:
        """Return the number; without any, 0 for sum and count, null for the others."""
        return {"result": _whole(self._result())}

    def _result(self) -> int | float | None:
        match self.function:
            case "count":
                return self.count
            case "sum":
                return sum(self.numbers)
            case "avg":
                return sum(self.numbers) / len(self.numbers) if self.numbers else None
            case "max":
                return max(self.numbers, default=None)
            case "min":
                return min(self.numbers, default=None)
            case other:
                raise ModuleError(ErrorType.CONFIGURATION, f"There is no aggregate function {other!r}.")


def _whole(number: float | None) -> int | float | None:
    """Return integral numbers as int, as all values are; refuse what no value can be."""
    if not isinstance(number, float):
        return number
    if not isfinite(number):
        raise ModuleError(ErrorType.DATA, "The result is too large for a number.")
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number


class TableAggregation:
    """util:AggregateAggregator: rows of fields as text."""

    def __init__(self, parameters: Collection) -> None:
        """Read both separators."""
        self.column = separator(parameters, "columnSeparator", "otherColumnSeparator")
        self.row = separator(parameters, "rowSeparator", "otherRowSeparator")
        self.rows: list[str] = []

    def add(self, item: Collection) -> None:
        """Append a row, its fields in the mapper's order."""
        self.rows.append(self.column.join(to_text(value) for value in item.values()))

    def result(self) -> Collection:
        """Return the table."""
        return {"text": self.row.join(self.rows)}


class JsonAggregation:
    """json:AggregateToJSON: an array of the items as JSON text."""

    def __init__(self, parameters: Collection) -> None:
        """Read the indentation."""
        self.space = to_text(parameters.get("space"))
        self.items: list[Value] = []

    def add(self, item: Collection) -> None:
        """Append."""
        self.items.append(item)

    def result(self) -> Collection:
        """Return the text."""
        return {"json": write(self.items, self.space)}


def separator(parameters: Collection, name: str, other: str) -> str:
    """Return the separator a parameter chooses: itself, one with a name, or one written elsewhere."""
    chosen = parameters.get(name)
    if chosen == "other":
        return to_text(parameters.get(other))
    text = to_text(chosen)
    return _NAMED_SEPARATORS.get(text, text)
