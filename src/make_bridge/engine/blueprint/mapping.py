"""A module's mapper compiled: templates evaluated, values coerced, required fields checked.

Made by `compile`, called by the runner once per operation. The literal structure of the mapper is
walked here together with the fields' descriptions, so that at run time only texts with expressions
cost anything; everything constant is coerced once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from make_bridge.engine.apps.fields import TEXT_TYPES, Bounds, Field
from make_bridge.engine.apps.module import Collection, ErrorType, ModuleError
from make_bridge.engine.blueprint.constants import Constant, fold
from make_bridge.engine.expression_errors import BudgetExceeded, ExpressionError
from make_bridge.engine.iml import Scope, compile_value
from make_bridge.engine.values import ERASE, IGNORE, Value, coerce

Evaluate = Callable[[Scope, list[str]], Value]
Fields = Mapping[str, Field]

_UNTYPED: Final = frozenset({"any", "hidden", "filter"})
_KEEP_EMPTY: Final = TEXT_TYPES | _UNTYPED | {"buffer", "json"}
_ZONED: Final = frozenset({"date"})
_REDACTED: Final = "•••"
_NO_FIELDS: Final[Fields] = {}
_UTC: Final = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class _Part:
    """One piece of a mapper: known now, or evaluated for every bundle."""

    constant: Constant | None
    evaluate: Evaluate


@dataclass(frozen=True, slots=True)
class Mapper:
    """The compiled mapper of one module."""

    part: _Part
    secrets: tuple[str, ...]

    def evaluate(self, scope: Scope) -> Collection:
        """Return the module's input, or raise `BundleValidationError` with all that is wrong."""
        problems: list[str] = []
        given = self.part.evaluate(scope, problems)
        if problems:
            raise validation_failed(problems)
        return given  # type: ignore[return-value]  # the top part always makes a collection

    def shown(self, given: Collection) -> Collection:
        """Return the input as a log may keep it: without passwords."""
        if not self.secrets:
            return given
        return {name: _REDACTED if name in self.secrets and value else value for name, value in given.items()}


def validation_failed(problems: Sequence[str]) -> ModuleError:
    """Return the error for input that does not fit its fields."""
    lines = "\n".join(f" - {problem}" for problem in problems)
    return ModuleError(ErrorType.BUNDLE_VALIDATION, f"Validation failed for {len(problems)} parameter(s).\n{lines}")


def compile_mapper(raw: object, own: Sequence[Field], expected: Sequence[Field]) -> Mapper:
    """Compile `raw`; `own` is the module's description, `expected` what the blueprint says beyond it."""
    fields = {field.name: field for field in expected} | {field.name: field for field in own}
    if isinstance(raw, Mapping) or raw is None or raw == []:
        part = _collection(raw if isinstance(raw, Mapping) else {}, fields, "")
    else:
        part = _whole(raw, fields)
    return Mapper(part, tuple(field.name for field in fields.values() if field.secret))


def checked_collection(
    value: Collection, fields: Sequence[Field], *, strict: bool, zone: ZoneInfo = _UTC
) -> tuple[Collection, list[str]]:
    """Return a collection as its fields want it, with all that is wrong; `strict` refuses keys they do not name.

    For values that come from elsewhere than a mapper: records, inputs of a scenario.
    """
    problems: list[str] = []
    made = _coerce_members(value, {field.name: field for field in fields}, zone, "", problems)
    if strict:
        _say_unknown(made, fields, "", problems)
    return made, problems


def _say_unknown(value: Collection, fields: Sequence[Field], path: str, problems: list[str]) -> None:
    named = {field.name: field for field in fields}
    for key, member in value.items():
        place, field = _join(path, key), named.get(key)
        if field is None:
            problems.append(f"'{place}' is not a field of the data structure.")
        elif field.spec and isinstance(member, dict):
            _say_unknown(member, field.spec, place, problems)
        elif field.spec and isinstance(member, list) and not field.scalar_items:
            for index, item in enumerate(member, 1):
                if isinstance(item, dict):
                    _say_unknown(item, field.spec, f"{place}[{index}]", problems)


