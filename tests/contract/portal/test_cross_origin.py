"""Pages of other origins: exactly the organization's own may read answers; browsers' credentials are never let in."""

import pytest

from support.portal import RIVAL_KEY_ID, RIVAL_ORIGIN, RIVAL_SECRET, Portal, rates, refusal

TARGET = "/scenarios/7168"
ACME_ORIGIN = "https://app.acme.example"
ALLOW = "access-control-allow-origin"
STRANGERS = [
    *("null", "https://evil.example", "https://evil-app.acme.example", "https://app.acme.example.evil.io"),
    *("http://app.acme.example", "https://app.acme.example:8443", "https://APP.acme.example"),
    *("https://app.acme.example.", "https://app.acme.example/", "https://app.acme.example https://evil.example"),
    *("https://app.acme.example,https://evil.example", "app.acme.example", "*", "", "https://", "é", "file://"),
    *("https://user@app.acme.example", "https://app.acme.example:443", "https://app%2eacme.example", "a" * 5000),
]


@pytest.fixture
def portal():
    portal = Portal(rates(general=1000, api=1000))
    portal.forget()
    return portal


def asking(origin, **more):
    return [("Origin", origin), ("Access-Control-Request-Method", "POST"), *more.items()]


def headers_of_cors(answer):
    return {name for name, _ in answer.headers if name.startswith("access-control-")}


@pytest.mark.parametrize("origin", STRANGERS)
async def test_c06_an_origin_that_is_not_listed_to_the_letter_is_never_named(portal, origin):
    answer = await portal.get(TARGET, headers=[("Origin", origin)])
    assert (answer.status, headers_of_cors(answer)) == (200, set())
    assert answer.header("vary") == "origin"
    without_token = await portal.get(TARGET, sub=None, headers=[("Origin", origin)])
    assert (without_token.status, headers_of_cors(without_token)) == (401, set())
    asked = await portal.send("OPTIONS", TARGET, sub=None, headers=asking(origin))
    refusal(asked, 403, "origin_not_allowed")
    assert headers_of_cors(asked) == set()


async def test_c06_two_origins_are_none(portal):
    both = [("Origin", ACME_ORIGIN), ("Origin", "https://evil.example")]
    assert headers_of_cors(await portal.get(TARGET, headers=both)) == set()
    asked = await portal.send("OPTIONS", TARGET, sub=None, headers=[*both, ("Access-Control-Request-Method", "GET")])
    assert asked.status == 405
    assert headers_of_cors(asked) == set()


@pytest.mark.parametrize("origin", [ACME_ORIGIN, "http://localhost:3000"])
async def test_a_page_of_the_organization_may_read_answers_and_refusals(portal, origin):
    for target, status in ((TARGET, 200), ("/scenarios/1", 404)):
        answer = await portal.get(target, headers=[("Origin", origin)])
        assert (answer.status, answer.header(ALLOW), answer.header("vary")) == (status, origin, "origin")
        assert "retry-after" in answer.header("access-control-expose-headers")
    refused = await portal.get(TARGET, sub=None, headers=[("Origin", origin)])
    assert (refused.status, refused.header(ALLOW)) == (401, origin)


async def test_c06_an_origin_of_another_organization_is_not_named(portal):
    answer = await portal.get(TARGET, headers=[("Origin", RIVAL_ORIGIN)])
    assert (answer.status, headers_of_cors(answer)) == (200, set())
    rival = f"Bearer {portal.token('dana', key_id=RIVAL_KEY_ID, secret=RIVAL_SECRET)}"
    answer = await portal.get(TARGET, authorization=rival, headers=[("Origin", RIVAL_ORIGIN)])
    assert answer.header(ALLOW) == RIVAL_ORIGIN


@pytest.mark.parametrize("path", ["/portal/api/bridge/scenarios", "/api/bridge/scenarios", "/api/scenarios/1/"])
async def test_c07_a_browser_is_answered_at_the_edge_and_never_told_to_send_its_credentials(portal, path):
    answer = await portal.client.send("OPTIONS", path, headers=asking(ACME_ORIGIN))
    assert (answer.status, answer.body, answer.header(ALLOW)) == (204, b"", ACME_ORIGIN)
    assert answer.header("access-control-allow-headers") == "authorization, content-type, idempotency-key"
    assert answer.header("access-control-allow-credentials") is None
    assert answer.header("vary") == "origin"
    called = await portal.get(TARGET, headers=[("Origin", ACME_ORIGIN)])
    assert called.header("access-control-allow-credentials") is None
    assert called.header("access-control-allow-origin") != "*"


async def test_other_addresses_answer_no_preflight(portal):
    for path in ("/api/v2/scenarios", "/flow-api/x", "/demo/api/token", "/live", "/portal/apix"):
        answer = await portal.client.send("OPTIONS", path, headers=asking(ACME_ORIGIN))
        assert answer.status in {404, 405}
        assert headers_of_cors(answer) == set()


async def test_c06_a_flood_of_invented_origins_costs_few_look_ups():
    portal = Portal(rates(general=10, strangers=5))
    portal.forget()
    known = await portal.send("OPTIONS", TARGET, sub=None, headers=asking(ACME_ORIGIN))
    assert known.status == 204
    answers = [
        await portal.send("OPTIONS", TARGET, sub=None, headers=asking(f"https://a{n}.example")) for n in range(50)
    ]
    assert [answer.status for answer in answers] == [403] * 10 + [429] * 40
    assert len(portal.directories.looked_up) == 16
    assert (await portal.send("OPTIONS", TARGET, sub=None, headers=asking(ACME_ORIGIN))).status == 204
