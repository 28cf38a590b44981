"""The static settings of a module: `parameters` and `flags`, which are not expressions.

Read by validation and by linking; both want the same tolerance (numbers as text, absent, null) and the
same answers.
"""

import re
from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from make_bridge.engine.apps.fields import Field
from make_bridge.engine.apps.module import Collection, ModuleSpec
from make_bridge.engine.blueprint.model import Module
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.values import Value, coerce

COMPONENT_KINDS: Final = frozenset({"account", "keychain", "hook", "datastore", "device", "udt", "scenario", "aiagent"})
_UTC: Final = ZoneInfo("UTC")
_COERCED: Final = frozenset({"boolean", "number", "integer", "uinteger", "array"})
_LAST_DIGITS: Final = re.compile(r"(\d+)$")


def whole_number(raw: object) -> int | None:
    """Return a whole number, also one written as text."""
    if isinstance(raw, str) and raw.isascii() and raw.isdigit():
        return int(raw)
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else None


def feeder_id(source: Module) -> int | None:
    """Return the module an aggregator collects from."""
    return whole_number(source.parameters.get("feeder"))


def fallback_index(source: Module) -> int | None:
    """Return the index of a router's fallback route."""
    return whole_number(source.parameters.get("else"))


def static_parameters(source: Module, spec: ModuleSpec) -> Collection:
    """Return the parameters with defaults filled in and numbers and booleans read from text."""
    made: Collection = {field.name: field.default for field in spec.parameters if field.default is not None}
    fields = {field.name: field for field in spec.parameters}
    for name, raw in source.parameters.items():
        value = _value(raw)
        field = fields.get(name)
        if field is not None and field.type in _COERCED:
            if value is None or value == "":
                continue
            value = _coerced(value, field)
        made[name] = value
    return made


def _coerced(value: Value, field: Field) -> Value:
    try:
        return coerce(value, field.type, _UTC)
    except ExpressionError:
        return value  # validation has said so; the module's own check is the last word


def _value(raw: object) -> Value:
    """JSON is a subset of the values."""
    return raw  # type: ignore[return-value]


def component_id(raw: object) -> int | None:
    """Return the number in 123, "123" or "SCN_123"."""
    if isinstance(raw, str):
        digits = _LAST_DIGITS.search(raw)
        return int(digits.group(1)) if digits else None
    return whole_number(raw)


def component_fields(source: Module, spec: ModuleSpec) -> Iterator[Field]:
    """Return the parameters that refer to connections, keys, hooks and the like."""
    fields = {field.name: field for field in (*source.parameter_fields, *spec.parameters)}
    for field in fields.values():
        if field.type.partition(":")[0] in COMPONENT_KINDS:
            yield field
