"""What state follows from what was done, which credentials modules need, and which provider a type means."""

from datetime import UTC, datetime

import pytest

from make_bridge.domain.connections.types import type_of
from make_bridge.domain.credential_requests.elsewhere import ELSEWHERE
from make_bridge.domain.credential_requests.messages import AppSelection
from make_bridge.domain.credential_requests.model import (
    checked_credential_id,
    checked_request_id,
    name_of_component,
    state_of,
    status_of,
)
from make_bridge.domain.credential_requests.prefill import Prefill
from make_bridge.domain.credential_requests.providers import is_provider, label_of, offers, slug
from make_bridge.domain.credential_requests.selection import modules_with_credentials, wanted_of
from make_bridge.domain.oauth.messages import ApplicationFacts, ApplicationId, OAuthApplication
from make_bridge.domain.oauth.model import granted_scopes
from make_bridge.engine.apps.catalogue import APPS, CATALOGUE
from make_bridge.kernel.errors import InvalidInput, NotFound


def application(number, name, authorize="https://shop.example/authorize"):
    facts = ApplicationFacts(
        name=name,
        client_id="x",
        authorize_url=authorize,
        token_url="https://shop.example/t",
        hosts=("shop.example",),
    )
    return OAuthApplication(
        id=ApplicationId(number), facts=facts, has_secret=False, created_at=datetime(2026, 1, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ((False, None, ()), "pending"),
        ((False, "pending", ()), "pending"),
        ((False, "needs_consent", ()), "pending"),
        ((False, "active", ()), "authorized"),
        ((False, "active", ("more",)), "pending"),
        ((True, None, ()), "declined"),
        ((True, "active", ("more",)), "declined"),
    ],
)
def test_a_state_follows_from_the_connection(facts, state):
    is_declined, component_state, missing = facts
    assert state_of(is_declined=is_declined, component_state=component_state, missing=missing) == state


@pytest.mark.parametrize(
    ("states", "is_over", "status"),
    [
        (["pending", "authorized"], False, "pending"),
        (["pending", "authorized"], True, "expired"),
        (["declined", "authorized"], True, "authorized"),
        (["declined", "declined"], False, "declined"),
    ],
)
def test_a_request_is_open_until_all_of_it_was_answered(states, is_over, status):
    assert status_of(states, is_over=is_over) == status


def test_ids_are_read_with_and_without_dashes():
    plain = "A07E16F2AD134BF49CF83A00AA95C0A5"
    dashed = "a07e16f2-ad13-4bf4-9cf8-3a00aa95c0a5"
    assert (str(checked_request_id(plain)), str(checked_credential_id(dashed))) == (dashed, dashed)
    for text in ("", "7", plain[:-1], f"{plain}0", plain.replace("A", "g")):
        with pytest.raises(NotFound):
            checked_request_id(text)


def test_a_name_is_the_askers_or_says_what_it_is_and_for_what():
    assert name_of_component("Mine", "API key", "Orders") == "Mine"
    assert name_of_component("", "API key", "Orders") == "API key (Orders)"
    assert len(name_of_component("", "API key", "o" * 128)) == 128


def test_google_is_known_by_its_address_and_others_by_the_name_of_their_application():
    google = application(1, "Our mail", "https://accounts.google.com/o/oauth2/v2/auth")
    shop = application(2, "Shop & Co.")
    silent = application(3, "Silent", "")
    every = [google, shop, silent]
    assert slug("Shop & Co.") == "shop-co"
    assert offers("google", every) == (google,)
    assert offers("shop-co", every) == (shop,)
    assert offers("oauth2", every) == (google, shop)
    assert offers("google", [application(4, "Lookalike", "https://accounts.google.com.example/")]) == ()
    assert (is_provider("google", []), is_provider("silent", every), is_provider("nothing", every)) == (
        True, False, False,
    )  # fmt: skip
    assert (label_of("google"), label_of("shop-co", every)) == ("Google", "Shop & Co.")


def test_every_credential_of_the_catalogue_can_be_asked_for():
    apps = {spec.app for spec in CATALOGUE.values()}
    assert not apps & set(ELSEWHERE)
    for app in apps & set(APPS):
        for need in modules_with_credentials(app, 0):
            kind = "key" if need.component == "keychain" else "connection"
            assert type_of(kind, need.type) is not None


def test_a_selection_names_modules_with_and_without_their_app():
    for name in ("ActionSendDataBasicAuth", "http:ActionSendDataBasicAuth"):
        [wanted] = wanted_of(AppSelection(app="http", version=3, modules=(name,)))
        assert (wanted.component, wanted.type, wanted.app_version) == ("keychain", "basicauth", "3")
    [one] = wanted_of(AppSelection(app="http", version=4, modules=("MakeRequest:oAuthAccount",)))
    assert (one.component, one.type) == ("account", "oauth2")
    with pytest.raises(InvalidInput):
        wanted_of(AppSelection(app="http", version=3, modules=("ActionSendDataBasicAuth", "Nothing")))
    with pytest.raises(NotFound):
        wanted_of(AppSelection(app="google-email", version=3, modules=("*",)))


def test_what_was_filled_in_is_not_asked_and_a_secret_is_not_shown():
    basic = type_of("key", "basicauth")
    assert basic is not None
    held = Prefill(hard={"user": "shop"}, soft={"password": "s3cret"})
    [password] = held.fields(basic)
    assert password["name"] == "password"
    assert "s3cret" not in f"{password} {held}"
    assert held.over(basic, {"user": "other", "password": ""}) == {"user": "shop", "password": "s3cret"}
    assert held.over(basic, {"password": "new"}) == {"user": "shop", "password": "new"}
    assert Prefill(soft={"user": "shop"}).over(basic, {"user": ""}) == {"user": ""}


def test_a_provider_that_says_nothing_has_granted_what_it_was_asked_for():
    assert granted_scopes("", ("a", "b")) == ("a", "b")
    assert granted_scopes("a c", ("a", "b")) == ("a", "c")
