"""What the mutator begins with: the catalogue's examples, small blueprints, and the collected ones if they are here.

The words are what a mutator would need long to invent: names of functions, keywords, signs that open and close.
"""

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fuzz.targets import TOKEN_KEY, TOKEN_NOW, TOKEN_SECRET, WEBHOOK_KEY, WEBHOOK_NOW
from make_bridge.engine.iml.functions import FUNCTIONS
from make_bridge.engine.iml.syntax import KEYWORDS
from make_bridge.platform.security.portal_tokens import mint_portal_token

_CORPUS: Final = Path(__file__).resolve().parents[3] / "shared" / "corpus"
_MOST_TEMPLATES: Final = 400
_LARGEST_BLUEPRINT: Final = 20_000

_TEMPLATES: Final = (
    "plain text",
    "{{1}}",
    "{{1.t}}\0data {{1.t}} \0more",
    "Hello {{1.c.`x y`.d[2].e[].f}}, total {{1.n * 2 - -3 % 4}}",
    '{{if(1.t = "x" & 1.n > 2 | false; "a""b"; ignore)}}',
    '{{replace(1.t; "/(a+)(?<n>b)?[^c-f]\\d{2,3}/gi"; "$1$&$<n>")}}\0aab12\0x',
    '{{formatDate(addMonths(1.d; -1); "dddd [of] MMMM Do YYYY, HH:mm:ss.SSS Z X"; "Europe/Prague")}}',
    '{{parseDate(1.t; "DD.MM.YYYY HH:mm ZZ")}}\0' + "28.12.2026 10:00 +0200\0",
    '{{sort(map(1.rows; "k"); "desc ci")}} {{join(flatten(1.a); ", ")}} {{toString(1.c)}}',
    "{{1.a[6].k}}{{var.input.name}}{{`3`}}{{random * 300}}{{uuid}}{{now}}",
    '{{toBinary(base64(sha256(1.t; "hex"; "key")); "base64")}}',
    '{{sum(1; 2; 1.n; 1e3)}}{{formatNumber(1.n; 2; ","; ".")}}{{parseNumber(1.t)}}\0' + "1 234,5\0",
)
_BLUEPRINTS: Final = (
    {"name": "x", "flow": [{"id": 1, "module": "gateway:CustomWebHook", "version": 1, "mapper": {}}], "metadata": {}},
    {
        "flow": [
            {"id": 1, "module": "builtin:BasicRouter", "mapper": None, "routes": [{"flow": [{"id": 2}]}]},
            {
                "id": 3,
                "module": "util:SetVariables",
                "filter": {"name": "f", "conditions": [[{"a": "{{1.a}}", "o": "text:equal", "b": "x"}]]},
                "onerror": [{"id": 4, "module": "builtin:Ignore"}],
            },
        ],
        "metadata": {"scenario": {"maxErrors": "3", "dlq": 1, "slots": None}},
    },
    {"response": {"blueprint": json.dumps({"flow": [], "name": "inside"})}},
    {"subflows": [{"flow": [{"id": "7", "module": "json:ParseJSON"}]}]},
)

WORDS: Final = tuple(
    word.encode()
    for word in (
        *(f"{name}(" for name in FUNCTIONS),
        *sorted(KEYWORDS),
        *("{{", "}}", '"', '""', "`", "'", ";", ")", "(", "[", "]", "[]", "[0]", "[1]", ".", "1.", "var.", "\0"),
        *("+", "-", "*", "/", "%", "=", "!=", "<=", ">=", "&", "|", ",", " and ", " or ", " mod ", "\n"),
        *("1.t", "1.u", "1.a", "1.c", "1.b", "1.d", "1.n", "1.rows", "1.ignored", "9999-12-31", "0001-01-01"),
        *(
            "1e308",
            "9007199254740993",
            "0x1f",
            "/(.*)*x/g",
            "$&",
            "$1",
            "YYYY-MM-DD",
            "\U0001f600",
            "é",
        ),
        *('"flow":', '"module":', '"mapper":', '"routes":', '"onerror":', '"conditions":', '"id":', "null", "[[", "{"),
    )
)


def seeds_of(target: str) -> list[bytes]:
    """Return the first inputs for a target."""
    if target == "importer":
        return [json.dumps(blueprint).encode() for blueprint in _BLUEPRINTS] + _collected_blueprints()
    if target in _OTHERS:
        return _OTHERS[target]()
    if target == "grammar":
        return [hashlib.sha512(bytes([number])).digest() * 2 for number in range(64)]
    examples = ["{{" + example.expression + "}}" for function in FUNCTIONS.values() for example in function.examples]
    templates = [*_TEMPLATES, *examples, *_collected_templates()]
    if target == "lexer":
        templates = [text.replace("{{", "").replace("}}", ";") for text in templates]
    return [text.encode("utf-8", "surrogatepass") for text in templates]


def _json_texts() -> list[bytes]:
    texts = [json.dumps(blueprint) for blueprint in _BLUEPRINTS]
    odd = [
        '{"a":1,"a":2}',
        '{"a":1,"\\u0061":2}',
        "[NaN]",
        "[1e400]",
        '"\\ud800"',
        "[" * 70,
        '{"a":"\\u0000"}',
        "01",
        "-0",
    ]
    return [text.encode() for text in [*texts, *odd, "18446744073709551616", '["\\"a\\"",{"b\\\\":[]}]', "\ufeff{}"]]


def _tokens() -> list[bytes]:
    minted = mint_portal_token(TOKEN_KEY.key_id, TOKEN_SECRET, "dana", TOKEN_NOW)
    payload = {"sub": "dana", "jti": "0123456789abcdef", "exp": int(TOKEN_NOW.timestamp()) + 60}
    odd = [payload | {"permissions": ["*"]}, payload | {"exp": 1e30}, payload | {"sub": "*", "nbf": True}, [payload], 7]
    return [
        minted.encode(),
        minted.replace(".", "..").encode(),
        *(json.dumps(each).encode() for each in [payload, *odd]),
    ]


def _signed_calls() -> list[bytes]:
    body, moment = b'{"id":7}', b"%d" % WEBHOOK_NOW
    plain = hmac.digest(WEBHOOK_KEY, body, "sha256")
    standard = b64encode(hmac.digest(WEBHOOK_KEY, b"msg_1." + moment + b"." + body, "sha256"))
    stripe = hmac.digest(WEBHOOK_KEY, moment + b"." + body, "sha256").hex().encode()
    return [
        b"\0".join((b"msg_1", moment, b"v1," + standard, body)),
        b"\0".join((b"t=" + moment + b",v1=" + stripe, body)),
        b"\0".join((b"sha256=" + plain.hex().encode(), body)),
        b"\0".join((b64encode(plain), body)),
        b"\0".join((plain.hex().upper().encode(), body)),
    ]


_OTHERS: Final[dict[str, Callable[[], list[bytes]]]] = {
    "json": _json_texts,
    "token": _tokens,
    "signature": _signed_calls,
}


def _collected_blueprints() -> list[bytes]:
    files = (path.read_bytes() for path in sorted(_CORPUS.glob("*/*.json")))
    return [data for data in files if len(data) <= _LARGEST_BLUEPRINT]


def _collected_templates() -> list[str]:
    found: dict[str, None] = {}
    waiting: list[object] = [json.loads(path.read_text("utf-8-sig")) for path in sorted(_CORPUS.glob("*/*.json"))]
    while waiting and len(found) < _MOST_TEMPLATES:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str) and "{{" in item:
            found[item] = None
    return list(found)
