"""The rules of people: one form of an address, passwords that are worth something, what is kept of a browser."""

import pytest

from make_bridge.domain.users.model import (
    LONGEST_PASSWORD,
    SHORTEST_PASSWORD,
    SessionLimits,
    checked_email,
    checked_password,
    checked_role,
    is_session_secret,
    normalized_email,
    normalized_password,
    shown_user_agent,
)
from make_bridge.domain.users.roles import Role
from make_bridge.kernel.errors import InvalidInput
from make_bridge.platform.security.secrets import new_secret


@pytest.mark.parametrize(
    "written",
    ["Dana@Acme.Example", " dana@acme.example\n", "\uff24\uff21\uff2e\uff21@acme.example", "DANA@ACME.EXAMPLE"],
)
def test_an_address_has_one_form_however_it_is_written(written):
    assert checked_email(written) == "dana@acme.example"
    assert normalized_email(normalized_email(written)) == "dana@acme.example"


NO_ADDRESSES = (
    *("", "dana", "@acme.example", "dana@", "da na@acme.example", "a@b@c"),
    "dana@acme\u200b.example",
    "a" * 251 + "@b.c",
)


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_refused_with_a_sentence(text):
    with pytest.raises(InvalidInput) as refused:
        checked_email(text)
    assert set(refused.value.fields) == {"email"}


@pytest.mark.parametrize(
    "password",
    [
        "x" * (SHORTEST_PASSWORD - 1),
        "x" * (LONGEST_PASSWORD + 1),
        "with a\nline break",
        "dana@acme.example",
        "DANA@acme.example",
    ],
)
def test_a_password_that_is_worth_nothing_is_refused(password):
    with pytest.raises(InvalidInput) as refused:
        checked_password(password, "dana@acme.example")
    assert set(refused.value.fields) == {"password"}


def test_a_password_is_the_same_from_every_keyboard():
    composed, decomposed = "caf\u00e9 caf\u00e9 caf\u00e9", "cafe\u0301 cafe\u0301 cafe\u0301"
    assert checked_password(decomposed, "dana@acme.example") == composed == normalized_password(decomposed)


def test_a_role_is_one_of_five():
    assert [checked_role(role.value) for role in Role] == list(Role)
    with pytest.raises(InvalidInput, match="owner, admin, editor, operator, viewer"):
        checked_role("root")


def test_only_what_could_be_a_secret_is_looked_up():
    assert is_session_secret(new_secret())
    for text in ("", "x" * 42, "x" * 44, "x" * 42 + "-", "x" * 42 + "\n"):
        assert not is_session_secret(text)


def test_what_a_browser_says_of_itself_is_cut_and_plain():
    assert shown_user_agent("Moz\x00illa\r\n" + "x" * 500) == "Mozilla" + "x" * 190


def test_use_is_noted_once_a_minute_and_sooner_where_sessions_are_short():
    assert SessionLimits().seen_seconds == 60.0
    assert SessionLimits(idle_seconds=4.0).seen_seconds == 1.0
