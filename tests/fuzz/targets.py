"""What is fuzzed: functions of bytes, as Atheris and libFuzzer call them, that fail only where the program is wrong.

A target takes any bytes, does with them what a stranger's blueprint, body, token or webhook would make the program do,
and lets the errors that are meant for it pass. Whatever else comes out is a fault: another exception, a tree that does
not survive printing, an error without its place, an evaluation that takes a second, something accepted that nobody
signed.
"""

import hmac
import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NoReturn, TypeAlias
from zoneinfo import ZoneInfo

from fuzz.grammar import template_from
from make_bridge.domain.scenarios.signatures import Scheme, SignatureRefused, SignatureRule, verify
from make_bridge.engine.blueprint.findings import BlueprintInvalid
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.iml import Budget, ExpressionError, ExpressionSyntaxError, Template, compile_template, limits
from make_bridge.engine.iml.parser import parse_template
from make_bridge.engine.iml.printer import print_template
from make_bridge.engine.iml.reader import Reader
from make_bridge.engine.values import ERASE, IGNORE, Value, coerce, to_json_text
from make_bridge.kernel import json as strict_json
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security import portal_tokens
from make_bridge.platform.security.portal_tokens import ExpectedClaims, PortalKey, TokenRejected

Target: TypeAlias = Callable[[bytes], None]

_MOST_SECONDS: Final = 1.0
_FIELD_TYPES: Final = ("array", "boolean", "collection", "date", "number", "uinteger", "text", "buffer", "time", "json")


TOKEN_SECRET: Final = "a secret of thirty-two characters"
TOKEN_NOW: Final = datetime(2026, 3, 31, 10, 20, 30, tzinfo=UTC)
TOKEN_KEY: Final = PortalKey(
    key_id="fuzzed-key",
    organization_id=OrganizationId(1024),
    algorithm="HS256",
    material=portal_tokens.shared_key(TOKEN_SECRET),
)
TOKEN_HEAD: Final = urlsafe_b64encode(b'{"alg":"HS256","kid":"fuzzed-key"}').rstrip(b"=")
WEBHOOK_KEY: Final = b"a key of webhooks, long enough"
WEBHOOK_NOW: Final = 1_774_952_430.0
SIGNED_HEADERS: Final[dict[Scheme, tuple[bytes, ...]]] = {
    "standard-webhooks": (b"webhook-id", b"webhook-timestamp", b"webhook-signature"),
    "stripe": (b"stripe-signature",),
    "github": (b"x-hub-signature-256",),
    "shopify": (b"x-shopify-hmac-sha256",),
    "hmac": (b"x-signature",),
}


class Fault(AssertionError):
    """The program did what it must not do."""


@dataclass
class FuzzScope:
    """A scope with something of every kind; `t` and `u` are the texts that the input carries as data."""

    t: str = ""
    u: str = ""
    now: datetime = datetime(2026, 3, 31, 10, 20, 30, 400_000, tzinfo=UTC)
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Australia/Lord_Howe"))
    budget: Budget = field(default_factory=Budget)
    execution_id: str = "019acafe0001000000000000000000ff"

    def bundle(self, module_id: int) -> Value:
        if module_id > 3:
            return None
        return {
            "t": self.t,
            "u": self.u,
            "a": [1, "b", None, 2.5, True, [self.t, [self.u]], {"k": self.t, "n": 3}, self.now],
            "c": {"k": self.u, self.t: 1, "d": {"e": [1, 2, 3]}},
            "b": self.t.encode("utf-16-le", "surrogatepass"),
            "d": self.now,
            "n": -12.5,
            "rows": [{"k": "x", "n": 2}, {"k": self.t, "n": 1}, {"n": None}, self.u],
            "ignored": IGNORE,
            "erased": ERASE,
        }

    def variable(self, name: str) -> Value:
        return {"name": name, "t": self.t}

    def random(self) -> float:
        return 0.618034

    def uuid(self) -> str:
        return "6f1c7d1e-5f6b-4c58-9d3f-1f6f3e0a2b4c"


def as_text(data: bytes) -> str:
    """Read any bytes as text; what is no UTF-8 becomes half a surrogate pair, which JSON could carry in too."""
    return data.decode("utf-8", "surrogateescape")


def read_words(data: bytes) -> None:
    """Read a text word by word, without a grammar above."""
    text = as_text(data)
    reader = Reader(text, -2, limits.EXPRESSION)
    with suppress(ExpressionSyntaxError):
        while not reader.ended():
            before = reader.at
            reader.skip_space()
            if reader.ended():
                break
            if not (reader.operator() or reader.call() or reader.takes(";") or reader.takes(")") or reader.takes("(")):
                reader.leaf()
            if not before < reader.at <= len(text):
                raise Fault(f"The reader went from {before} to {reader.at} of {len(text)}.")


def parse(data: bytes) -> None:
    """Parse a template, print it and parse that: the trees must be equal."""
    text = as_text(data)
    try:
        parts = parse_template(text)
    except ExpressionSyntaxError as error:
        _check_place(error, text)
        return
    printed = print_template(parts)
    if parse_template(printed) != parts:
        raise Fault(f"The template changes when it is printed: {printed!r}")


