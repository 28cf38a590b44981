"""What an audit row takes of what it is shown: declared fields only, and never more than its bound."""

from dataclasses import dataclass, field

import msgspec
import pytest

from make_bridge.platform.audit.record import MOST_BYTES, bounded, declared


@dataclass(frozen=True)
class Thing:
    name: str = "x"
    secret: str = field(default="s3cret", repr=False)
    size: int = 3


def test_only_declared_fields_are_taken():
    assert msgspec.json.decode(declared(Thing(), {"name", "size", "unknown"}) or b"") == {"name": "x", "size": 3}
    assert msgspec.json.decode(declared({"name": "y", "secret": "s"}, {"name"}) or b"") == {"name": "y"}
    assert declared(Thing(), ()) is None
    assert declared(None, {"name"}) is None


@pytest.mark.parametrize(
    "facts",
    [
        {"long": "x" * 100_000, "short": 1},
        {"list": list(range(10_000))},
        {f"name {number}": "x" * 400 for number in range(100)},
        {"n" * 100_000: 1},
        {"text": "\x00\u2028💥" * 3000},
    ],
    ids=["text", "list", "many", "name", "signs"],
)
def test_what_is_too_long_is_cut_and_says_so(facts):
    stored = bounded(facts)
    assert len(stored) <= MOST_BYTES
    told = msgspec.json.decode(stored)
    assert told != facts
    assert told


def test_what_fits_is_stored_as_it_is():
    assert bounded({"a": 1, "b": [None, "c"]}) == b'{"a":1,"b":[null,"c"]}'
