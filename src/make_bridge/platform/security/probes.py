"""Known attack strings in what clients send: told to the operator, never a reason to refuse.

Words of attacks are ordinary words elsewhere ("Please update your address", "Select Committee", "Drop-off point"), and
attackers write them in ways no list knows. What keeps attacks out are parameters, typed shapes and row-level policies;
this only shows operators that somebody is trying the doors. Asked by ``faces.edge.screening`` when it is switched on.

Every pattern is one of RE2's, so the cost grows with the length of the text and nothing else.
"""

import unicodedata
from typing import Final
from urllib.parse import unquote_to_bytes

import re2

MOST_BYTES: Final = 64 * 1024
_PATTERNS: Final = (
    ("sql", r"\bunion\b[\s(]+(?:all[\s(]+)?select\b"),
    ("sql", r"""['"]\s*(?:or|and)\s+['"]?\w+['"]?\s*(?:=|like\b)"""),
    ("sql", r"['\"]\s*\)?\s*;\s*(?:drop|truncate|alter|delete|insert|update|create|copy|exec)\b"),
    ("sql", r";\s*(?:drop|truncate|alter)\s+(?:table|database|schema|user|role|view)\b"),
    ("sql", r"\b(?:pg_sleep|benchmark|waitfor\s+delay|xp_cmdshell|load_file|extractvalue)\b\s*[('\"]"),
    ("sql", r"\b(?:information_schema|pg_catalog|sqlite_master)\s*\."),
    ("sql", r"\w'\s*(?:--|#|/\*)"),
    ("path", r"(?:\.\.[/\\]){2}"),
    ("path", r"/etc/(?:passwd|shadow)\b|\bboot\.ini\b|/proc/self/"),
    ("script", r"<\s*script[\s/>]|<[a-z]+[^>]{0,200}\son(?:error|load|click|focus|toggle)\s*="),
    ("script", r"\bjavascript\s*:"),
    ("template", r"\$\{\s*(?:jndi|env|sys|lower|java)\s*:"),
    ("template", r"__(?:class|globals|subclasses|builtins|proto)__|\bconstructor\s*[.(\[]\s*['\"]?constructor"),
    ("command", r"(?:[;|&`]|\$\()\s*(?:cat\s+[/~.]|(?:curl|wget)\s+[-h/]|nc\s+-|ba?sh\s+-|whoami\b|powershell\b)"),
    ("address", r"\b169\.254\.169\.254\b|\bmetadata\.google\.internal\b"),
    ("address", r"\b(?:file|gopher|dict|ldaps?|netdoc|phar)://"),
)
KINDS: Final = tuple(dict.fromkeys(kind for kind, _ in _PATTERNS))


def _compiled() -> "re2.Set":
    options = re2.Options()
    options.case_sensitive = False
    options.never_nl = False
    patterns = re2.Set.SearchSet(options)
    for _, pattern in _PATTERNS:
        patterns.Add(pattern)
    patterns.Compile()
    return patterns


_SET: Final = _compiled()


def kinds_of(text: bytes) -> list[str]:
    """Return the kinds of attack whose words are in a text, its first 64 KiB, plain or percent-encoded."""
    piece = text[:MOST_BYTES]
    found = set(_matches(piece))
    if b"%" in piece:
        found.update(_matches(unquote_to_bytes(piece)))
    return [kind for kind in KINDS if kind in found]


def _matches(raw: bytes) -> list[str]:
    plain = unicodedata.normalize("NFKC", raw.decode("utf-8", "replace"))
    return [_PATTERNS[number][0] for number in _SET.Match(plain) or ()]
