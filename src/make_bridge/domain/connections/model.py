"""What makes the values of a connection or key valid. Pure.

Values end in headers and addresses of outgoing requests, so control characters are refused here, once,
for all types.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from make_bridge.domain.connections.types import ComponentType, type_of
from make_bridge.engine.apps.fields import Field
from make_bridge.kernel.errors import InvalidInput

JsonObject = dict[str, Any]

KINDS: Final = ("connection", "key")
MAX_NAME: Final = 128
_REQUIRED: Final = "This field needs a value."


def checked_type(kind: str, name: str) -> ComponentType:
    """Return the type, or raise InvalidInput."""
    found = type_of(kind, name) if kind in KINDS else None
    if found is None:
        raise InvalidInput(f"This server has no {kind if kind in KINDS else 'component'} of the type '{name}'.")
    return found


def checked_name(text: str) -> str:
    """Return a display name, or raise InvalidInput."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name or len(name) > MAX_NAME or not _is_plain(name):
        message = f"A name has 1 to {MAX_NAME} characters and no control characters."
        raise InvalidInput(message, fields={"name": message})
    return name


def named(component_type: ComponentType, given: Mapping[str, object]) -> dict[str, object]:
    """Return values under the type's own names: Make's clients have others for some."""
    return {component_type.aliases.get(name, name): value for name, value in given.items()}


def checked_values(component_type: ComponentType, given: Mapping[str, object]) -> JsonObject:
    """Return the values with defaults filled in, or raise InvalidInput with a sentence per field."""
    given = named(component_type, given)
    fields = {field.name: field for field in component_type.fields}
    errors = {name: "There is no such field." for name in given if name not in fields}
    values: JsonObject = {}
    for name, field in fields.items():
        value = given.get(name)
        if value is None or value == "":
            value = field.default if field.default is not None else ""
        wrong = _wrong(field, value)
        if wrong is not None:
            errors[name] = wrong
        values[name] = value
    if not errors and component_type.check is not None:
        errors = component_type.check(values)
    if errors:
        raise InvalidInput("These credentials need another look.", fields=errors)
    return values


def _wrong(field: Field, value: object) -> str | None:
    """Return why a value does not fit; never with the value in it, which may be a secret."""
    if not isinstance(value, str):
        return "Enter a text."
    if value == "":
        return _REQUIRED if field.required else None
    if not _is_plain(_unbroken(value) if field.multiline else value):
        return "Control characters and line breaks cannot be used here."
    if field.options and value not in {option.value for option in field.options}:
        return "Choose one of the offered values."
    bounds = field.validate
    if bounds is not None and bounds.max is not None and len(value) > bounds.max:
        return f"Enter at most {bounds.max:g} characters."
    if bounds is not None and bounds.pattern is not None and not re.fullmatch(bounds.pattern, value):
        return "This has characters that cannot be used here."
    return None


def _unbroken(text: str) -> str:
    """Certificates have lines; nothing with lines is ever written into a header."""
    return text.replace("\r", "").replace("\n", "")


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)
