"""Filters over records: the conditions of a filter, with a column's name on their left side.

Used by modules that search (data stores). The conditions arrive when the module runs, their right sides evaluated
already; the operators are those of all filters. Blueprints and mappings spell them in several ways: an array of
groups, a single group, or an object with `conditions`.
"""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from make_bridge.engine.apps.module import ErrorType, ModuleError
from make_bridge.engine.blueprint.operators import OPERATORS, UNARY, Incomparable, exists, unknown_operator
from make_bridge.engine.values import Value, to_text

Column = Callable[[str], Value]
Matches = Callable[[Column], bool]
MAX_CONDITIONS = 500


def compile_record_filter(raw: Value, zone: ZoneInfo) -> Matches:
    """Return the test; raises ModuleError for conditions that cannot be understood."""
    groups = _groups(raw)
    if sum(len(group) for group in groups) > MAX_CONDITIONS:
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, f"The filter has more than {MAX_CONDITIONS} conditions.")
    tests = [[_condition(condition, zone) for condition in group] for group in groups if group]
    if not tests:
        return lambda _column: True
    return lambda column: any(all(test(column) for test in group) for group in tests)


def _groups(raw: Value) -> list[list[Value]]:
    if isinstance(raw, dict):
        raw = raw.get("conditions")
    if raw is None or raw == "":
        return []
    if not isinstance(raw, list):
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, "The filter is not an array of conditions.")
    if raw and all(isinstance(item, dict) for item in raw):
        return [raw]
    return [group if isinstance(group, list) else [group] for group in raw]


def _condition(raw: Value, zone: ZoneInfo) -> Matches:
    if not isinstance(raw, dict):
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, "A condition of the filter is not an object with a, o and b.")
    name, wanted = to_text(raw.get("a")), to_text(raw.get("o")) or "exist"
    if wanted in UNARY:
        expected = wanted == "exist"
        return lambda column: exists(column(name)) is expected
    operator = OPERATORS.get(wanted)
    if operator is None:
        raise ModuleError(ErrorType.CONFIGURATION, unknown_operator(wanted))
    try:
        right = operator.right(raw.get("b"), zone)
    except Incomparable:
        unlike = operator.unlike
        return lambda _column: unlike

    def matches(column: Column) -> bool:
        try:
            return operator.test(operator.left(column(name), zone), right)
        except Incomparable:
            return operator.unlike

    return matches
