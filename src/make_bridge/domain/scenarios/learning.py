"""What a webhook that learns makes of its calls: the names and types of what they hold, never a value.

Pure. The structure has the form of a data structure's description, so it can be saved as one, and used as the
interface of a webhook module. Each call is held against what the calls before it have drawn: what is new is added, and
where two calls differ in a type anything may stand. All is bounded: fields, depth, and what is looked at of one call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from make_bridge.domain.data_structures.model import MAX_FIELDS, MAX_NAME, MAX_SPEC_BYTES
from make_bridge.engine.values import Value

JsonObject = dict[str, Any]
ANY: Final = "any"
_COLLECTION: Final = "collection"
_ARRAY: Final = "array"
_DEEPEST: Final = 18
_MOST_VALUES: Final = 10_000
# Truth before numbers, of which Python thinks it is one.
_KINDS: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (bool, "boolean"),
    ((int, float), "number"),
    (str, "text"),
    (datetime, "date"),
    (bytes, "buffer"),
    (dict, _COLLECTION),
    (list, _ARRAY),
)
# What the hook adds to a call itself: its headers and its method.
_OWN_NAMES: Final = "__IMT"


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningLimits:
    """After how many calls a webhook has learned enough, and how many fields its structure may have."""

    calls: int = 10
    fields: int = MAX_FIELDS


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What a hook has learned, as it is stored."""

    calls: int = 0
    fields: list[JsonObject] = []


_decoder = msgspec.json.Decoder(Learned)


def decode_learned(stored: bytes | None) -> Learned:
    """Read what is stored with a hook; nothing is stored before the first call."""
    return Learned() if stored is None else _decoder.decode(stored)


def encode_learned(learned: Learned) -> bytes:
    """Return the stored form."""
    return msgspec.json.encode(learned)


def with_call(learned: Learned, bundle: Mapping[str, Value], limits: LearningLimits) -> Learned:
    """Return what is learned with one more call."""
    drawing = _Drawing(limits.fields)
    shape = _Shape(kind=_COLLECTION, fields=drawing.read(learned.fields))
    drawing.see(shape, dict(bundle), 0)
    fields = _fields(shape)
    if len(msgspec.json.encode(fields)) > MAX_SPEC_BYTES:
        fields = learned.fields
    return Learned(calls=learned.calls + 1, fields=fields)


@dataclass(slots=True, kw_only=True)
class _Shape:
    """What is known of one place; without a kind only that there is something."""

    kind: str | None = None
    fields: dict[str, "_Shape"] = field(default_factory=dict)
    item: "_Shape | None" = None


class _Drawing:
    """One call being drawn: how many fields are left, and how many values may be looked at."""

    def __init__(self, fields: int) -> None:
        self._fields = fields
        self._values = _MOST_VALUES

    def read(self, fields: Sequence[JsonObject]) -> dict[str, _Shape]:
        """Return the shapes of a stored structure."""
        return {each["name"]: self._read_one(each) for each in fields}

    def _read_one(self, described: JsonObject) -> _Shape:
        self._fields -= 1
        kind, spec = described["type"], described.get("spec")
        shape = _Shape(kind=None if kind == ANY and not described.get("mixed") else kind)
        if kind == _COLLECTION:
            shape.fields = self.read(spec or [])
        elif kind == _ARRAY and isinstance(spec, list):
            shape.item = _Shape(kind=_COLLECTION, fields=self.read(spec))
        elif kind == _ARRAY and isinstance(spec, dict):
            shape.item = self._read_one(spec)
        return shape

    def see(self, shape: _Shape, value: Value, depth: int) -> None:
        """Add to a shape what a value says of it."""
        self._values -= 1
        kind = _kind_of(value)
        if kind is None or shape.kind == ANY:
            return
        if shape.kind is None:
            shape.kind = kind
        elif shape.kind != kind:
            shape.kind, shape.fields, shape.item = ANY, {}, None
            return
        if depth >= _DEEPEST:
            return
        if isinstance(value, dict):
            self._see_fields(shape, value, depth)
        elif isinstance(value, list):
            self._see_items(shape, value, depth)

    def _see_fields(self, shape: _Shape, value: Mapping[str, Value], depth: int) -> None:
        for name, each in value.items():
            if self._values <= 0:
                return
            if not 0 < len(name) <= MAX_NAME or name.startswith(_OWN_NAMES) or not _is_text(name):
                continue
            known = shape.fields.get(name)
            if known is None:
                if self._fields <= 0:
                    continue
                self._fields -= 1
                known = shape.fields[name] = _Shape()
            self.see(known, each, depth + 1)

    def _see_items(self, shape: _Shape, value: Sequence[Value], depth: int) -> None:
        for each in value:
            if self._values <= 0:
                return
            if shape.item is None:
                if self._fields <= 0:
                    return
                self._fields -= 1
                shape.item = _Shape()
            self.see(shape.item, each, depth + 1)


def _kind_of(value: Value) -> str | None:
    """Return a value's type; None for null, which may become anything."""
    if value is None:
        return None
    return next((name for kind, name in _KINDS if isinstance(value, kind)), ANY)


def _is_text(name: str) -> bool:
    """Say whether a name can be written: half a surrogate pair cannot."""
    return not any("\ud800" <= sign <= "\udfff" for sign in name)


def _fields(shape: _Shape) -> list[JsonObject]:
    return [{"name": name} | _described(each) for name, each in shape.fields.items()]


def _described(shape: _Shape) -> JsonObject:
    described: JsonObject = {"type": shape.kind or ANY}
    if shape.kind == ANY:
        described["mixed"] = True
    elif shape.kind == _COLLECTION:
        described["spec"] = _fields(shape)
    elif shape.item is not None:
        described["spec"] = _fields(shape.item) if shape.item.kind == _COLLECTION else _described(shape.item)
    return described


def shown(learned: Learned) -> list[JsonObject] | None:
    """Return the structure as people are shown it; None before the first call."""
    return _plain(learned.fields) if learned.calls else None


def _plain(fields: Sequence[JsonObject]) -> list[JsonObject]:
    return [_plain_one(each) for each in fields]


def _plain_one(described: JsonObject) -> JsonObject:
    plain = {name: member for name, member in described.items() if name != "mixed"}
    spec = plain.get("spec")
    if isinstance(spec, list):
        plain["spec"] = _plain(spec)
    elif isinstance(spec, dict):
        plain["spec"] = _plain_one(spec)
    return plain
