"""Origins: read from plain addresses only."""

import pytest

from make_bridge.faces.edge.origins import read_origin


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://acme.example", "https://acme.example"),
        ("https://ACME.example:443/back?x=1#y", "https://acme.example"),
        ("http://127.0.0.1:3000/done", "http://127.0.0.1:3000"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example"),
    ],
)
def test_a_plain_address_has_an_origin(url, origin):
    found = read_origin(url)
    assert found is not None
    assert found.text == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "acme.example",
        "//acme.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://acme.example",
        "https://acme.example@evil.example",
        "https://user:word@acme.example",
        "https://acme.example\\@evil.example",
        "https:\\\\acme.example",
        "https://acme.example\t.evil.example",
        "https://acme.example\n",
        "https://acme.example:99999",
        "https://acme.example:x",
        "https://acme.example:",
        "https://",
        "https://[::1",
        "https://bücher.example",
        "https://acme.example%2eevil.example",
        "https://acme.example/" + "a" * 2048,
    ],
)
def test_anything_else_is_no_address(url):
    assert read_origin(url) is None


@pytest.mark.parametrize(("more", "has_path"), [("", False), ("/", True), ("/a", True), ("?a", True), ("#a", True)])
def test_a_path_a_query_and_a_fragment_are_more_than_an_origin(more, has_path):
    found = read_origin("https://acme.example" + more)
    assert found is not None
    assert found.has_path is has_path
