"""Strict JSON: what is taken, what is refused and where, and that it agrees with a slow, plain reading."""

import json
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from make_bridge.kernel.errors import TooLarge
from make_bridge.kernel.json import InvalidJson, dumps, loads


def refusal(raw, **options) -> InvalidJson:
    with pytest.raises(InvalidJson) as caught:
        loads(raw, **options)
    return caught.value


def test_plain_values_are_read():
    raw = b' {"text":"\xc3\x84 \\n \\ud83d\\ude00","list":[1,-2.5,1e3,true,false,null],"empty":{}}\r\n'
    assert loads(raw) == {"text": "Ä \n 😀", "list": [1, -2.5, 1000.0, True, False, None], "empty": {}}


def test_text_and_bytes_give_the_same_value():
    assert loads('{"ä":1}') == loads('{"ä":1}'.encode()) == {"ä": 1}


@pytest.mark.parametrize(
    ("raw", "position"),
    [
        (b'{"a":1,"a":2}', 7),
        (b'{"a":1,"\\u0061":2}', 7),
        (b'{"x":{"a":1,"b":[{"c":1,"c":1}]}}', 24),
        (b'{"a":{"b":1},"c":{"b":1},"a":1}', 25),
        (b'{"sub":"victim","sub":"attacker"}', 16),
        (b'{"":1,"":2}', 6),
        (b'{"a":[],"a":"{"}', 8),
        (b'{"x\\u0022y":1,"x\\"y":2}', 14),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_position(raw, position):
    error = refusal(raw)
    assert error.position == position
    assert "twice" in error.message


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":"\\u0022\\u0022","a":1}',  # the dropped pair's quotes are escapes
        b'{"a":1,"a":"\\u0022\\u0022"}',  # the kept pair has two escaped quotes more
        b'{"a":"1\\\\u0022","a":"\\u0022"}',  # looks like an escape, is none
        b'{"a":"\\\\\\u0022","a":"\\\\u0022"}',
        b'{"a":"\\"","a":"\\""}',
    ],
)
def test_escaped_quotes_cannot_hide_a_key_that_stands_twice(raw):
    assert "twice" in refusal(raw).message


@pytest.mark.parametrize(
    "raw",
    [b'{"a":{"a":1},"b":{"a":1}}', b'[{"a":1},{"a":1}]', b'{"a":"a","b":"\\u0022\\\\u0022\\"{["}'],
)
def test_equal_keys_of_different_objects_are_fine(raw):
    assert loads(raw) == json.loads(raw)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":', b'["\\"]",'])
def test_a_hundred_thousand_levels_are_refused_and_nothing_crashes(opening):
    assert "deeper than 64" in refusal(opening * 100_000).message


def test_depth_is_counted_exactly():
    assert loads(b"[" * 64 + b"]" * 64)
    assert loads(b'{"a":' * 10 + b"[]" + b"}" * 10, max_depth=11)
    assert refusal(b"[" * 65 + b"]" * 65).position == 64
    assert refusal(b'{"a":' * 10 + b"[]" + b"}" * 10, max_depth=10).position == 50
    assert loads(b"1", max_depth=0) == 1
    assert refusal(b"[]", max_depth=0).position == 0


def test_many_shallow_values_are_not_deep():
    assert loads(b"[" + b",".join([b"{}"] * 1000) + b"]", max_depth=2) == [{}] * 1000


@pytest.mark.parametrize(
    "string", [b'"]"', b'"}"', b'"\\"]"', b'"\\\\","]"', b'"\\"]\\""', b'"]]","\\""', b'"\\\\\\"]"']
)
def test_brackets_in_strings_cannot_hide_depth(string):
    raw = (b"[" + string + b",") * 65 + b"1" + b"]" * 65
    assert "deeper than 64" in refusal(raw).message
    assert loads(raw, max_depth=65) == json.loads(raw)


