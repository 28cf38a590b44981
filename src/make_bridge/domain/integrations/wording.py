"""Answers in words: what a customer chose, said with the names of fields and modules instead of expressions.

Pure; the walk asks it for every answer that a page shows. A person who put the item "Order number" of the module "New
order" into a text must meet those words again, never ``{{1.id}}``. An answer becomes a list of parts: plain text, or
an expression with the items it reads. How a part is drawn is the page's affair.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from make_bridge.domain.templates.mapping_items import MappingItem
from make_bridge.domain.templates.places import Ground, item_field
from make_bridge.engine.apps.fields import Field
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml import Reference, compile_template
from make_bridge.engine.iml.keywords import CONSTANTS
from make_bridge.engine.iml.parser import parse_template
from make_bridge.engine.iml.printer import print_template
from make_bridge.engine.iml.syntax import Keyword, Part, Path, Text

JsonObject = dict[str, Any]

_OPENING: Final = "{{"
_MODULE: Final = re.compile(r"\{\{(\d+)\.")
_VARYING: Final = {
    "now": "Time of the run",
    "timestamp": "Time of the run",
    "executionId": "Id of the run",
    "random": "A random number",
    "uuid": "A new unique id",
}
_MOST_TEXT: Final = 600


class Wording:
    """Says values with the names that one template gives to things."""

    def __init__(self, ground: Ground) -> None:
        """``ground`` knows the modules and what they give."""
        self._ground = ground

    def items(self, items: Iterable[MappingItem]) -> list[JsonObject]:
        """Return the items a field may use, each with the module that it comes from."""
        described = []
        for item in items:
            found = _MODULE.match(item.expression)
            source = self._ground.module_label(int(found[1])) if found else None
            described.append({"label": item.label, "expression": item.expression, "from": source})
        return described

    def say(self, value: object, field: Field, *, mapped: bool) -> list[JsonObject]:
        """Return an answer as parts; with ``mapped`` its texts may hold expressions."""
        return _short(_merged(self._said(value, field, mapped=mapped)))

    def _said(self, value: object, field: Field | None, *, mapped: bool) -> list[JsonObject]:
        if value is None or value == "":
            return []
        if mapped and isinstance(value, str) and _OPENING in value:
            return self._template(value)
        option = next((one.label for one in field.options if one.value == value), None) if field else None
        if option is not None:
            return [_text(option)]
        if isinstance(value, bool):
            return [_text("Yes" if value else "No")]
        if isinstance(value, list):
            return self._list(value, field, mapped=mapped)
        if isinstance(value, dict):
            return self._collection(value, field, mapped=mapped)
        return [_text("•" * 8 if field is not None and field.secret else str(value))]

    def _list(self, items: list[object], field: Field | None, *, mapped: bool) -> list[JsonObject]:
        inner = item_field(field) if field is not None else None
        said = [parts for item in items if (parts := self._said(item, inner, mapped=mapped))]
        separator = "\n" if any(isinstance(item, dict) for item in items) else ", "
        return _joined(said, separator)

    def _collection(self, members: dict[str, object], field: Field | None, *, mapped: bool) -> list[JsonObject]:
        fields = {member.name: member for member in field.spec} if field is not None else {}
        said = []
        for name, member in members.items():
            known = fields.get(name)
            parts = self._said(member, known, mapped=mapped)
            if parts:
                said.append([_text(f"{known.label or name if known else name}: "), *parts])
        return _joined(said, ", ")

    def _template(self, text: str) -> list[JsonObject]:
        try:
            return [self._part(part) for part in parse_template(text)]
        except ExpressionError:
            return [_text(text)]

    def _part(self, part: Part) -> JsonObject:
        if isinstance(part, str):
            return _text(part)
        if isinstance(part, Text):
            return _text(part.value)
        if isinstance(part, Keyword) and part.name in CONSTANTS:
            value = CONSTANTS[part.name]
            return _text("" if value is None else str(value))
        expression = print_template((part,))
        if isinstance(part, Keyword):
            items = [{"label": _VARYING.get(part.name, part.name), "from": None}]
        else:
            items = [self._item(reference) for reference in compile_template(expression).references]
        return {
            "expression": expression,
            "items": _distinct(items),
            "calculated": not isinstance(part, Path | Keyword),
        }

    def _item(self, reference: Reference) -> JsonObject:
        node = self._ground.module(reference.module_id)
        if node is None:
            return {"label": _joined_labels(map(str, reference.path)), "from": None}
        spec = self._ground.spec(node)
        fields = {field.name: field for field in (*(spec.output if spec else ()), *node.interface)}
        labels: list[str] = []
        for segment in reference.path:
            if not isinstance(segment, str):
                if segment is not None:
                    labels.append(str(segment))
                continue
            field = fields.get(segment)
            labels.append(field.label or field.name if field else segment)
            fields = {member.name: member for member in field.spec} if field else {}
        source = self._ground.module_label(node.id)
        return {"label": _joined_labels(labels) or source, "from": source if labels else None}


def plain(parts: Sequence[JsonObject]) -> str:
    """Return parts as one text, for readers without a page."""
    return "".join(part["text"] if "text" in part else _quoted(part) for part in parts)


def _quoted(part: JsonObject) -> str:
    names = ", ".join(item["label"] for item in part["items"])
    return f"[{names}]" if names else "[calculated]"


def _text(text: str) -> JsonObject:
    return {"text": text}


def _joined_labels(labels: Iterable[str]) -> str:
    return " › ".join(labels)  # noqa: RUF001 - the sign that the offered items have between their labels


def _joined(said: list[list[JsonObject]], separator: str) -> list[JsonObject]:
    parts: list[JsonObject] = []
    for at, one in enumerate(said):
        parts += ([_text(separator)] if at else []) + one
    return parts


def _merged(parts: list[JsonObject]) -> list[JsonObject]:
    """Put neighbouring texts together."""
    merged: list[JsonObject] = []
    for part in parts:
        if "text" in part and merged and "text" in merged[-1]:
            merged[-1] = _text(merged[-1]["text"] + part["text"])
        elif part.get("text") != "":
            merged.append(part)
    return merged


def _short(parts: list[JsonObject]) -> list[JsonObject]:
    """Cut what is too long to be read on a page that sums up."""
    left = _MOST_TEXT
    kept: list[JsonObject] = []
    for part in parts:
        if left <= 0:
            return [*kept, _text("…")]
        text = part.get("text")
        kept.append(_text(f"{text[:left]}…") if text is not None and len(text) > left else part)
        left -= len(text) if text is not None else 20
    return kept


def _distinct(items: list[JsonObject]) -> list[JsonObject]:
    return [item for at, item in enumerate(items) if item not in items[:at]]
