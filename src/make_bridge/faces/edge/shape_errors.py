"""Pydantic's findings as sentences for people: what a value must be, never what was sent.

``body`` uses them for requests, ``problems`` for parameters, ``settings`` for the configuration.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic_core import ErrorDetails

_SAYINGS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "has characters that are not allowed",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "literal_error": "must be one of {expected}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "less_than": "must be less than {lt}",
}


def sentence_of(mistake: ErrorDetails) -> str:
    """Say what is wrong with one value, without its name and without a full stop."""
    context: dict[str, Any] = mistake.get("ctx", {})
    if mistake["type"] == "value_error":
        return str(context.get("error", "is not valid"))
    saying = _SAYINGS.get(mistake["type"])
    if saying is None:
        return "is not valid: " + mistake["msg"][:1].lower() + mistake["msg"][1:]
    return saying.format_map(context)


def fields_of(mistakes: Iterable[ErrorDetails], *, skip: int = 0) -> dict[str, str]:
    """Map each wrong member (``scenario.enable``) to its sentence; ``skip`` leaves out leading places."""
    fields: dict[str, str] = {}
    for mistake in mistakes:
        name = ".".join(str(place) for place in mistake["loc"][skip:]) or "body"
        fields.setdefault(name, sentence_of(mistake))
    return fields


def summary_of(fields: Mapping[str, str]) -> str:
    """Put the sentences of several members into one text."""
    return " ".join(f"{name} {sentence}." for name, sentence in fields.items())