@pytest.mark.parametrize("string", [b'"["', b'"{[["', b'"\\"["', b'"\\\\","["', b'"[","\\\\\\"{"'])
def test_brackets_in_strings_are_not_depth(string):
    raw = b"[" + b",".join([string] * 500) + b"]"
    assert loads(raw, max_depth=1) == json.loads(raw)


@pytest.mark.parametrize(
    ("raw", "position"),
    [
        (b"[NaN]", 1),
        (b"Infinity", 0),
        (b"-Infinity", 1),
        (b"[1e400]", 1),
        (b'{"a":-1e999}', 5),
        (b"18446744073709551616", 0),
        (b"-9223372036854775809", 0),
        (b'{"n":[0,10000000000000000000000]}', 8),
        (b"[" + b"9" * 400 + b"]", 1),
        (b"9" * 5000, 0),
    ],
)
def test_numbers_nobody_can_hold_are_refused_with_their_position(raw, position):
    assert refusal(raw).position == position


@pytest.mark.parametrize(
    "raw", [b"18446744073709551615", b"-9223372036854775808", b"0.1234567890123456789012345", b'"' + b"9" * 40 + b'"']
)
def test_long_numbers_that_fit_and_digits_in_strings_are_fine(raw):
    assert loads(raw) == json.loads(raw)


@pytest.mark.parametrize("start", range(20))
def test_a_large_number_is_seen_wherever_it_stands(start):
    assert "64 bits" in refusal(b" " * start + b"-9999999999999999999").message


@pytest.mark.parametrize(
    ("raw", "position"),
    [
        (b'"\xff"', 1),
        (b'["fine","\xed\xa0\x80"]', 9),
        (b'{"\xc3":1}', 2),
        (b'"\xf4\x90\x80\x80"', 1),
        (b'"\xc0\xaf"', 1),
    ],
)
def test_what_is_not_utf8_is_refused_with_its_position(raw, position):
    assert refusal(raw).position == position


@pytest.mark.parametrize(
    ("raw", "position"),
    [
        (b'"\\ud800"', 1),
        (b'{"key":"\\ud83dx"}', 8),
        (b'"\\ud800\\u0041"', 1),
        (b'"\\udc00"', 1),
        (b'{"\\uDBFF":1}', 2),
        (b'"\\\\\\ud800"', 3),
        ('"\ud800"', 1),
    ],
)
def test_half_a_surrogate_pair_is_refused_with_its_position(raw, position):
    error = refusal(raw)
    assert error.position == position
    assert "half a surrogate pair" in error.message


def test_a_byte_order_mark_is_taken_only_when_asked():
    assert refusal(b"\xef\xbb\xbf{}").position == 0
    assert refusal("\ufeff{}").position == 0
    assert loads(b"\xef\xbb\xbf{}", allow_bom=True) == {}
    assert "invalid character" in refusal(b"\xef\xbb\xbf\xef\xbb\xbf{}", allow_bom=True).message


@pytest.mark.parametrize(("raw", "position"), [(b'{"a":"x\\u0000"}', 7), (b'{"\\u0000":1}', 2), (b'"\\\\\\u0000"', 3)])
def test_nul_is_refused_unless_allowed(raw, position):
    error = refusal(raw)
    assert error.position == position
    assert "NUL" in error.message
    assert loads(raw, allow_nul=True) == json.loads(raw)


def test_what_only_looks_like_nul_is_fine():
    assert loads(b'"\\\\u0000"') == "\\u0000"


@pytest.mark.parametrize("octet", range(0x20))
def test_bare_control_characters_are_refused(octet):
    assert refusal(b'"' + bytes([octet]) + b'"', allow_nul=True).position == 1


