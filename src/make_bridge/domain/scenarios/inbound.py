"""What a hook asks of those who call it: a signature, and an id by which a repeated event is known again.

Pure. The rules stand in the hook's stored settings beside those of how a call is presented. ``hook_handlers`` checks
them when they are set; ``domain/executions`` reads them back and goes by them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import msgspec

from make_bridge.domain.scenarios.signatures import SCHEMES, TIMED, SignatureRule
from make_bridge.engine.iml import ExpressionError, Template, compile_template
from make_bridge.kernel.errors import InvalidInput

USUAL_WINDOW: Final = 86_400
MOST_EXPRESSION_CHARACTERS: Final = 1000
_MOST_PREFIX: Final = 50
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_PREFIX: Final = re.compile(r"[\x21-\x7e]*")
_BARE: Final = SignatureRule(scheme="hmac")
JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundLimits:
    """The longest that a hook may set, in seconds."""

    tolerance: int = 3600
    window: int = 7 * 86_400


class DedupeRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the id of an event stands: in a header, or what an expression makes of the call. One of the two."""

    header: str = ""
    expression: str = ""
    window_seconds: int = USUAL_WINDOW


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """Both rules of a hook; the hooks of most have none."""

    signature: SignatureRule | None = None
    dedupe: DedupeRule | None = None


_decoder = msgspec.json.Decoder(Inbound)


def decode_inbound(settings: bytes) -> Inbound:
    """Read the rules out of a hook's stored settings."""
    return _decoder.decode(settings)


def with_inbound(settings: bytes, inbound: Inbound, data: Mapping[str, bool] | None = None) -> bytes:
    """Return a hook's settings with these rules in place of its old ones, and this ``data``; all others stay."""
    stored = msgspec.json.decode(settings, type=JsonObject) | dict(data or {})
    for name, rule in (("signature", inbound.signature), ("dedupe", inbound.dedupe)):
        stored.pop(name, None)
        if rule is not None:
            stored[name] = msgspec.to_builtins(rule)
    return msgspec.json.encode(stored)


def checked_signature(rule: SignatureRule, limits: InboundLimits) -> SignatureRule:
    """Return a usable rule or raise; its secrets are checked by who seals them."""
    if rule.scheme not in SCHEMES:
        _refuse("signature.scheme", f"The scheme is one of {', '.join(SCHEMES)}.")
    if not 1 <= rule.tolerance_seconds <= limits.tolerance:
        _refuse("signature.toleranceSeconds", f"A call may be 1 to {limits.tolerance} seconds old.")
    if rule.scheme not in TIMED and rule.tolerance_seconds != _BARE.tolerance_seconds:
        _refuse("signature.toleranceSeconds", "This scheme signs no time, so there is none to hold a call against.")
    if rule.scheme != "hmac":
        if (rule.header, rule.algorithm, rule.encoding, rule.prefix) != ("", "sha256", "hex", ""):
            _refuse("signature.scheme", "Only the scheme hmac takes header, algorithm, encoding and prefix.")
        return rule
    if not _PREFIX.fullmatch(rule.prefix) or len(rule.prefix) > _MOST_PREFIX:
        _refuse("signature.prefix", f"A prefix has at most {_MOST_PREFIX} visible ASCII characters.")
    return msgspec.structs.replace(rule, header=_checked_header("signature.header", rule.header))


def checked_dedupe(rule: DedupeRule, limits: InboundLimits) -> DedupeRule:
    """Return a usable rule or raise."""
    if not 1 <= rule.window_seconds <= limits.window:
        _refuse("dedupe.windowSeconds", f"Events are remembered for 1 to {limits.window} seconds.")
    if bool(rule.header) == bool(rule.expression):
        _refuse("dedupe", "Name either the header or the expression that gives the id of an event.")
    if rule.header:
        return msgspec.structs.replace(rule, header=_checked_header("dedupe.header", rule.header))
    if len(rule.expression) > MOST_EXPRESSION_CHARACTERS:
        _refuse("dedupe.expression", f"The expression has at most {MOST_EXPRESSION_CHARACTERS} characters.")
    try:
        template = compile_template(rule.expression)
    except ExpressionError as error:
        _refuse("dedupe.expression", f"The expression cannot be read: {error}")
    _check_reads(template)
    return rule


def _check_reads(template: Template) -> None:
    """Hold an expression to the call: nothing else is there when it is evaluated."""
    name = "dedupe.expression"
    if template.unknown_functions:
        _refuse(name, f"There is no function {min(template.unknown_functions)}().")
    modules = {reference.module_id for reference in template.references}
    if len(modules) != 1 or None in modules:
        _refuse(name, "The expression reads items of the webhook itself and of nothing else, for example {{1.id}}.")


def _checked_header(field: str, name: str) -> str:
    if not _HEADER.fullmatch(name):
        _refuse(field, "Name the header, for example X-Signature.")
    return name.lower()


def _refuse(field: str, sentence: str) -> NoReturn:
    raise InvalidInput(sentence, fields={field: sentence})
