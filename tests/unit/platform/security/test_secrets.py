"""Secrets: their forms, their randomness, and tokens that say whose they are."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.kernel.ids import MAX_ID, OrganizationId
from make_bridge.platform.security import secrets


@pytest.mark.attack("G10")
@pytest.mark.parametrize(
    "make",
    [
        secrets.new_key_id,
        secrets.new_secret,
        secrets.new_api_token,
        lambda: secrets.new_opaque_token(OrganizationId(33)),
    ],
)
def test_no_two_secrets_are_the_same(make):
    assert len({make() for _ in range(1000)}) == 1000


def test_each_kind_has_its_form():
    assert re.fullmatch(r"[A-Za-z0-9_-]{8,64}", secrets.new_key_id())
    assert re.fullmatch(r"[A-Za-z0-9]{43}", secrets.new_secret())
    assert uuid.UUID(secrets.new_api_token()).version == 4


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("0f8fad5b-d9cb-469f-a165-70867728950e", True),
        ("0F8FAD5B-D9CB-469F-A165-70867728950E", False),
        ("0f8fad5b-d9cb-169f-a165-70867728950e", False),
        ("0f8fad5bd9cb469fa16570867728950e", False),
        ("0f8fad5b-d9cb-469f-a165-70867728950e\n", False),
        ("", False),
    ],
)
def test_an_api_token_is_told_by_its_form(text, is_one):
    assert secrets.is_api_token(text) is is_one


def test_a_secret_is_recognised_by_its_digest_and_nothing_else_is():
    token = secrets.new_api_token()
    digest = secrets.digest_of(token)
    assert secrets.is_secret_of(digest, token)
    assert not any(secrets.is_secret_of(digest, other) for other in (token.upper(), token + " ", "", "\ud800", "ä"))
    assert token.encode() not in digest


@given(st.integers(1, MAX_ID))
def test_an_opaque_token_says_whose_it_is(organization_id):
    token = secrets.new_opaque_token(organization_id)
    assert re.fullmatch(r"[0-9a-z]{37}", token)
    assert secrets.opaque_token_organization(token) == organization_id


@given(st.sets(st.integers(1, MAX_ID), min_size=2, max_size=2))
def test_no_organization_begins_like_another(pair):
    first, second = (secrets.encode_organization(number) for number in pair)
    assert first != second
    assert len(first) == len(second)


@pytest.mark.parametrize(
    "change", [str.upper, lambda t: t + "0", lambda t: t[:-1], lambda t: t + "\n", lambda t: "l" + t[1:]]
)
def test_another_text_for_the_same_token_is_none(change):
    assert secrets.opaque_token_organization(change("a" + secrets.new_opaque_token(OrganizationId(33))[1:])) is None


@pytest.mark.parametrize("prefix", ["00000000000", "80000000000", "zzzzzzzzzzz", "0" * 10 + "i"])
def test_an_id_no_organization_can_have_is_none(prefix):
    assert secrets.opaque_token_organization(prefix + "0" * 26) is None


@pytest.mark.parametrize("number", [0, -1, MAX_ID + 1])
def test_such_an_id_is_not_encoded_either(number):
    with pytest.raises(ValueError, match="between 1 and"):
        secrets.encode_organization(number)
