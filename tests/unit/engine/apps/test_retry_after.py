"""How long a server asks its callers to wait: numbers, dates, and what is neither."""

from datetime import UTC, datetime

import pytest

from make_bridge.engine.apps.retry_after import LONGEST, seconds_asked

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NOON = "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("1", 1), (" 3600 ", 3600), ("86401", LONGEST), ("9" * 18, LONGEST),
        ("Sun, 22 Nov 2026 12:02:00 GMT", 120), ("Sunday, 22-Nov-26 12:02:00 GMT", 120),
        ("Sun Nov 22 12:02:00 2026", 120), ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("Sun, 22 Nov 2099 11:00:00 GMT", LONGEST),
        ("", None), ("-1", None), ("1.5", None), ("+5", None), ("1e3", None), ("soon", None), ("9" * 19, None),
        ("\u0661", None), ("Sun, 99 Nov 2026 12:02:00 GMT", None), ("1 Jan 99999999999", None), (", " * 100, None),
    ],
)  # fmt: skip
def test_what_can_be_read_is_bounded_and_the_rest_was_not_said(text, seconds):
    assert seconds_asked((("Retry-After", text),), NOW) == seconds


def test_nothing_asked_is_nothing():
    assert seconds_asked((("Date", NOON),), NOW) is None


def test_a_date_is_held_against_the_server_s_own_clock():
    an_hour_ahead = (("Retry-After", "Sun, 22 Nov 2026 13:02:00 GMT"), ("Date", "Sun, 22 Nov 2026 13:00:00 GMT"))
    assert seconds_asked(an_hour_ahead, NOW) == 120
