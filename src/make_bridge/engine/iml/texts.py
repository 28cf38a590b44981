"""Values as text, paid for.

Operators, functions and mixed templates turn values into text in one way, the one of ``values.to_text``; here the
budget is charged before that makes anything large.
"""

from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.values import Value, size_of, to_json_text, to_text


def text_of(value: Value, scope: Scope) -> str:
    """Return ``to_text(value)``."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, dict, bytes)):
        size = _charge(value, scope)
        text = to_text(value)
        _charge_rest(text, size, scope)
        return text
    return to_text(value)


def json_of(value: Value, scope: Scope) -> str:
    """Return ``to_json_text(value)``."""
    size = _charge(value, scope)
    text = to_json_text(value)
    _charge_rest(text, size, scope)
    return text


def _charge(value: Value, scope: Scope) -> int:
    budget = scope.budget
    size = size_of(value, budget.output)
    budget.allocate(size)
    budget.scan(size)
    return size


def _charge_rest(text: str, charged: int, scope: Scope) -> None:
    """Charge what escapes added to the estimate: at most six characters for one."""
    if len(text) > charged:
        scope.budget.allocate(len(text) - charged)