def _whole(raw: object, fields: Fields) -> _Part:
    """Return the part of a mapper that is one expression for the whole collection, as `{{2}}`."""
    evaluate = compile_value(raw).evaluate

    def whole(scope: Scope, problems: list[str]) -> Value:
        value = evaluate(scope)
        if value is None or value == "" or value is IGNORE or value is ERASE:
            value = {}
        if isinstance(value, dict):
            return _coerce_members(value, fields, scope.timezone, "", problems)
        problems.append("The mapped value is not a collection.")
        return {}

    return _Part(None, whole)


def _part(raw: object, field: Field | None, path: str) -> _Part:
    kind = None if field is None or field.type in _UNTYPED else field.type
    spec = field.spec if field is not None else ()
    if isinstance(raw, Mapping) and kind in (None, "collection"):
        return _collection(raw, {item.name: item for item in spec}, path)
    if isinstance(raw, list) and kind in (None, "array"):
        return _array(raw, field, path)
    return _leaf(raw, field, path)


def _collection(raw: Mapping[str, object], fields: Fields, path: str) -> _Part:
    parts = {key: _part(value, fields.get(key), _join(path, key)) for key, value in raw.items()}
    layout: Collection = {key: part.constant.value if part.constant else None for key, part in parts.items()}
    layout |= {name: field.default for name, field in fields.items() if _wants_default(field, layout, parts)}
    layout = {key: value for key, value in layout.items() if value is not IGNORE}
    dynamic = tuple((key, part.evaluate) for key, part in parts.items() if part.constant is None)
    moving = {key for key, _ in dynamic}
    required = tuple(
        (name, _join(path, name))
        for name, field in fields.items()
        if field.required and (name in moving or layout.get(name) in (None, ""))
    )
    if not dynamic and not required:
        return _Part(Constant(layout), lambda _scope, _problems: layout)

    def evaluate(scope: Scope, problems: list[str]) -> Value:
        made = dict(layout)
        for key, part in dynamic:
            value = part(scope, problems)
            if value is IGNORE:
                del made[key]
            else:
                made[key] = value
        for name, place in required:
            if made.get(name) in (None, ""):
                _say_missing(place, problems)
        return made

    return _Part(None, evaluate)


def _wants_default(field: Field, layout: Collection, parts: Mapping[str, _Part]) -> bool:
    if field.default is None:
        return False
    part = parts.get(field.name)
    return part is None or (part.constant is not None and layout[field.name] in (None, "", IGNORE))


def _array(raw: list[object], field: Field | None, path: str) -> _Part:
    item_field = _item_field(field)
    parts = [_part(item, item_field, f"{path}[{index}]") for index, item in enumerate(raw, 1)]
    bounds = field.validate if field is not None else None

    def evaluate(scope: Scope, problems: list[str]) -> Value:
        made = [part.evaluate(scope, problems) for part in parts]
        made = [item for item in made if item is not IGNORE]
        _check_bounds(made, bounds, path, problems)
        return made

    if all(part.constant is not None for part in parts):
        problems: list[str] = []
        constant = [part.constant.value for part in parts if part.constant and part.constant.value is not IGNORE]
        _check_bounds(constant, bounds, path, problems)
        if not problems:
            return _Part(Constant(constant), lambda _scope, _problems: constant)
    return _Part(None, evaluate)


def _item_field(field: Field | None) -> Field | None:
    if field is None or not field.spec:
        return None
    return field.spec[0] if field.scalar_items else Field(name=field.name, type="collection", spec=field.spec)


