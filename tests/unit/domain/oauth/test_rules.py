"""The pure rules of OAuth: where tokens may go, what an answer means, what is sent."""

import base64
import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from make_bridge.domain.oauth.answers import ProviderRefused, ProviderUnclear, read_tokens
from make_bridge.domain.oauth.messages import ApplicationFacts
from make_bridge.domain.oauth.model import OAuthLimits, ahead_of_end, origin_of
from make_bridge.domain.oauth.requests import CallLimits, Client, authorize_address, challenge_of, form_call
from make_bridge.domain.oauth.targets import checked_hosts, covers
from make_bridge.kernel.errors import InvalidInput

FACTS = ApplicationFacts(
    name="Shop",
    client_id="br idge:1",
    authorize_url="https://shop.example/authorize?prompt=consent",
    token_url="https://shop.example/token",
    scopes=("a", "b"),
    hosts=("api.shop.example",),
)
LIMITS = CallLimits(seconds=1, answer_bytes=1000)


@pytest.mark.parametrize(
    ("host", "url", "may"),
    [
        ("api.shop.example", "https://api.shop.example/x", True),
        ("api.shop.example", "https://API.SHOP.EXAMPLE./x", True),
        ("api.shop.example", "https://api.shop.example:443/x", True),
        ("api.shop.example", "https://api.shop.example:8443/x", False),
        ("api.shop.example", "http://api.shop.example/x", False),
        ("api.shop.example", "https://shop.example/x", False),
        ("api.shop.example", "https://evil.example/api.shop.example", False),
        ("api.shop.example", "https://api.shop.example.evil.example/", False),
        ("api.shop.example", "https://api.shop.example@evil.example/", False),
        ("api.shop.example", "https://evil.example#@api.shop.example/", False),
        ("api.shop.example", "https://evil.example\\@api.shop.example/", False),
        ("api.shop.example:8443", "https://api.shop.example:8443/x", True),
        ("api.shop.example:8443", "https://api.shop.example/x", False),
        ("*.shop.example", "https://api.shop.example/x", True),
        ("*.shop.example", "https://a.b.shop.example/x", True),
        ("*.shop.example", "https://shop.example/x", False),
        ("*.shop.example", "https://evilshop.example/x", False),
    ],
)
def test_a_token_goes_to_the_hosts_that_are_named_and_to_no_other(host, url, may):
    assert covers(checked_hosts([host]), url, plain_http=False) is may


@pytest.mark.parametrize(
    "host", ["", "*", "*.com", "*.10.0.0.1", "https://x.example", "x.example/p", "a b", "x@y.example"]
)
def test_what_is_no_host_is_refused(host):
    with pytest.raises(InvalidInput):
        checked_hosts([host])


@pytest.mark.parametrize(
    ("said", "life"),
    [
        ("60", 60),
        ('"60"', 60),
        ("0", None),
        ("-1", None),
        ("true", None),
        ('"soon"', None),
        ("null", None),
        ("[]", None),
    ],
)
def test_the_life_of_a_token_is_what_the_provider_says_or_unknown(said, life):
    assert read_tokens(200, f'{{"access_token": "t", "expires_in": {said}}}'.encode()).life == life


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant"}, ProviderRefused),
        (200, {"error": "invalid_grant"}, ProviderRefused),
        (401, {"error": "invalid_client"}, ProviderRefused),
        (400, {"error": "temporarily_unavailable"}, ProviderUnclear),
        (429, {"error": "invalid_grant"}, ProviderUnclear),
        (500, {"error": "invalid_grant"}, ProviderUnclear),
        (404, {}, ProviderUnclear),
        (302, {}, ProviderUnclear),
        (200, {}, ProviderUnclear),
    ],
    ids=str,
)
def test_only_a_clear_no_is_a_refusal(status, body, kind):
    with pytest.raises(kind):
        read_tokens(status, json.dumps(body).encode())


def test_what_a_provider_says_beside_its_code_is_not_shown():
    body = {"error": "<b>x</b>", "error_description": "your secret is s3cret"}
    with pytest.raises(ProviderRefused) as caught:
        read_tokens(400, json.dumps(body).encode())
    assert "s3cret" not in caught.value.message
    assert "<b>" not in caught.value.message


def id_token(**claims):
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in ({}, claims, 1))
    return ".".join(part.rstrip("=") for part in parts)


def test_an_id_token_names_the_account_when_it_is_for_this_client():
    answer = {"access_token": "t", "id_token": id_token(sub="dana", aud=["me"], iss="https://shop.example")}
    read = read_tokens(200, json.dumps(answer).encode(), issuer="https://shop.example", client_id="me")
    assert read.subject == "dana"
    for changes in ({"client_id": "other"}, {"issuer": "https://evil.example"}):
        with pytest.raises(ProviderUnclear, match="somebody else"):
            read_tokens(200, json.dumps(answer).encode(), **{"client_id": "me", "issuer": ""} | changes)


def test_the_challenge_is_that_of_the_standards_own_example():
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_an_authorization_request_says_everything_once():
    address = authorize_address(FACTS, redirect_uri="https://b.example/cb", state="s", verifier="v")
    query = parse_qs(urlsplit(address).query)
    assert query["scope"] == ["a b"]
    assert query["prompt"] == ["consent"]
    assert query["client_id"] == ["br idge:1"]
    assert all(len(found) == 1 for found in query.values())


def test_a_client_shows_its_secret_where_it_should_and_nowhere_else():
    def call(way):
        facts = replace(FACTS, authentication=way)
        return form_call(Client(facts=facts, secret="p:/ w"), facts.token_url, {"a": "b"}, LIMITS)

    basic, post, none = call("basic"), call("post"), call("none")
    shown = base64.b64decode(dict(basic.headers)["Authorization"].removeprefix("Basic ")).decode()
    assert shown == "br+idge%3A1:p%3A%2F+w"
    assert basic.body == b"a=b"
    assert parse_qs(post.body.decode())["client_secret"] == ["p:/ w"]
    assert parse_qs(none.body.decode()) == {"a": ["b"], "client_id": ["br idge:1"]}
    assert not any(call.follow_redirects for call in (basic, post, none))
    assert "p:/ w" not in repr((basic, post, Client(facts=FACTS, secret="p:/ w")))


@pytest.mark.parametrize(("life", "least", "most"), [(3600, 300, 360), (60, 6, 7.2), (86400, 300, 360)])
def test_tokens_are_renewed_minutes_or_a_tenth_of_their_life_ahead(life, least, most):
    limits = OAuthLimits()
    assert ahead_of_end(limits, life, 0.0) == least
    assert ahead_of_end(limits, life, 1.0) == pytest.approx(most)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://a.example/x", "https://a.example"),
        ("https://A.example:443", "https://a.example"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("https://u@a.example/", ""),
        ("https://a.example\\@b.example", ""),
        ("javascript:alert(1)", ""),
        ("//a.example", ""),
        ("https://a.example:99999/", ""),
    ],
)
def test_an_origin_is_what_browsers_make_of_an_address(url, origin):
    assert origin_of(url) == origin
