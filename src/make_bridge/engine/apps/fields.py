"""Field data: what a module takes and gives, described once.

Written by each app beside its code; read by validation and coercion (`blueprint`), by the wizard's
forms and by the documentation, so that the three cannot disagree. `metadata.expect` of an exported
blueprint has the same shape and is read by `field_from_json`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from make_bridge.engine.values import Value

LAYOUT_TYPES: Final = frozenset({"banner", "markdown", "html", "separator"})
TEXT_TYPES: Final = frozenset(
    {"text", "url", "email", "uuid", "port", "color", "select", "radio", "filename", "path", "folder", "hidden"}
    | {"password", "cert", "pkey", "timezone", "file"}
)
MAX_NESTING: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One choice of a select field."""

    value: Value
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a value must meet beyond its type; the wire key is `validate`."""

    min: float | None = None
    max: float | None = None
    min_items: int | None = None
    max_items: int | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `spec` describes a collection's fields, or an array's items.

    An array of collections lists its items' fields; an array of scalars has the single field
    named "value", which `scalar_items` marks.
    """

    name: str
    type: str
    label: str = ""
    required: bool = False
    default: Value = None
    help: str = ""
    multiline: bool = False
    advanced: bool = False
    options: tuple[Option, ...] = ()
    validate: Bounds | None = None
    spec: "tuple[Field, ...]" = ()
    scalar_items: bool = False

    @property
    def secret(self) -> bool:
        """Whether the value must not be written to a log."""
        return self.type == "password"

    def describe(self) -> dict[str, object]:
        """Return the field as a Make field spec, ready for JSON."""
        described: dict[str, object] = {"name": self.name, "type": self.type, "label": self.label or self.name}
        flags = {"required": self.required, "multiline": self.multiline, "advanced": self.advanced}
        described |= {name: True for name, on in flags.items() if on}
        if self.default is not None:
            described["default"] = self.default
        if self.help:
            described["help"] = self.help
        if self.options:
            described["options"] = [{"label": option.label, "value": option.value} for option in self.options]
        if (bounds := _describe_bounds(self)) is not None:
            described["validate"] = bounds
        if self.spec:
            items = [item.describe() for item in self.spec]
            described["spec"] = items[0] if self.scalar_items else items
        return described


def _describe_bounds(field: Field) -> dict[str, object] | None:
    described: dict[str, object] = {}
    if field.options:
        described["enum"] = [option.value for option in field.options]
    bounds = field.validate
    if bounds is not None:
        wire = {"min": bounds.min, "max": bounds.max, "minItems": bounds.min_items, "maxItems": bounds.max_items}
        described |= {name: value for name, value in wire.items() if value is not None}
        if bounds.pattern is not None:
            described["pattern"] = bounds.pattern
    return described or None


def choices(*values: str, **labels: str) -> tuple[Option, ...]:
    """Write options briefly: plain values are their own labels, keyword arguments carry one."""
    plain = tuple(Option(value=value, label=value) for value in values)
    return plain + tuple(Option(value=value, label=label) for value, label in labels.items())


def field_from_json(raw: object, depth: int = 0) -> Field | None:
    """Read one entry of `metadata.expect` or of an interface; None for layout and for nonsense."""
    if not isinstance(raw, Mapping) or depth > MAX_NESTING:
        return None
    name, kind = raw.get("name"), raw.get("type")
    if not isinstance(name, str) or not isinstance(kind, str) or kind in LAYOUT_TYPES:
        return None
    spec, scalar_items = _items_from_json(raw.get("spec")) if kind == "array" else (raw.get("spec"), False)
    return Field(
        name=name,
        type=kind,
        label=label if isinstance(label := raw.get("label"), str) else name,
        required=raw.get("required") is True,
        default=default if isinstance(default := raw.get("default"), str | int | float | bool) else None,
        help=text if isinstance(text := raw.get("help"), str) else "",
        multiline=raw.get("multiline") is True,
        advanced=raw.get("advanced") is True,
        options=_options_from_json(raw),
        validate=_bounds_from_json(raw.get("validate")),
        spec=fields_from_json(spec if isinstance(spec, list) else [spec], depth + 1),
        scalar_items=scalar_items,
    )


def _items_from_json(spec: object) -> tuple[object, bool]:
    """Return what describes an array's items, and whether they are scalars.

    One description may stand alone, mostly without a name; that of a collection means the list of its fields.
    """
    if not isinstance(spec, Mapping):
        return spec, False
    if spec.get("type") == "collection":
        return spec.get("spec"), False
    return {"name": "value", **spec}, True


def fields_from_json(raw: object, depth: int = 0) -> tuple[Field, ...]:
    """Read a list of field specs, leaving out what is none."""
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        return ()
    found = (field_from_json(item, depth) for item in raw)
    return tuple(field for field in found if field is not None)


def _bounds_from_json(raw: object) -> Bounds | None:
    if not isinstance(raw, Mapping):
        return None
    pattern = raw.get("pattern")
    if isinstance(pattern, Mapping):
        pattern = pattern.get("regexp")
    items = (raw.get("minItems"), raw.get("maxItems"))
    return Bounds(
        min=_number(raw.get("min")),
        max=_number(raw.get("max")),
        min_items=items[0] if isinstance(items[0], int) else None,
        max_items=items[1] if isinstance(items[1], int) else None,
        pattern=pattern if isinstance(pattern, str) else None,
    )


def _number(raw: object) -> float | None:
    return raw if isinstance(raw, int | float) and not isinstance(raw, bool) else None


def _options_from_json(raw: Mapping[object, object]) -> tuple[Option, ...]:
    options, bounds = raw.get("options"), raw.get("validate")
    if isinstance(options, list):
        rows = [row for row in options if isinstance(row, Mapping) and isinstance(row.get("value"), str | int | bool)]
        return tuple(Option(value=row["value"], label=str(row.get("label", row["value"]))) for row in rows)
    enum = bounds.get("enum") if isinstance(bounds, Mapping) else None
    return choices(*(value for value in enum if isinstance(value, str))) if isinstance(enum, list) else ()