def _leaf(raw: object, field: Field | None, path: str) -> _Part:
    compiled = compile_value(raw)
    constant = fold(compiled)
    take = compiled.evaluate
    if field is None or field.type in _UNTYPED:
        if constant is not None:
            return _Part(Constant(_unmarked(constant.value)), lambda _scope, _problems: _unmarked(constant.value))
        return _Part(None, lambda scope, _problems: _unmarked(take(scope)))
    declared = field

    def evaluate(scope: Scope, problems: list[str]) -> Value:
        return _coerce(take(scope), declared, scope.timezone, path, problems)

    if constant is not None and field.type not in _ZONED:
        problems: list[str] = []
        value = _coerce(constant.value, field, _UTC, path, problems)
        if not problems:
            return _Part(Constant(value), lambda _scope, _problems: value)
    return _Part(None, evaluate)


def _unmarked(value: Value) -> Value:
    return None if value is ERASE else value


def _coerce(value: Value, field: Field, zone: ZoneInfo, path: str, problems: list[str]) -> Value:
    """Return the value as the field's type wants it, IGNORE when it counts as not given."""
    if value is IGNORE:
        return IGNORE
    if value is ERASE:
        return [] if field.type == "array" else None
    if value == "" and field.type not in _KEEP_EMPTY:
        return None if field.required else IGNORE
    if value is None:
        return None
    try:
        value = coerce(value, field.type, zone)
    except BudgetExceeded:
        raise
    except ExpressionError as error:
        problems.append(f"Invalid value of parameter '{path}': {error.message}")
        return None
    if field.spec and isinstance(value, dict):
        value = _coerce_members(value, {item.name: item for item in field.spec}, zone, path, problems)
    elif field.spec and isinstance(value, list):
        value = _coerce_items(value, field, zone, path, problems)
    _check_bounds(value, field.validate, path, problems)
    return value


def _coerce_items(items: list[Value], field: Field, zone: ZoneInfo, path: str, problems: list[str]) -> list[Value]:
    item_field = _item_field(field)
    if item_field is None:
        return items
    made = [_coerce(item, item_field, zone, f"{path}[{index}]", problems) for index, item in enumerate(items, 1)]
    return [item for item in made if item is not IGNORE]


def _coerce_members(value: Collection, fields: Fields, zone: ZoneInfo, path: str, problems: list[str]) -> Collection:
    made: Collection = {}
    for key, member in value.items():
        field = fields.get(key)
        if field is not None and field.type not in _UNTYPED:
            member = _coerce(member, field, zone, _join(path, key), problems)  # noqa: PLW2901  same member, typed
        if member is not IGNORE:
            made[key] = member
    for name, field in fields.items():
        if made.get(name) in (None, ""):
            if field.default is not None:
                made[name] = field.default
            elif field.required:
                _say_missing(_join(path, name), problems)
    return made


def _say_missing(place: str, problems: list[str]) -> None:
    """Say it, unless the value was there and has been found wrong."""
    if not any(f"'{place}'" in problem for problem in problems):
        problems.append(f"Missing value of required parameter '{place}'.")


def _check_bounds(value: Value, bounds: Bounds | None, path: str, problems: list[str]) -> None:
    if bounds is None:
        return
    if isinstance(value, list):
        if bounds.max_items is not None and len(value) > bounds.max_items:
            problems.append(f"Parameter '{path}' has {len(value)} items; at most {bounds.max_items} are allowed.")
        if bounds.min_items is not None and len(value) < bounds.min_items:
            problems.append(f"Parameter '{path}' has {len(value)} items; at least {bounds.min_items} are needed.")
        return
    measured = len(value) if isinstance(value, str) else value
    if not isinstance(measured, int | float) or isinstance(measured, bool):
        return
    what = "length" if isinstance(value, str) else "value"
    if bounds.max is not None and measured > bounds.max:
        problems.append(f"The {what} of parameter '{path}' is {measured}; at most {bounds.max:g} is allowed.")
    if bounds.min is not None and measured < bounds.min:
        problems.append(f"The {what} of parameter '{path}' is {measured}; at least {bounds.min:g} is needed.")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
