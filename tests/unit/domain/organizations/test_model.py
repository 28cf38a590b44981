"""Organizations: origins as browsers send them, and what a token's holder may do."""

import pytest

from make_bridge.domain.organizations.model import (
    CUSTOMER_PERMISSIONS,
    NewKey,
    checked_name,
    checked_origin,
    checked_origins,
    checked_timezone,
    permissions_of,
)
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import OrganizationId


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example",
        "http://localhost:3000",
        "https://a-b.c1.example:8443",
        "http://[::1]:3000",
        "http://10.0.0.1",
    ],
)
def test_what_browsers_send_is_an_origin(origin):
    assert checked_origin(origin) == origin


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "*",
        "",
        "app.example",
        "https://",
        "https://App.example",
        "https://app.example/",
        "https://app.example/path",
        "https://app.example?x",
        "https://app.example#x",
        "https://user@app.example",
        "https://app.example:443",
        "http://app.example:80",
        "https://app.example:0",
        "https://app.example:65536",
        "https://app.example:",
        "https://*.app.example",
        "https://app..example",
        "https://-app.example",
        "https://app.example\n",
        " https://app.example",
        "https://app.example https://other.example",
        "ftp://app.example",
        "javascript://app.example",
        "https://[::1",
        "https://[0:0::1]",
        "https://[::zz]",
        "https://bücher.example",
        "https://" + "a" * 64 + ".example",
        "https://" + "a." * 130 + "example",
    ],
)
def test_what_browsers_never_send_is_refused(origin):
    with pytest.raises(InvalidInput):
        checked_origin(origin)


def test_origins_are_kept_once_and_are_not_too_many():
    assert checked_origins(["https://a.example", "https://a.example"]) == ("https://a.example",)
    with pytest.raises(InvalidInput, match="at most 50"):
        checked_origins(f"https://a{number}.example" for number in range(51))


def test_an_administrator_may_what_the_key_allows():
    assert permissions_of(frozenset({"*"}), "*") == {"*"}
    assert permissions_of(frozenset({"customers:write"}), "*") == {"customers:write"}


def test_a_customer_may_a_customers_part_of_what_the_key_allows():
    assert permissions_of(frozenset({"*"}), "dana") == CUSTOMER_PERMISSIONS
    assert permissions_of(frozenset({"customers:write", "scenarios:read"}), "dana") == {"scenarios:read"}
    assert "customers:write" not in CUSTOMER_PERMISSIONS
    assert "templates:write" not in CUSTOMER_PERMISSIONS


@pytest.mark.parametrize("name", ["", "  ", "x" * 121, "a\x00b", "a\nb"])
def test_a_name_is_short_and_plain(name):
    with pytest.raises(InvalidInput):
        checked_name(name)


def test_a_name_has_one_form():
    assert checked_name(" Cafe\u0301 ") == "Caf\u00e9"


def test_a_time_zone_is_a_known_name():
    assert checked_timezone("Europe/Prague") == "Europe/Prague"
    for name in ("Mars/Olympus", "../etc/passwd", "", "/etc/localtime"):
        with pytest.raises(InvalidInput):
            checked_timezone(name)


def test_a_new_keys_secret_is_not_in_its_repr():
    key = NewKey(organization_id=OrganizationId(1), key_id="k", secret="s3cret")
    assert "s3cret" not in repr(key)
