"""The next request after a redirect: method, body and which headers go along."""

import pytest

from make_bridge.platform.egress.messages import EgressRequest
from make_bridge.platform.egress.redirects import redirected
from make_bridge.platform.egress.urls import read_target

HEADERS = [
    ("Authorization", "Bearer s"),
    ("X-Api-Key", "k"),
    ("Cookie", "c=1"),
    ("Accept", "*/*"),
    ("Content-Type", "a/b"),
]


def after(status, method="POST", here="https://a.example/x", there="https://a.example/y"):
    request = EgressRequest(url=here, method=method, headers=HEADERS, body=b"body")
    return redirected(request, status, read_target(here), read_target(there))


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (307, "POST", "POST"), (308, "POST", "POST"),
        (301, "PUT", "PUT"), (302, "DELETE", "DELETE"), (303, "PUT", "GET"), (303, "HEAD", "HEAD"), (301, "GET", "GET"),
    ],
)  # fmt: skip
def test_the_method_changes_as_the_status_says(status, method, becomes):
    assert after(status, method).method == becomes


def test_a_request_that_becomes_get_loses_its_body_and_what_described_it():
    request = after(303)
    assert request.body is None
    assert "Content-Type" not in dict(request.headers)
    assert dict(request.headers)["X-Api-Key"] == "k"


def test_a_request_that_keeps_its_method_keeps_its_body():
    request = after(307)
    assert (request.body, request.headers) == (b"body", HEADERS)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("https://a.example/", "https://b.example/"), ("https://a.example/", "http://a.example/"),
        ("https://a.example/", "https://a.example:8443/"), ("http://a.example:8080/", "https://a.example/"),
        ("https://a.example/", "https://a.example.evil.example/"), ("http://a.example/", "https://a.example:8443/"),
    ],
)  # fmt: skip
def test_another_origin_gets_no_header_that_may_be_a_credential(here, there):
    assert after(307, here=here, there=there).headers == [("Accept", "*/*"), ("Content-Type", "a/b")]


@pytest.mark.parametrize("there", ["https://a.example/", "http://A.example.:80/z"])
def test_the_same_origin_and_a_step_up_to_https_keep_credentials(there):
    assert after(307, here="http://a.example/", there=there).headers == HEADERS