@pytest.mark.parametrize(
    "raw",
    [b"", b" ", b"{", b'{"a"', b'"abc', b"[1,]", b'{"a":1,}', b"{} x", b"01", b"+1", b".5", b"1.", b"{'a':1}", b"{1:2}",
     b"/**/1", b"nul", b"\x0b1", b"1_0", b"[1 2]", b"\xc2\xa01"],
)  # fmt: skip
def test_malformed_text_is_refused_with_a_sentence(raw):
    error = refusal(raw)
    assert error.position in range(len(raw) + 1)
    assert error.message.startswith(f"The JSON text is not valid at byte {error.position}: ")
    assert error.message.endswith(".")


def test_a_text_past_the_limit_is_refused_before_it_is_read():
    assert loads(b'"1234"', max_bytes=6) == "1234"
    with pytest.raises(TooLarge):
        loads(b'"12345"', max_bytes=6)
    with pytest.raises(TooLarge):
        loads('"ää"', max_bytes=5)


def test_the_place_of_an_error_in_a_very_large_text_may_be_unknown():
    assert refusal(b'{"a":[' + b"1," * 200_000 + b'1],"a":1}').position is None
    assert refusal(b'{"a":0,"a":[' + b"1," * 200_000 + b"1]}").position == 7


def test_dumps_gives_equal_bytes_for_equal_values():
    assert dumps({"b": 1, "a": {"d": [1.5, None], "c": "ä"}}) == '{"a":{"c":"ä","d":[1.5,null]},"b":1}'.encode()
    assert dumps({"a": 1, "b": 2}) == dumps({"b": 2, "a": 1})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=30,
)  # fmt: skip


@given(json_values)
def test_every_value_survives_writing_and_reading(value):
    read = loads(dumps(value), allow_nul=True)
    assert dumps(read) == dumps(value)
    assert loads(json.dumps(value), allow_nul=True) == read


tokens = st.sampled_from(
    [b"{", b"}", b"[", b"]", b":", b",", b'"', b'"a"', b'"b"', b'"\\u0061"', b'"\\""', b'"\\u0022"', b'"\\\\"', b'"]"',
     b'"\\u0000"', b'"\\ud800"', b'"\\ud83d\\ude00"', b"1", b"-0", b"1e400", b"99999999999999999999", b"2.5", b"true",
     b"null", b"NaN", b" ", b"\\", b"\\u0022", b"\xff", b'{"a":1}', b'{"a":', b'"a":', b"[[", b"]]", b'"\xc3\xa4"'],
)  # fmt: skip


@settings(max_examples=600)
@given(st.lists(tokens, max_size=14).map(b"".join))
@example(b'{"a":"\\u0022","a":1}')
@example(b'{"a":1,"a":"\\"\\""}')
def test_loads_agrees_with_a_slow_and_plain_reading(raw):
    try:
        expected = _read_plainly(raw, max_depth=3)
    except (ValueError, RecursionError):
        refusal(raw, max_depth=3)
    else:
        assert repr(loads(raw, max_depth=3)) == repr(expected)


def _read_plainly(raw, max_depth):
    """Read with the standard library and refuse by walking: slow, and different in every line."""

    def pairs(items):
        if len(dict(items)) != len(items):
            raise ValueError("twice")
        return dict(items)

    def whole(digits):
        if not -(2**63) <= int(digits) < 2**64:
            raise ValueError("64 bits")
        return int(digits)

    def real(digits):
        if math.isinf(float(digits)):
            raise ValueError("infinite")
        return float(digits)

    def constant(name):
        raise ValueError(name)

    value = json.loads(
        raw.decode(), object_pairs_hook=pairs, parse_int=whole, parse_float=real, parse_constant=constant
    )
    _walk(value, max_depth)
    return value


def _walk(value, levels):
    if isinstance(value, str):
        value.encode()
        if "\0" in value:
            raise ValueError("NUL")
    elif isinstance(value, dict | list):
        if levels == 0:
            raise ValueError("deep")
        for item in value.items() if isinstance(value, dict) else value:
            for part in item if isinstance(item, tuple) else (item,):
                _walk(part, levels - 1)