def evaluate(data: bytes) -> None:
    """Evaluate a template; after NUL bytes the input may carry two texts of data."""
    text, _, rest = as_text(data).partition("\0")
    first, _, second = rest.partition("\0")
    template = _compiled(text)
    if template is None:
        return
    started = time.thread_time()
    try:
        value = template.evaluate(FuzzScope(t=first, u=second))
        to_json_text(value)
        _check_verbatim(template, value, first)
        for field_type in _FIELD_TYPES:
            with suppress(ExpressionError):
                coerce(value, field_type, ZoneInfo("Asia/Kathmandu"))
    except ExpressionError as error:
        # What `to_json_text` says of a buffer has no place: it is not part of the template.
        if error.position is not None:
            _check_place(error, text)
    if time.thread_time() - started > _MOST_SECONDS:
        raise Fault(f"The evaluation took more than {_MOST_SECONDS} s.")


def evaluate_grown(data: bytes) -> None:
    """Evaluate the template that the bytes describe; it must compile, and its data are the last bytes."""
    template = template_from(data)
    print_template(parse_template(template))
    evaluate(template.encode() + b"\0" + data[-20:] + b"\0" + data[:20])


def _compiled(text: str) -> Template | None:
    try:
        return compile_template(text)
    except ExpressionSyntaxError as error:
        _check_place(error, text)
        return None


def _check_verbatim(template: Template, value: Value, data: str) -> None:
    """Data is never evaluated: a reference alone gives it as it came."""
    if template.text == "{{1.t}}" and value != data:
        raise Fault("Data did not come out as it went in.")


def _check_place(error: ExpressionError, text: str) -> None:
    if error.position is None or not 0 <= error.position <= len(text):
        raise Fault(f"The error has no place in the text: {error}")


def import_blueprint(data: bytes) -> None:
    """Import a blueprint."""
    with suppress(BlueprintInvalid):
        parse_blueprint(data)


def read_json(data: bytes) -> None:
    """Read strict JSON: what is accepted is what every other reader makes of it, and no key stands twice."""
    try:
        value = strict_json.loads(data)
    except InvalidInput:
        return

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise Fault("A key that stands twice was let in.")
        return dict(pairs)

    def never(word: str) -> NoReturn:
        raise Fault(f"{word} was let in.")

    if json.loads(data, object_pairs_hook=once, parse_constant=never) != value:
        raise Fault("Another reader sees something else.")


def read_token(data: bytes) -> None:
    """Verify a portal token: as it came, and signed over whatever payload."""
    _verify_token(data.decode("latin-1"))
    payload = urlsafe_b64encode(data[:1500]).rstrip(b"=")
    signed = TOKEN_HEAD + b"." + payload
    _verify_token(f"{signed.decode()}.{_signature_of(signed).decode()}")


def _verify_token(compact: str) -> None:
    try:
        claims = portal_tokens.verify_token(portal_tokens.read_token(compact), TOKEN_KEY, TOKEN_NOW, ExpectedClaims())
    except TokenRejected:
        return
    signed, _, signature = compact.encode().rpartition(b".")
    if _signature_of(signed) != signature:
        raise Fault("A token was accepted that nobody signed.")
    if not claims.subject or not (claims.expires_at - TOKEN_NOW).total_seconds() + portal_tokens.LEEWAY > 0:
        raise Fault("A token was accepted that speaks for nobody, or has ended.")


def _signature_of(signed: bytes) -> bytes:
    return urlsafe_b64encode(hmac.digest(TOKEN_SECRET.encode(), signed, "sha256")).rstrip(b"=")


def check_signature(data: bytes) -> None:
    """Verify a webhook's signature under each scheme; the pieces of the input are headers, and the last the body."""
    *values, body = data.split(b"\0")
    for scheme, names in SIGNED_HEADERS.items():
        headers = list(zip(names, values, strict=False))
        rule = SignatureRule(scheme=scheme, header="x-signature" if scheme == "hmac" else "")
        with suppress(SignatureRefused):
            verify(rule, [WEBHOOK_KEY], headers, body, WEBHOOK_NOW)
            _check_accepted(scheme, dict(headers), body)


def _check_accepted(scheme: Scheme, headers: dict[bytes, bytes], body: bytes) -> None:
    """Hold an accepted call against the formula of its scheme, written once more."""
    last = headers[SIGNED_HEADERS[scheme][-1]]
    match scheme:
        case "standard-webhooks":
            signed = headers[b"webhook-id"].strip() + b"." + headers[b"webhook-timestamp"].strip() + b"." + body
            expected = b64encode(hmac.digest(WEBHOOK_KEY, signed, "sha256"))
        case "stripe":
            [moment] = [part.strip()[2:] for part in last.split(b",") if part.strip().startswith(b"t=")]
            expected = hmac.digest(WEBHOOK_KEY, moment + b"." + body, "sha256").hex().encode()
        case "shopify":
            expected = b64encode(hmac.digest(WEBHOOK_KEY, body, "sha256"))
        case _:
            expected, last = hmac.digest(WEBHOOK_KEY, body, "sha256").hex().encode(), last.lower()
    if expected not in last:
        raise Fault(f"A call was accepted that nobody signed ({scheme}).")


TARGETS: Final[dict[str, Target]] = {
    "lexer": read_words,
    "parser": parse,
    "evaluator": evaluate,
    "grammar": evaluate_grown,
    "importer": import_blueprint,
    "json": read_json,
    "token": read_token,
    "signature": check_signature,
}
