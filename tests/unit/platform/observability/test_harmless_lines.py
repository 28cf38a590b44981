"""Whatever is logged becomes one harmless line: for any value, of any shape, from anybody."""

import enum
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from make_bridge.platform.observability.logs import harmless, make_harmless
from make_bridge.platform.observability.sinks.outlet import line_of

LONGEST = 300 * 1024
FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")
NESTED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.text(st.sampled_from('\r\n\x1b\x9b\x00\x7f\u2028\u202e\ud800\udfff{}"\\%$'))
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.binary(), inner) | st.tuples(inner),
    max_leaves=30,
)


def line(**facts):
    event = {"event": "happened", "level": "info", "timestamp": "2026-11-22T10:00:00Z", **facts}
    return line_of(make_harmless(None, "info", event), "node-1")


def texts(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from (key, *texts(item))
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


@given(NESTED)
@example("\ud800")
@example({"\r\n": "\x1b[2J"})
@example(float("nan"))
@example(10**6000)
@example(-(2**70))
def test_any_value_is_one_line_of_json_without_a_control_character(value):
    raw = line(value=value)
    assert b"\n" not in raw
    assert b"\r" not in raw
    told = json.loads(raw, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (told["event"], told["node"]) == ("happened", "node-1")
    assert not [text for text in texts(told) if FORBIDDEN.search(text)]
    assert raw.startswith(b'{"timestamp":')


@given(st.text(), st.text())
def test_an_event_s_own_words_cannot_begin_another_line_or_member(event, value):
    told = json.loads(line(event=event + '","level":"forged', value=value))
    assert told["level"] == "info"


class Unshown:
    def __repr__(self):
        raise RuntimeError("no")


class Colour(enum.StrEnum):
    RED = "red\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(Unshown(), "a Unshown that cannot be shown"), (Colour.RED, "red\\n"), (object, "<class 'object'>")],
)
def test_what_shows_itself_badly_is_shown_anyway(value, shown):
    assert json.loads(line(value=value))["value"] == shown


@pytest.mark.parametrize(
    "huge",
    [
        "x" * 10_000_000,
        ["x" * 10_000] * 10_000,
        {str(number): ["x" * 5000] * 100 for number in range(100)},
        [[[["x" * 8000] * 50] * 50] * 50] * 50,
        [[[[0] * 50] * 50] * 50] * 50,
    ],
    ids=["text", "list", "mapping", "deep", "numbers"],
)
def test_a_line_has_a_largest_size_however_large_its_values_are(huge):
    raw = line_of(make_harmless(None, "", {"value": huge, "other": huge, "event": "happened", "level": "info"}), "one")
    assert len(raw) <= LONGEST
    told = json.loads(raw)
    assert (told["event"], told["level"]) == ("happened", "info")


SECRET = "hunter2hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"https://user:{SECRET}@host.example/path",
        f"GET /oauth/callback?state=1&code={SECRET}",
        f"POST /hook/{SECRET} failed",
        f"http://bridge.example/hook/{SECRET}?a=1",
        f"host=db user=app password={SECRET} dbname=x",
        f'{{"password":"{SECRET}"}}',
        f'{{"client_secret": "{SECRET}", "a": 1}}',
        f"{{'access_token': '{SECRET}'}}",
        f"access_token={SECRET}&a=1",
        f"api_key: {SECRET}",
        f"apiKey={SECRET}",
        f"ApiKey {SECRET}",
        f"Basic {SECRET}",
        f"Token {SECRET}",
        f"secret_access_key={SECRET}",
    ],
)
def test_what_looks_like_a_credential_inside_a_text_is_cut_out(text):
    raw = line(event=text, value=text, nested=[{"a": text}]).decode()
    assert SECRET not in raw
    assert SECRET not in harmless(text)


@pytest.mark.parametrize(
    "text", ["token expired", "Unexpected token: }", "the secret was rotated", "7 tokens left", "/hooks/list"]
)
def test_words_about_credentials_stay_readable(text):
    assert json.loads(line(value=text))["value"] == text
