"""Connections and keys: types, and what of the values is taken."""

import pytest

from make_bridge.domain.connections.model import checked_name, checked_type, checked_values
from make_bridge.domain.connections.types import TYPES, create_fields, type_of, types_of
from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.kernel.errors import InvalidInput

BASIC = checked_type("key", "basicauth")
API_KEY = checked_type("key", "apikeyauth")


def refusal(component_type, values):
    with pytest.raises(InvalidInput) as caught:
        checked_values(component_type, values)
    return caught.value


def test_every_key_that_a_module_asks_for_has_a_type():
    asked = {
        field.type.partition(":")[2]
        for spec in CATALOGUE.values()
        for field in spec.parameters
        if field.type.startswith("keychain:")
    }
    # Keys for ciphers are kept for Make's clients; no module of this server takes one.
    assert asked | {"aes-key"} == {made.name for made in types_of("key")}


def test_a_type_describes_its_form():
    assert [field["name"] for field in create_fields("apikeyauth")] == ["key", "placement", "name"]
    assert create_fields("apikeyauth")[0]["type"] == "password"
    assert [field["name"] for field in create_fields("oauth2", "connection")] == ["accessToken"]
    assert create_fields("google", "connection") == []
    assert type_of("connection", "basicauth") is None


def test_every_field_of_every_type_is_a_text():
    assert {field.type for made in TYPES.values() for field in made.fields} <= {"text", "password", "select"}


def test_values_are_taken_with_their_defaults():
    assert checked_values(BASIC, {"user": "u", "password": "p"}) == {"user": "u", "password": "p"}
    assert checked_values(BASIC, {"user": "u"}) == {"user": "u", "password": ""}
    assert checked_values(API_KEY, {"key": "k"}) == {"key": "k", "placement": "header", "name": "Authorization"}


def test_the_names_of_makes_own_api_are_understood():
    assert checked_values(BASIC, {"authUser": "u", "authPass": "p"}) == {"user": "u", "password": "p"}


@pytest.mark.parametrize(
    ("component_type", "values", "name", "words"),
    [
        (BASIC, {}, "user", "needs a value"),
        (BASIC, {"user": "u", "extra": 1}, "extra", "no such field"),
        (BASIC, {"user": 5}, "user", "text"),
        (BASIC, {"user": "a\r\nHost: evil"}, "user", "Control"),
        (BASIC, {"user": "u" * 256}, "user", "255"),
        (API_KEY, {"key": "k", "placement": "cookie"}, "placement", "offered"),
        (API_KEY, {"key": "k", "name": "X Key"}, "name", "cannot be used"),
        (API_KEY, {"key": "k\n"}, "key", "Control"),
        (API_KEY, {"key": "k" * 8193}, "key", "8192"),
    ],
)
def test_a_wrong_value_gets_a_sentence_beside_its_name(component_type, values, name, words):
    assert words in refusal(component_type, values).fields[name]


def test_a_refused_secret_is_not_repeated():
    error = refusal(API_KEY, {"key": "s3cret\n"})
    assert "s3cret" not in f"{error} {error.fields}"


def test_unknown_types_and_names_are_refused():
    for kind, name in (("key", "nothing"), ("hook", "basicauth"), ("connection", "google")):
        with pytest.raises(InvalidInput):
            checked_type(kind, name)
    for name in ("", "x" * 129, "a\x00"):
        with pytest.raises(InvalidInput):
            checked_name(name)
    assert checked_name(" Mine ") == "Mine"
