"""The rules of outbound webhooks: filters, the guard against loops, what answers mean, which URLs may be called."""

from datetime import UTC, datetime

import pytest

from make_bridge.domain.deliveries.messages import EndpointId
from make_bridge.domain.deliveries.model import (
    LONGEST_RETRY_AFTER,
    Ending,
    Meaning,
    asked_to_wait,
    busy_pause,
    checked_description,
    checked_patterns,
    is_told,
    matches,
    message_id_for,
    read_message_id,
    shown_answer,
    shown_id,
)
from make_bridge.domain.deliveries.targets import require_open
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.platform.egress.guard import EgressPolicy

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
KNOWN = frozenset({"execution.failed.v1", "execution.warned.v1", "scenario.paused.v1", "job.progress.v1"})
ME, OTHER = EndpointId(1024), EndpointId(2048)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("execution.failed.v1", "execution.failed.v1", True),
        ("execution.failed", "execution.failed.v1", True),
        ("execution.failed", "execution.failed.v12", True),
        ("execution.*", "execution.failed.v1", True),
        ("execution.failed", "execution.failed_often.v1", False),
        ("execution", "execution.failed.v1", False),
        ("execution.*", "executions.failed.v1", False),
        ("scenario.*", "execution.failed.v1", False),
    ],
)
def test_a_pattern_is_a_type_a_type_without_its_version_or_a_prefix(pattern, name, fits):
    assert matches(pattern, name) is fits


def test_patterns_that_no_event_can_match_are_refused_with_the_nearest():
    assert checked_patterns(["execution.*", "scenario.paused", "execution.*"], KNOWN) == (
        "execution.*",
        "scenario.paused",
    )
    with pytest.raises(InvalidInput, match=r"The nearest is execution\.failed\."):
        checked_patterns(["execution.faild"], KNOWN)
    with pytest.raises(InvalidInput):
        checked_patterns(["job.progress"], KNOWN)
    with pytest.raises(InvalidInput, match="at most 50"):
        checked_patterns(["execution.*"] * 51, KNOWN)


def test_no_deliveries_come_of_deliveries():
    assert is_told((), ME, "execution.failed.v1", b"{}")
    assert not is_told((), ME, "job.progress.v1", b"{}")
    assert not is_told((), ME, "endpoint.ping.v1", b"{}")
    assert not is_told((), ME, "endpoint.disabled.v1", b'{"endpoint_id":1024}')
    assert is_told((), OTHER, "endpoint.disabled.v1", b'{"endpoint_id":1024}')
    for kind in ("webhook.send", "webhook.release"):
        assert not is_told(("job.*",), ME, "job.failed.v1", b'{"type":"%s"}' % kind.encode())
    assert is_told(("job.*",), ME, "job.failed.v1", b'{"type":"report.make"}')


def test_a_message_has_one_id_for_an_event_and_an_endpoint():
    first = message_id_for("event-1", ME)
    assert first == message_id_for("event-1", ME)
    assert len({first, message_id_for("event-1", OTHER), message_id_for("event-2", ME)}) == 3
    assert read_message_id(shown_id(first)) == read_message_id(first) == first
    assert "." not in shown_id(first)
    for text in ("", "msg_", "msg_" + "g" * 32, first + "0", "evt_" + first):
        with pytest.raises(NotFound):
            read_message_id(text)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(200, "delivered"), (204, "delivered"), (299, "delivered"), (410, "gone")]
    + [(status, "failed") for status in (199, 301, 302, 307, 400, 404, 429, 500, 503, None)],
)
def test_only_a_status_of_2xx_is_a_delivery_and_only_410_is_for_ever(status, meaning):
    assert Ending(at=NOW, duration_ms=1, status=status).meaning is Meaning(meaning)


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (503, "120", 120.0),
        (429, " 0 ", 0.0),
        (429, "999999999", LONGEST_RETRY_AFTER),
        (503, "Mon, 04 May 2026 12:01:00 GMT", 60.0),
        (503, "Mon, 04 May 2026 11:00:00 GMT", 0.0),
        (503, "Mon, 04 May 2099 11:00:00 GMT", LONGEST_RETRY_AFTER),
        (503, None, None),
        (503, "soon", None),
        (503, "-5", None),
        (503, "1e9", None),
        (503, "9" * 40, None),
        (500, "120", None),
    ],
)
def test_a_pause_that_is_asked_for_is_honoured_within_a_day(status, header, seconds):
    assert asked_to_wait(status, header, NOW) == seconds


def test_what_is_shown_of_an_answer_is_short_and_can_be_stored():
    assert shown_answer(b"a\x00b\r\n\xff" + b"x" * 5000) == "a b  \ufffd" + "x" * 1018


def test_the_line_before_a_busy_endpoint_is_looked_at_less_often_the_longer_it_is():
    assert busy_pause(5, 5) < busy_pause(100, 5) < busy_pause(1000, 5) <= 60


def test_descriptions_are_short_and_plain():
    assert checked_description(" Ours ") == "Ours"
    for text in ("x" * 501, "a\x00b", "a\nb"):
        with pytest.raises(InvalidInput):
            checked_description(text)


CLOSED = [
    "http://example.com/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://169.254.169.254/latest",
    "https://10.0.0.1/",
    "https://[::ffff:10.0.0.1]/",
    "https://user:secret@example.com/",
    "https://example.com:25/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "//example.com/",
    "https://exa mple.com/",
    "https://example.com\n/",
    "https://example.com/" + "x" * 2048,
    "",
]


@pytest.mark.attack("E21")
@pytest.mark.parametrize("url", CLOSED, ids=range(len(CLOSED)))
def test_a_url_that_the_guard_would_refuse_is_not_saved(url):
    with pytest.raises(InvalidInput) as refused:
        require_open(url, EgressPolicy(), plain_http=False)
    assert set(refused.value.fields) == {"url"}


def test_what_settings_open_may_be_called():
    require_open("https://example.com/hooks?a=1", EgressPolicy(), plain_http=False)
    require_open("http://10.1.2.3:8080/", EgressPolicy.parse(["10.1.0.0/16"]), plain_http=True)
