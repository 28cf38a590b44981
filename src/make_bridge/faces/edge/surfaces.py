"""The surfaces of the server: which part of the address space gets which policy.

Browsers are told in full what each answer may do; nothing is inherited from a library's defaults, which break the
embedding this product exists for. ``forced`` headers replace what a face has set, ``defaults`` stand where it set
nothing: the pages' own policies carry a nonce and the organization's origins, so a page sets its policy itself, and
one that forgets is closed.
"""

from dataclasses import dataclass, field
from typing import Final

from make_bridge.faces.edge.config import BodyLimits

Headers = tuple[tuple[bytes, bytes], ...]

_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_NO_REFERRER: Final = (b"referrer-policy", b"no-referrer")
_NO_STORE: Final = (b"cache-control", b"no-store")
_CLOSED: Final = (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'")
_NO_DEVICES: Final = (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()")
# The window that opens a provider's consent page has to keep its opener.
_POP_UPS: Final = (b"cross-origin-opener-policy", b"same-origin-allow-popups")
_ONE_ORIGIN: Final = (b"cross-origin-opener-policy", b"same-origin")
_ANY_OPENER: Final = (b"cross-origin-opener-policy", b"unsafe-none")
_SAME_ORIGIN: Final = (b"cross-origin-resource-policy", b"same-origin")
_ANY_ORIGIN: Final = (b"cross-origin-resource-policy", b"cross-origin")
# What stands over a refusal that is told before anybody knows the address: as much as any surface has.
REFUSED_UNREAD: Final = (
    *(_CLOSED, _NOSNIFF, _NO_STORE, _NO_REFERRER, _SAME_ORIGIN),
    (b"content-type", b"application/json"),
)
HTTPS_ONLY: Final = (b"strict-transport-security", b"max-age=31536000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One part of the address space; ``keeps_identity`` leaves headers that claim an identity, as data.

    Where ``is_traced`` is off no request begins a trace: files, probes, and paths that lead nowhere.
    """

    name: str
    prefixes: tuple[str, ...]
    max_body: int
    forced: Headers
    defaults: Headers = ()
    is_api: bool = False
    keeps_identity: bool = False
    is_traced: bool = True
    forced_names: frozenset[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Collect the names that only the edge sets, once."""
        object.__setattr__(self, "forced_names", frozenset({b"x-request-id", *(name for name, _ in self.forced)}))


def surfaces(bodies: BodyLimits) -> tuple[Surface, ...]:
    """Return every surface; the last one is for addresses nobody claims."""
    api = (_CLOSED, _NOSNIFF, _NO_STORE, _NO_REFERRER, _SAME_ORIGIN)
    return (
        # What a scenario answers is a stranger's text on our origin: it is shown, and can do nothing. The caller's
        # headers are the scenario's data, so none is taken away.
        Surface(
            name="hook",
            prefixes=("/hook",),
            max_body=bodies.hook,
            forced=(
                (b"content-security-policy", b"sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src https:"),
                _NOSNIFF,
                _NO_REFERRER,
                _ANY_ORIGIN,
            ),
            defaults=(_NO_STORE,),
            keeps_identity=True,
        ),
        # Scripts and styles; the widget is loaded by the customers' pages, wherever they are.
        Surface(
            name="asset",
            prefixes=("/portal/static",),
            max_body=bodies.api,
            forced=(
                (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
                (b"access-control-allow-origin", b"*"),
                _NOSNIFF,
                _NO_REFERRER,
                _ANY_ORIGIN,
            ),
            defaults=((b"cache-control", b"no-cache"),),
            is_traced=False,
        ),
        Surface(
            name="api",
            prefixes=(
                *("/portal/api", "/api", "/flow-api", "/hand-over-api", "/console/api", "/demo/api", "/internal"),
                "/openapi.json",
            ),
            max_body=max(bodies.api, bodies.blueprint),
            forced=api,
            is_api=True,
        ),
        # A consent is a pop-up of the wizard, which keeps an opener itself: a policy here would cut the tie to it.
        Surface(
            name="oauth",
            prefixes=("/oauth",),
            max_body=bodies.api,
            forced=(_NOSNIFF, _NO_REFERRER, _ANY_OPENER, _SAME_ORIGIN, _NO_DEVICES),
            defaults=(_CLOSED, _NO_STORE),
        ),
        # The wizard is embedded by the origins of its organization: its page sets `frame-ancestors` itself. As a pop-up
        # it keeps its opener, a stranger to us, to say how far it is: any opener policy would cut that tie.
        Surface(
            name="wizard",
            prefixes=("/flow", "/hand-over"),
            max_body=bodies.api,
            forced=(_NOSNIFF, _NO_REFERRER, _ANY_OPENER, _SAME_ORIGIN, _NO_DEVICES),
            defaults=(_CLOSED, _NO_STORE),
        ),
        # Signed-in people act here: no other page may frame it, open it and keep hold of it, or load anything of it.
        Surface(
            name="console",
            prefixes=("/console",),
            max_body=bodies.api,
            forced=(
                *(_NOSNIFF, _NO_REFERRER, _ONE_ORIGIN, _SAME_ORIGIN, _NO_DEVICES),
                (b"x-frame-options", b"DENY"),
            ),
            defaults=(_CLOSED, _NO_STORE),
        ),
        Surface(
            name="page",
            prefixes=("/demo", "/docs"),
            max_body=bodies.api,
            forced=(_NOSNIFF, _NO_REFERRER, _POP_UPS, _SAME_ORIGIN, _NO_DEVICES),
            defaults=(_CLOSED, _NO_STORE),
            is_traced=False,
        ),
        Surface(name="other", prefixes=("",), max_body=bodies.api, forced=(_NOSNIFF, _NO_REFERRER, _SAME_ORIGIN),
                defaults=(_CLOSED, _NO_STORE), is_traced=False),
    )  # fmt: skip


def find_surface(table: tuple[Surface, ...], path: str) -> Surface:
    """Return the first surface that claims the path: a prefix counts for itself and for what lies below it."""
    for surface in table:
        for prefix in surface.prefixes:
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in {"", "/"}:
                return surface
    return table[-1]
