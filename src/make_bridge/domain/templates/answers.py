"""A customer's answers: checked against the fields' descriptions, and kept as they were given.

``check_step`` is asked when a step is saved; it returns values that JSON can hold, or raises
InvalidInput with one sentence per uuid. Whether a text is an expression is decided by the field
(``allowMapping``), never by the text; writing it into the blueprint is ``fill``'s part.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Never
from zoneinfo import ZoneInfo

from make_bridge.domain.templates.form import Form, FormField, FormStep, Values, same_value
from make_bridge.domain.templates.mapping_items import upstream
from make_bridge.domain.templates.places import ASKED_COMPONENTS, Domain, Ground, item_field
from make_bridge.engine.apps.fields import TEXT_TYPES, Bounds, Field
from make_bridge.engine.iml import Budget, ExpressionError, compile_template
from make_bridge.engine.iml.patterns import clean, compile_pattern
from make_bridge.engine.values import Value, coerce, to_text
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import MAX_ID

MAX_TEXT: Final = 256 * 1024
_UTC: Final = ZoneInfo("UTC")
_REQUIRED: Final = "This field needs a value."
_OPENING: Final = "{{"
_MAX_PORT: Final = 65535
# Fixed patterns over bounded text; what a template's author brings goes through RE2.
_FORMS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "url": (re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+"), "Enter an address that begins with https://."),
    "email": (re.compile(r"[^@\s]+@[^@\s]+"), "Enter an e-mail address."),
    "uuid": (re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"), "Enter a UUID."),
    "color": (re.compile(r"#[0-9A-Fa-f]{3,8}"), "Enter a colour such as #1a73e8."),
}
_NUMBERS: Final = frozenset({"number", "integer", "uinteger", "port"})


class _Wrong(Exception):
    """An answer does not fit; carries the sentence shown beside the field."""


def check_step(form: Form, step: FormStep, submitted: Values, known: Values, ground: Ground) -> dict[str, object]:
    """Return the step's answers by uuid, None for what was left empty; raises InvalidInput naming each uuid.

    ``known`` are the answers of earlier steps. A field whose condition does not hold is not asked: what
    was sent for it is neither checked nor kept.
    """
    checked: dict[str, object] = {}
    wrong: dict[str, str] = {}
    for field in step.fields:
        try:
            checked[field.uuid] = check_answer(field, submitted.get(field.uuid), ground)
        except _Wrong as error:
            wrong[field.uuid] = str(error)
    asked = form.asked(step, {**known, **checked})
    uuids = {field.uuid for field in step.fields}
    errors = {uuid: "This field is not part of the step." for uuid in submitted if uuid not in uuids}
    errors |= {field.uuid: wrong[field.uuid] for field in asked if field.uuid in wrong}
    if errors:
        raise InvalidInput("Some answers need another look.", fields=errors)
    return {field.uuid: checked[field.uuid] for field in asked if _worth_keeping(field, checked[field.uuid])}


def wrong_answer(field: FormField, value: object, ground: Ground) -> str | None:
    """Return the sentence that says why a value does not fit, None when it does; for prefill."""
    try:
        check_answer(field, value, ground)
    except _Wrong as wrong:
        return str(wrong)
    return None


def check_answer(field: FormField, value: object, ground: Ground) -> object:
    """Return one answer as it is kept, or raise the sentence."""
    if field.place.domain in ASKED_COMPONENTS:
        return _component(field, value)
    if value is None or value == "" or (value == [] and field.field.type == "array"):
        if field.required:
            raise _Wrong(_REQUIRED)
        return None
    expressions = _Expressions(field, ground) if field.allow_mapping else None
    return _checked(value, field.field, expressions)


def _worth_keeping(field: FormField, answer: object) -> bool:
    """An empty value empties its place; a component that was not chosen leaves it alone."""
    return answer is not None or field.place.domain not in ASKED_COMPONENTS


def _component(field: FormField, value: object) -> object:
    if value is None or value == "":
        if field.required and field.place.domain is not Domain.HOOK:
            raise _Wrong("Choose one, or create a new one.")
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_ID:
        raise _Wrong("This is not the id of a connection, key or webhook.")
    return value


class _Expressions:
    """The rules for expressions in one field: well formed, known functions, earlier modules only."""

    def __init__(self, field: FormField, ground: Ground) -> None:
        module_id = field.place.module_id
        self._visible = set() if module_id is None else {node.id for node in upstream(ground, module_id)}

    def check(self, text: str) -> None:
        try:
            template = compile_template(text)
        except ExpressionError as error:
            raise _Wrong(f"The expression is not well formed: {error.message}") from error
        for name in sorted(template.unknown_functions):
            raise _Wrong(f"There is no function {name}().")
        for reference in template.references:
            if reference.module_id is not None and reference.module_id not in self._visible:
                raise _Wrong(f"Module {reference.module_id} does not run before this one, so its items are empty here.")


def _checked(value: object, field: Field, expressions: _Expressions | None) -> object:
    """Return the value, its members too, as the description wants it."""
    if expressions is not None and isinstance(value, str) and _OPENING in value:
        expressions.check(value)
        return value
    if field.options:
        return _option(value, field)
    typed = _typed(value, field)
    if isinstance(typed, list):
        _check_count(typed, field.validate)
        inner = item_field(field)
        return [_member(item, inner, f"Item {index}", expressions) for index, item in enumerate(typed, 1)]
    if isinstance(typed, dict):
        return _members(typed, field, expressions)
    _check_bounds(typed, field.validate)
    return typed


def _members(value: dict[str, object], field: Field, expressions: _Expressions | None) -> dict[str, object]:
    fields = {member.name: member for member in field.spec}
    for name in value.keys() - fields.keys() if fields else ():
        raise _Wrong(f"There is no field '{name}' here.")
    for name, member in fields.items():
        if member.required and member.default is None and value.get(name) in (None, ""):
            raise _Wrong(f"{member.label or name}: {_REQUIRED}")
    return {name: _member(item, fields.get(name), name, expressions) for name, item in value.items()}


def _member(value: object, field: Field | None, name: str, expressions: _Expressions | None) -> object:
    if value is None or (value == "" and (field is None or not field.required)):
        return value
    try:
        return _checked(value, field or Field(name=name, type="any"), expressions)
    except _Wrong as wrong:
        raise _Wrong(f"{(field.label if field else '') or name}: {wrong}") from wrong


def _typed(value: object, field: Field) -> object:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise _Wrong(f"This text is longer than {MAX_TEXT} characters.")
    special = _SPECIAL.get(field.type)
    if special is not None:
        return special(value)
    if field.type in _NUMBERS and isinstance(value, bool):
        raise _Wrong("Enter a number.")
    if field.type in TEXT_TYPES and isinstance(value, list | dict):
        raise _Wrong("Enter a text.")
    try:
        typed = coerce(_as_value(value), field.type, _UTC)
    except ExpressionError as error:
        raise _Wrong(error.message) from error
    if isinstance(typed, datetime):
        return value  # kept as written: its zone is the scenario's
    form = _FORMS.get(field.type)
    if form is not None and not (isinstance(typed, str) and form[0].fullmatch(typed.strip())):
        raise _Wrong(form[1])
    if field.type == "port" and isinstance(typed, int) and typed > _MAX_PORT:
        raise _Wrong(f"A port is at most {_MAX_PORT}.")
    return typed


def _as_value(value: object) -> Value:
    """JSON is a subset of the values."""
    return value  # type: ignore[return-value]


def _boolean(value: object) -> object:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise _Wrong("Answer yes or no.")


def _timezone(value: object) -> object:
    try:
        return ZoneInfo(value).key if isinstance(value, str) else _no_timezone()
    except (KeyError, ValueError, OSError):
        return _no_timezone()


def _no_timezone() -> Never:
    raise _Wrong("Choose a time zone such as Europe/Prague.")


def _json(value: object) -> object:
    """JSON is kept as its text; the module reads it."""
    try:
        coerce(_as_value(value), "json", _UTC)
    except ExpressionError as error:
        raise _Wrong(error.message) from error
    return value


_SPECIAL: Final[Mapping[str, Callable[[object], object]]] = {
    "boolean": _boolean,
    "checkbox": _boolean,
    "timezone": _timezone,
    "json": _json,
}


def _option(value: object, field: Field) -> object:
    """Return the offered value that was meant: forms send numbers and booleans as text."""
    for option in field.options:
        if same_value(option.value, value) or (isinstance(value, str) and to_text(option.value) == value):
            return option.value
    raise _Wrong("Choose one of the offered values.")


def _check_count(items: list[object], bounds: Bounds | None) -> None:
    if bounds is None:
        return
    if bounds.min_items is not None and len(items) < bounds.min_items:
        raise _Wrong(f"Give at least {bounds.min_items}.")
    if bounds.max_items is not None and len(items) > bounds.max_items:
        raise _Wrong(f"Give at most {bounds.max_items}.")


def _check_bounds(value: object, bounds: Bounds | None) -> None:
    if bounds is None:
        return
    if isinstance(value, str):
        _check_range(len(value), bounds, "characters")
        _check_pattern(value, bounds.pattern)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_range(value, bounds, "")


def _check_range(measured: float, bounds: Bounds, unit: str) -> None:
    if bounds.min is not None and measured < bounds.min:
        raise _Wrong(f"Enter at least {bounds.min:g} {unit}".rstrip() + ".")
    if bounds.max is not None and measured > bounds.max:
        raise _Wrong(f"Enter at most {bounds.max:g} {unit}".rstrip() + ".")


def _check_pattern(text: str, pattern: str | None) -> None:
    if pattern is None:
        return
    try:
        found = any(True for _ in compile_pattern(pattern).matches(clean(text), Budget()))
    except ExpressionError as error:
        raise _Wrong(f"The form that is asked for cannot be checked: {error.message}") from error
    if not found:
        raise _Wrong("This does not have the form that is asked for.")
