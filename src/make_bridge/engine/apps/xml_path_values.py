"""What a query on XML works with: nodes, texts, numbers and truths, how they compare, and its functions.

Used by `xml_paths`. Every node looked at and every text read is charged to the scope's budget through the meter.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from make_bridge.engine.apps.module import ErrorType, ModuleError
from make_bridge.engine.apps.xml_tree import Element
from make_bridge.engine.iml.scope import Budget
from make_bridge.engine.numbers import normalize, number_to_text, text_to_number

_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """An attribute or a text found by a path."""

    owner: Element
    name: str
    value: str

    def text(self) -> str:
        """Return the value."""
        return self.value


Node: TypeAlias = Element | Leaf
Nodes = list[Node]
Result: TypeAlias = Nodes | str | float | bool


class Meter:
    """Charges the budget one operation for every eight nodes looked at, and for every 256 characters."""

    __slots__ = ("_budget", "_pending")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._pending = 0

    def look(self, count: int) -> None:
        """Charge nodes; what is left below eight is kept for the next charge."""
        self._pending += count
        self._budget.step(self._pending >> 3)
        self._pending &= 7

    def read(self, text: str) -> str:
        """Charge a text and return it."""
        self._budget.step(len(text) >> 8)
        return text


@dataclass(slots=True)
class Context:
    """Where an expression is evaluated; `position` counts from 1."""

    node: Node
    document: Element
    meter: Meter
    position: int = 1
    size: int = 1


def wrong(reason: str) -> ModuleError:
    return ModuleError(ErrorType.CONFIGURATION, f"The XPath cannot be used: {reason}.")


def identity(node: Node) -> tuple[int, str, int]:
    """Order nodes as the document does; an element comes before its attributes and texts."""
    return (node.order, "", 0) if isinstance(node, Element) else (node.owner.order, node.name, 1)


def united(results: list[Result]) -> Nodes:
    found = {identity(node): node for result in results for node in as_nodes(result)}
    return [found[key] for key in sorted(found)]


def as_nodes(result: Result) -> Nodes:
    if not isinstance(result, list):
        raise wrong("|, [ ] and / work on paths only")
    return result


def as_text(result: Result) -> str:
    """Return the text of a result: of the first node, where there are several."""
    if isinstance(result, list):
        return result[0].text() if result else ""
    if isinstance(result, bool):
        return "true" if result else "false"
    return number_to_text(normalize(result)) if isinstance(result, float) else result


def _number(result: Result) -> float | None:
    if isinstance(result, bool):
        return float(result)
    return result if isinstance(result, float) else text_to_number(as_text(result))


def truth(result: Result) -> bool:
    return result != 0 if isinstance(result, float) else bool(result)


def compare(operator: str, left: Result, right: Result, meter: Meter) -> bool:
    """Compare as XPath does: with nodes on a side, it holds when it holds for one of them."""
    meter.look(1)
    if isinstance(left, list):
        return any(compare(operator, meter.read(node.text()), right, meter) for node in left)
    if isinstance(right, list):
        return any(compare(operator, left, meter.read(node.text()), meter) for node in right)
    if operator in _COMPARISONS:
        numbers = (_number(left), _number(right))
        return None not in numbers and _COMPARISONS[operator](numbers[0] or 0.0, numbers[1] or 0.0)
    if isinstance(left, bool) or isinstance(right, bool):
        same = truth(left) == truth(right)
    elif isinstance(left, float) or isinstance(right, float):
        same = _number(left) == _number(right)
    else:
        same = left == right
    return same == (operator == "=")


def _first_text(context: Context, arguments: list[Result]) -> str:
    return context.meter.read(as_text(arguments[0]) if arguments else context.node.text())


def _local_name(context: Context, _arguments: list[Result]) -> Result:
    return context.node.name.rpartition(":")[2]


def _count(_context: Context, arguments: list[Result]) -> Result:
    return float(len(as_nodes(arguments[0])))


def _pair(context: Context, arguments: Iterable[Result]) -> tuple[str, str]:
    first, second = (context.meter.read(as_text(argument)) for argument in arguments)
    return first, second


def _contains(context: Context, arguments: list[Result]) -> Result:
    whole, part = _pair(context, arguments)
    return part in whole


def _starts_with(context: Context, arguments: list[Result]) -> Result:
    whole, part = _pair(context, arguments)
    return whole.startswith(part)


Function = Callable[[Context, list[Result]], Result]
FUNCTIONS: Final[dict[str, tuple[int, int, Function]]] = {
    "contains": (2, 2, _contains),
    "count": (1, 1, _count),
    "false": (0, 0, lambda _context, _arguments: False),
    "last": (0, 0, lambda context, _arguments: float(context.size)),
    "local-name": (0, 0, _local_name),
    "name": (0, 0, lambda context, _arguments: context.node.name),
    "normalize-space": (0, 1, lambda context, arguments: " ".join(_first_text(context, arguments).split())),
    "not": (1, 1, lambda _context, arguments: not truth(arguments[0])),
    "position": (0, 0, lambda context, _arguments: float(context.position)),
    "starts-with": (2, 2, _starts_with),
    "string": (0, 1, _first_text),
    "string-length": (0, 1, lambda context, arguments: float(len(_first_text(context, arguments)))),
    "true": (0, 0, lambda _context, _arguments: True),
}
