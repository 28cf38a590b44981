"""Cookies of a run: who gets one back, and who may set one."""

from datetime import UTC, datetime

import pytest

from make_bridge.engine.cookies import MAX_COOKIES, CookieJar

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHOP = "https://www.shop.example/a/b?q"


def header(*lines, to=SHOP, set_by=SHOP):
    cookies = CookieJar().at(NOW)
    cookies.take(set_by, lines)
    return cookies.header(to)


def test_a_cookie_goes_back_to_its_host():
    assert header("a=1", "b=2; Path=/") == "a=1; b=2"
    for other in ("https://shop.example/a/", "https://x.www.shop.example/a/", "https://wwwwshop.example/a/"):
        assert header("a=1; Path=/", to=other) == ""


def test_a_domain_gives_it_to_the_hosts_below_and_only_a_host_below_may_say_so():
    for to in ("https://shop.example/", "https://api.shop.example/"):
        assert header("a=1; Domain=.shop.example; Path=/", to=to) == "a=1"
    for domain in ("example", "evil.example", "op.example", "other.www.shop.example"):
        assert header(f"a=1; Domain={domain}; Path=/") == ""
    assert header("a=1; Domain=0.0.1; Path=/", set_by="https://127.0.0.1/", to="https://127.0.0.1/") == ""


@pytest.mark.parametrize(
    ("path", "sent"),
    [("/a", True), ("/a/", True), ("/a/b", True), ("/a/bc", False), ("/", True), ("/b", False), ("nonsense", True)],
)
def test_a_path_is_a_folder_and_not_a_beginning(path, sent):
    assert (header(f"a=1; Path={path}") == "a=1") is sent


def test_the_longer_path_comes_first():
    assert header("a=1; Path=/", "b=2; Path=/a") == "b=2; a=1"


def test_a_secure_cookie_is_set_and_sent_encrypted_only():
    assert header("a=1; Secure; Path=/", to="http://www.shop.example/") == ""
    assert header("a=1; Secure; Path=/", set_by="http://www.shop.example/") == ""
    assert header("a=1; Secure; Path=/") == "a=1"


@pytest.mark.parametrize(
    "end", ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT", "expires=Sun, 22 Nov 2026 12:00:00 GMT"]
)
def test_a_cookie_whose_life_is_over_is_forgotten(end):
    assert header("a=1", f"a=; {end}") == ""


@pytest.mark.parametrize("end", ["Max-Age=60", "Expires=Sun, 22 Nov 2026 12:00:01 GMT", "Expires=nonsense"])
def test_a_cookie_that_lives_is_replaced_by_a_newer_one(end):
    assert header("a=1", f"a=2; {end}") == "a=2"


@pytest.mark.parametrize("line", ["", "=1", "a", "a b=1", "a=1\r\nX: 1", "a=\x00", "a=" + "x" * 5000])
def test_what_is_no_cookie_is_left_out(line):
    assert header(line) == ""


def test_the_oldest_goes_when_there_are_too_many():
    sent = header(*(f"c{number}=1" for number in range(MAX_COOKIES + 1))).split("; ")
    assert len(sent) == MAX_COOKIES
    assert "c0=1" not in sent
