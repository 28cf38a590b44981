"""The types of connections and keys: what each asks for, as data.

Read by the wizard's form, by the check of what was sent and by whoever shows the types. A new type is
an entry here; what it means on the wire is the business of the app that uses it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from make_bridge.engine.apps.fields import Bounds, Field, choices

JsonObject = dict[str, Any]

_MAX_SECRET: Final = 8192
_MAX_TEXT: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentType:
    """One type. ``aliases`` are the names that Make's own API uses for fields."""

    kind: str
    name: str
    app: str
    label: str
    fields: tuple[Field, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)


def _types(*types: ComponentType) -> Mapping[tuple[str, str], ComponentType]:
    return MappingProxyType({(made.kind, made.name): made for made in types})


TYPES: Final = _types(
    ComponentType(
        kind="key",
        name="basicauth",
        app="http",
        label="User name and password",
        fields=(
            Field(name="user", type="text", label="User name", required=True, validate=Bounds(max=_MAX_TEXT)),
            Field(name="password", type="password", label="Password", validate=Bounds(max=_MAX_SECRET)),
        ),
        aliases={"authUser": "user", "authPass": "password"},
    ),
    ComponentType(
        kind="key",
        name="apikeyauth",
        app="http",
        label="API key",
        fields=(
            Field(name="key", type="password", label="Key", required=True, validate=Bounds(max=_MAX_SECRET)),
            Field(
                name="placement",
                type="select",
                label="Sent in",
                default="header",
                options=choices(header="a header", query="the query string"),
            ),
            Field(
                name="name",
                type="text",
                label="Name of the header or parameter",
                default="Authorization",
                help="For example X-API-Key; what stands before a bearer token belongs to the key itself.",
                validate=Bounds(max=_MAX_TEXT, pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"),
            ),
        ),
    ),
)


def type_of(kind: str, name: str) -> ComponentType | None:
    """Return a type."""
    return TYPES.get((kind, name))


def types_of(kind: str) -> Iterable[ComponentType]:
    """Return all types of connections or of keys."""
    return (made for made in TYPES.values() if made.kind == kind)


def create_fields(name: str, kind: str = "key") -> list[JsonObject]:
    """Return what a form asks to create one; empty for a type that cannot be created by form."""
    made = type_of(kind, name)
    return [] if made is None else [asked.describe() for asked in made.fields]
