"""What a request to the console has to bring: a page of ours behind it, the session's token, JSON, and nothing else."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from make_bridge.domain.users.roles import Role
from make_bridge.faces.console.page import ConsolePage
from make_bridge.faces.console.place import ConsolePlace
from make_bridge.faces.console.routes import console_pages
from make_bridge.faces.edge.addresses import Addresses
from support.edge import client_of
from support.people import ORIGIN, PASSWORD, email_of

FOREIGN = [
    [("Origin", "https://evil.example")],
    [("Origin", "null")],
    [("Origin", "http://bridge.example")],
    [("Origin", f"{ORIGIN}.evil.example")],
    [("Origin", ORIGIN), ("Origin", "https://evil.example")],
    [("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "same-site")],
    [("Sec-Fetch-Site", "none")],
    [("Origin", ORIGIN), ("Sec-Fetch-Site", "same-site")],
    [],
]


@pytest.fixture
async def owner(console, acme):
    return await console.person(Role.OWNER, acme)


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: "+".join(value for _, value in headers) or "none")
async def test_a_change_that_comes_from_no_page_of_ours_is_refused(console, owner, headers):
    given = [*headers, ("X-CSRF-Token", owner.token)]
    answer = await owner.send("POST", "/sessions/end-others", headers=given, page=False)
    assert (answer.status, answer.json()["code"]) == (403, "foreign_origin")
    body = {"email": "a@acme.example", "password": PASSWORD}
    answer = await console.visit().send("POST", "/sign-in", body, headers=headers, page=False)
    assert (answer.status, answer.json()["code"]) == (403, "foreign_origin")


async def test_a_browser_that_tells_no_origin_is_believed_by_where_it_says_it_is(owner):
    given = [("Sec-Fetch-Site", "same-origin"), ("X-CSRF-Token", owner.token)]
    assert (await owner.send("POST", "/sessions/end-others", headers=given, page=False)).status == 200


async def test_a_reading_that_another_site_causes_is_refused(owner):
    assert (await owner.send("GET", "/sessions", headers=[("Sec-Fetch-Site", "none")])).status == 200
    answer = await owner.send("GET", "/sessions", headers=[("Sec-Fetch-Site", "cross-site")])
    assert (answer.status, answer.json()["code"]) == (403, "foreign_origin")


@pytest.mark.parametrize("kind", ["none", "another's", "changed", "twice", "not ascii"])
async def test_a_change_without_the_token_of_this_session_is_refused(console, acme, owner, kind):
    other = await console.person(Role.OWNER, acme, "other")
    given = {
        "none": [],
        "another's": [("X-CSRF-Token", other.token)],
        "changed": [("X-CSRF-Token", owner.token[:-1] + ("0" if owner.token[-1] != "0" else "1"))],
        "twice": [("X-CSRF-Token", owner.token), ("X-CSRF-Token", owner.token)],
        "not ascii": [("X-CSRF-Token", "é" * 64)],
    }[kind]
    answer = await owner.send("POST", "/sessions/end-others", headers=[("Origin", ORIGIN), *given], page=False)
    assert (answer.status, answer.json()["code"]) == (403, "csrf_token")
    assert (await other.send("GET", "/sessions")).status == 200


async def test_every_change_of_the_make_api_needs_the_token_too(acme, owner):
    path = f"/v2/organizations/{acme}/tokens"
    body = {"label": "CI", "permissions": ["scenarios:read"]}
    answer = await owner.send("POST", path, body, headers=[("Origin", ORIGIN)], page=False)
    assert (answer.status, answer.json()["code"]) == (403, "csrf_token")
    made = await owner.send("POST", path, body)
    assert made.status == 200, made.body
    assert made.json()["token"]["token"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_forms_and_texts_are_no_json(console, acme, owner, kind):
    headers = [("Content-Type", kind)]
    body = {"email": "a@acme.example", "password": PASSWORD}
    assert (await console.visit().send("POST", "/sign-in", body, headers=headers)).status == 415
    answer = await owner.send("POST", f"/v2/organizations/{acme}/keys", {}, headers=headers)
    assert answer.status == 415


@pytest.mark.parametrize(
    "extra",
    [{"role": "owner"}, {"tenant_id": 1}, {"userId": 1}, {"sso_enforced": False}],
    ids=lambda extra: next(iter(extra)),
)
async def test_b10_members_nobody_asked_for_are_refused_and_change_nothing(console, acme, extra):
    viewer = await console.person(Role.VIEWER, acme)
    answer = await console.visit().sign_in(email_of("viewer", acme), **extra)
    assert answer.status == 422
    assert answer.json()["fields"] == {next(iter(extra)): "is not known here"}
    assert (await viewer.send("GET", "/session")).json()["session"]["role"] == "viewer"


BODIES = {
    "empty": {},
    "number": {"email": 1, "password": PASSWORD},
    "long e-mail": {"email": "a" * 321, "password": "x"},
    "long password": {"email": "a", "password": "x" * 1025},
    "nul": {"email": "a@b\x00", "password": "x"},
    "surrogate": {"email": "a@b", "password": "\ud800"},
    "list": [],
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_cannot_be_right_is_a_sentence(console, body):
    answer = await console.visit().send("POST", "/sign-in", body)
    assert 400 <= answer.status < 500
    assert answer.json()["detail"]


async def test_a_large_body_is_refused_unread(console):
    answer = await console.visit().send("POST", "/sign-in", {"email": "a@b", "password": "x" * 20_000})
    assert answer.status == 413


async def test_the_cookie_lets_nobody_into_the_apis_of_tokens(console, acme, owner):
    for path in (f"/api/v2/organizations/{acme}/keys", "/portal/api/bridge/integrations/"):
        headers = [("Cookie", f"{console.place.cookie}={owner.cookie}")]
        assert (await console.api.client.send("GET", path, headers=headers)).status in {401, 404}


@pytest.mark.parametrize(
    "cookies", [["{0}={1}", "{0}=planted"], ["{0}=planted; {0}={1}"]], ids=["two lines", "one line"]
)
async def test_b01_a_cookie_that_is_there_twice_is_none(console, owner, cookies):
    headers = [("Cookie", line.format(console.place.cookie, owner.cookie)) for line in cookies]
    answer = await console.client.send("GET", "/console/api/sessions", headers=headers)
    assert answer.status == 401


async def test_b02_the_cookie_is_held_to_host_https_and_scripts_cannot_read_it(console, acme):
    await console.person(Role.OWNER, acme, "dana")
    answer = await console.visit().sign_in(email_of("DANA", acme) + " ")
    name, _, attributes = answer.header("set-cookie").partition("=")
    assert name == "__Host-mb"
    assert attributes.split("; ")[1:] == ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"]
    assert answer.header("cache-control") == "no-store"


@pytest.mark.parametrize(
    ("origin", "host", "is_served"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("http://localhost:8080", "localhost:8080", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("http://127.0.0.1:8080", "192.168.1.20:8080", False),
        ("http://bridge.example", "bridge.example", False),
        ("http://localhost.evil.example", "localhost.evil.example", False),
        ("http://bridge.example", "127.0.0.1", False),
    ],
)
async def test_b02_on_plain_http_there_is_a_console_for_this_machine_only(origin, host, is_served):
    place = ConsolePlace(origin=origin)
    assert place.cookie == "mb-local"
    assert "Secure" not in place.given("x")
    answer = await client_at(place).send("GET", "/console", headers=[("Host", host)])
    assert answer.status == (200 if is_served else 403)
    if not is_served:
        assert answer.json()["code"] == "console_needs_https"


def client_at(place):
    """The page, served at another place."""
    return client_of(console_pages(ConsolePage(Path("/nowhere"), place), Path("/nowhere")))


@pytest.mark.parametrize(
    ("proxies", "said", "is_moved"),
    [
        (["192.0.2.1"], ["http"], True),
        (["192.0.2.1"], ["https"], False),
        (["192.0.2.1"], [], False),
        (["192.0.2.1"], ["https", "http"], False),
        (["127.0.0.1"], ["http"], False),
        ([], ["http"], False),
    ],
    ids=["http", "https", "unsaid", "twice", "another peer", "no proxy"],
)
async def test_c25_the_console_by_plain_http_is_led_to_https_and_nowhere_else(proxies, said, is_moved):
    place = ConsolePlace(origin=ORIGIN, addresses=Addresses([ip_network(proxy) for proxy in proxies]))
    headers = [("Host", "evil.example"), *(("X-Forwarded-Proto", proto) for proto in said)]
    answer = await client_at(place).send("GET", "/console/keys?next=//evil.example", headers=headers)
    assert (answer.status, answer.header("location")) == ((308, f"{ORIGIN}/console/keys") if is_moved else (200, None))
    assert answer.header("cache-control") == "no-store"


async def test_b15_no_page_may_frame_the_console(console):
    answer = await console.client.send("GET", "/console")
    policy = answer.header("content-security-policy")
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self' 'nonce-" in policy
    assert "unsafe" not in policy
    assert answer.header("x-frame-options") == "DENY"
    assert answer.header("cross-origin-opener-policy") == "same-origin"
    assert answer.header("cache-control") == "no-store"
    assert answer.header("access-control-allow-origin") is None
    calls = await console.visit().send("GET", "/session")
    assert "frame-ancestors 'none'" in calls.header("content-security-policy")
    assert calls.json() == {"session": None}


async def test_signing_out_ends_the_session_and_takes_the_cookie(console, owner):
    answer = await owner.send("POST", "/sign-out")
    assert answer.status == 200
    assert answer.header("set-cookie").startswith("__Host-mb=; Max-Age=0; Path=/")
    assert (await owner.send("GET", "/sessions")).status == 401
    assert (await owner.send("GET", "/session")).json() == {"session": None}


async def test_a_person_sees_and_ends_their_own_sessions_only(console, acme, owner):
    stranger = await console.person(Role.OWNER, acme, "stranger")
    [theirs] = (await stranger.send("GET", "/sessions")).json()["sessions"]
    email = (await owner.send("GET", "/session")).json()["session"]["email"]
    second = console.visit()
    second.more.append(("User-Agent", "Another browser\x7f" + "x" * 500))
    await second.sign_in(email)
    listed = (await owner.send("GET", "/sessions")).json()["sessions"]
    assert sorted(one["isCurrent"] for one in listed) == [False, True]
    assert theirs["id"] not in {one["id"] for one in listed}
    [other] = [one for one in listed if not one["isCurrent"]]
    assert len(other["userAgent"]) <= 200
    assert other["userAgent"].startswith("Another browserx")
    assert (await owner.send("DELETE", f"/sessions/{theirs['id']}")).status == 404
    assert (await stranger.send("GET", "/sessions")).status == 200
    assert (await owner.send("DELETE", f"/sessions/{other['id']}")).status == 200
    assert (await second.send("GET", "/sessions")).status == 401
    third = console.visit()
    await third.sign_in(email)
    assert (await owner.send("POST", "/sessions/end-others")).json() == {"ended": 1}
    assert (await third.send("GET", "/sessions")).status == 401
    assert (await owner.send("GET", "/sessions")).status == 200


async def test_a_page_of_this_organization_meets_no_other(console, acme, owner):
    other = (await console.api.integrator("Rival")).facts.organization_id
    assert (await owner.send("GET", f"/v2/organizations/{other}/keys")).status == 404
    assert (await owner.send("GET", f"/v2/organizations/{acme}/keys")).status == 200
