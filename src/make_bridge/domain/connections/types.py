"""The types of connections and keys: what each asks for, as data.

Read by the wizard's form, by the check of what was sent and by whoever shows the types. A new type is
an entry here; what it means on the wire is the business of the app that uses it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from make_bridge.domain.connections.aes_keys import wrong_key
from make_bridge.engine.apps.fields import Bounds, Field, choices

JsonObject = dict[str, Any]

_MAX_SECRET: Final = 8192
_MAX_TEXT: Final = 255
_MAX_PEM: Final = 65536
_PEM: Final = "PEM text, from -----BEGIN to the last -----END."


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentType:
    """One type. ``aliases`` are the names that Make's own API uses for fields.

    ``check`` says what is wrong with values that are each good by themselves, a sentence per field.
    """

    kind: str
    name: str
    app: str
    label: str
    fields: tuple[Field, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[Mapping[str, str]], dict[str, str]] | None = None


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
    ComponentType(
        kind="key",
        name="clientcertauth",
        app="http",
        label="Certificates",
        fields=(
            Field(
                name="certificate",
                type="text",
                label="Client certificate",
                help=f"What is shown to the server: {_PEM}",
                multiline=True,
                validate=Bounds(max=_MAX_PEM),
            ),
            Field(
                name="key",
                type="password",
                label="Private key",
                help="Of the client certificate, as PEM text without a passphrase.",
                multiline=True,
                validate=Bounds(max=_MAX_PEM),
            ),
            Field(
                name="ca",
                type="text",
                label="Self-signed certificate",
                help=f"What is trusted beside the usual authorities: {_PEM}",
                multiline=True,
                validate=Bounds(max=_MAX_PEM),
            ),
        ),
        aliases={"cert": "certificate", "privateKey": "key"},
    ),
    ComponentType(
        kind="key",
        name="aes-key",
        app="encryptor",
        label="AES key",
        fields=(
            Field(
                name="key",
                type="password",
                label="Key",
                required=True,
                help="16, 24 or 32 bytes.",
                validate=Bounds(max=_MAX_TEXT),
            ),
            Field(
                name="keyEncoding",
                type="select",
                label="Written as",
                default="plain",
                options=choices(plain="Plain text", hex="Hexadecimal digits", base64="Base64"),
            ),
        ),
        check=wrong_key,
    ),
    ComponentType(
        kind="connection",
        name="oauth2",
        app="http",
        label="Access token",
        fields=(
            Field(
                name="accessToken",
                type="password",
                label="Access token",
                required=True,
                help="Sent as 'Authorization: Bearer'. It is not renewed: make a new connection when it has run out.",
                validate=Bounds(max=_MAX_SECRET),
            ),
        ),
        aliases={"token": "accessToken"},
    ),
    ComponentType(
        kind="connection",
        name="make",
        app="make",
        label="Make API",
        fields=(
            Field(name="apiKey", type="password", label="API token", required=True, validate=Bounds(max=_MAX_SECRET)),
            Field(
                name="url",
                type="text",
                label="Address",
                required=True,
                help="Of a server with Make's API, for example https://bridge.example.com.",
                validate=Bounds(max=_MAX_TEXT, pattern=r"^https?://[A-Za-z0-9.:_\[\]-]+/?$"),
            ),
        ),
    ),
    ComponentType(
        kind="connection",
        name="smtp",
        app="email",
        label="Mail server (SMTP)",
        fields=(
            Field(
                name="host",
                type="text",
                label="Server",
                required=True,
                help="For example smtp.example.com.",
                validate=Bounds(max=_MAX_TEXT, pattern=r"^[A-Za-z0-9.:_-]+$"),
            ),
            Field(
                name="port",
                type="text",
                label="Port",
                default="587",
                help="587 with STARTTLS, 465 with TLS; 25 and 2525 can be used too.",
                validate=Bounds(pattern="^[0-9]{1,5}$"),
            ),
            Field(
                name="security",
                type="select",
                label="Encryption",
                default="starttls",
                options=choices(starttls="STARTTLS", tls="TLS", none="None (without user name and password)"),
            ),
            Field(name="user", type="text", label="User name", validate=Bounds(max=_MAX_TEXT)),
            Field(name="password", type="password", label="Password", validate=Bounds(max=_MAX_SECRET)),
            Field(
                name="from",
                type="text",
                label="Sender",
                help='The address mail is sent from when a module names none: "Shop" <shop@example.com>. '
                "Empty: the user name.",
                validate=Bounds(max=_MAX_TEXT),
            ),
        ),
        aliases={"smtpHost": "host", "smtpPort": "port", "username": "user"},
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
