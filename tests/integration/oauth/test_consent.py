"""A person connects an account: to the provider and back, and everything that must not get in between.

The rows of the list of attacks on OAuth connects are named by their number.
"""

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from make_bridge.domain.oauth.messages import (
    BeginConsent,
    ConnectionAuthorized,
    CreateOAuthApplication,
    CreateOAuthConnection,
    DeleteOAuthApplication,
    DeleteOAuthConnection,
    ListOAuthApplications,
    UpdateOAuthApplication,
)
from make_bridge.kernel.errors import Conflict, InvalidInput, LimitExceeded, NotFound
from make_bridge.platform.security.secrets import encode_organization
from support.endings import make_place
from support.jobs import until
from support.oauth_server import with_query
from support.organizations import administrator, customer

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")


def said(answer):
    return answer.body.decode()


def query_of(address):
    return {name: found[0] for name, found in parse_qs(urlsplit(address).query).items()}


@pytest.fixture
async def on_the_way(oauth):
    """A browser that comes back from the provider, just before the callback."""
    application_id = await oauth.application()
    connection_id = await oauth.pending(application_id)
    browser = oauth.browser()
    begun = await browser.start(await oauth.ticket(connection_id))
    return oauth, connection_id, browser, browser.visit(begun.json()["address"])


async def state_of(oauth, connection_id):
    return (await oauth.shown(connection_id)).state


async def test_a_person_connects_an_account_with_pkce_and_the_tokens_are_sealed(oauth, provider):
    application_id = await oauth.application()
    connection_id = await oauth.pending(application_id)
    assert await state_of(oauth, connection_id) == "pending"
    browser = oauth.browser()
    begun = (await browser.start(await oauth.ticket(connection_id))).json()
    assert (begun["organization"], begun["application"], begun["connection"]) == ("Acme CRM", "Shop", "My shop")
    asked = query_of(begun["address"])
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["redirect_uri"] == f"https://bridge.example/oauth/callback/{application_id}"
    answer = await browser.come_back(browser.visit(begun["address"]))
    assert (answer.status, "“My shop” is connected" in said(answer)) == (200, True)
    shown = await oauth.shown(connection_id)
    assert (shown.state, shown.scope) == ("active", "orders profile")
    assert 3500 < (shown.expires_at - shown.granted_at).total_seconds() <= 3600
    token = await oauth.token(connection_id)
    assert provider.holder(token).user == "dana"
    row = repr(await oauth.row(connection_id)) + repr(await oauth.place.all("SELECT * FROM shard.oauth_applications"))
    issued = provider.issued[0]
    assert not any(secret in row for secret in (issued.access, issued.refresh, provider.clients["bridge"].secret))
    assert await oauth.place.all("SELECT * FROM shard.oauth_attempts") == []
    assert (await oauth.place.events())[ConnectionAuthorized.wire_name] == 1


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
async def test_a_client_shows_who_it_is_the_way_its_provider_wants(oauth, provider, method):
    connection_id = await oauth.connected(method=method)
    assert await oauth.token(connection_id) == provider.issued[0].access


async def test_the_pages_are_closed_and_hold_no_secret(on_the_way):
    oauth, _, browser, location = on_the_way
    page = await oauth.face.send("GET", "/oauth/start")
    done = await browser.come_back(location)
    for answer in (page, done):
        policy = answer.header("content-security-policy")
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.header("referrer-policy") == "no-referrer"
        assert answer.header("cache-control") == "no-store"
    back = query_of(location)
    assert back["code"] not in said(done)
    assert back["state"] not in said(done)


async def test_the_cookie_is_bound_to_this_host(on_the_way):
    _, _, browser, _ = on_the_way
    parts = {part.strip().lower() for part in browser.cookie_line.split(";")[1:]}
    assert browser.cookie.startswith("__Host-")
    assert {"secure", "httponly", "path=/", "samesite=lax"} <= parts
    assert not any(part.startswith("domain") for part in parts)


async def test_i01_a_callback_without_a_state_or_with_a_foreign_one_is_refused(on_the_way, provider):
    oauth, connection_id, browser, location = on_the_way
    other = await make_place(oauth.shards)
    state = query_of(location)["state"]
    foreign = with_query(location, state=state[:11] + "x" * 43)
    elsewhere = with_query(location, state=encode_organization(other.organization_id) + state[11:])
    for wrong in (with_query(location, state=None), foreign, elsewhere, with_query(location, state="x")):
        answer = await browser.come_back(wrong)
        assert answer.status == 401
        assert "has ended or was used before" in said(answer)
    assert provider.asked("authorization_code") == []
    assert await state_of(oauth, connection_id) == "pending"


async def test_i01_a_state_works_once_whatever_comes_of_it(on_the_way, provider):
    oauth, connection_id, browser, location = on_the_way
    answers = await asyncio.gather(*[browser.come_back(location) for _ in range(5)])
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401, 401]
    assert len(provider.asked("authorization_code")) == 1
    assert (await browser.come_back(location)).status == 401
    assert await state_of(oauth, connection_id) == "active"


async def test_i01_a_state_that_is_over_is_refused(on_the_way, provider):
    oauth, connection_id, browser, location = on_the_way
    await oauth.place.execute("UPDATE shard.oauth_attempts SET expires_at = now()")
    assert (await browser.come_back(location)).status == 401
    assert provider.asked("authorization_code") == []
    assert await state_of(oauth, connection_id) == "pending"


async def test_i01_a_ticket_works_once_and_not_for_ever(oauth):
    connection_id = await oauth.pending(await oauth.application())
    ticket = await oauth.ticket(connection_id)
    assert (await oauth.browser().start(ticket)).status == 200
    assert (await oauth.browser().start(ticket)).status == 401
    late = await oauth.ticket(connection_id)
    await oauth.place.execute("UPDATE shard.oauth_attempts SET expires_at = now()")
    assert (await oauth.browser().start(late)).status == 401


async def test_i01_the_state_has_256_random_bits_and_is_kept_as_a_digest(on_the_way):
    oauth, _, _, location = on_the_way
    state = query_of(location)["state"]
    assert len(state) == 11 + 43
    row = await oauth.place.one("SELECT * FROM shard.oauth_attempts")
    assert state not in repr(row)
    assert 800 < (row["expires_at"] - (await oauth.place.one("SELECT now() AS now"))["now"]).total_seconds() <= 900


async def test_i02_the_state_of_another_browser_is_refused_and_used_up(on_the_way, provider):
    oauth, connection_id, browser, location = on_the_way
    victim = oauth.browser()
    await victim.start(await oauth.ticket(await oauth.pending(await oauth.application(client_id="other"))))
    assert victim.cookie != browser.cookie
    for other in (oauth.browser(), victim):
        assert (await other.come_back(location)).status == 401
    assert (await browser.come_back(location)).status == 401
    assert provider.asked("authorization_code") == []
    assert await state_of(oauth, connection_id) == "pending"


async def test_i02_another_page_cannot_begin_for_a_browser(oauth):
    ticket = await oauth.ticket(await oauth.pending(await oauth.application()))
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = await oauth.face.send(
            "POST", "/oauth/start", headers=[("content-type", kind)], body=json.dumps({"ticket": ticket}).encode()
        )
        assert (answer.status, answer.header("set-cookie")) == (415, None)


async def test_i02_a_code_of_somebody_else_is_refused_by_pkce(on_the_way, provider):
    oauth, connection_id, browser, location = on_the_way
    thief = oauth.browser()
    begun = await thief.start(
        await oauth.ticket(await oauth.pending((await oauth.shown(connection_id)).application_id))
    )
    provider.user = "mallory"
    stolen = query_of(thief.visit(begun.json()["address"]))["code"]
    answer = await browser.come_back(with_query(location, code=stolen))
    assert (answer.status, "invalid_grant" in said(answer)) == (400, True)
    assert await state_of(oauth, connection_id) == "pending"


@pytest.mark.parametrize("issuer", ["https://other.example", None, ""], ids=["another", "missing", "empty"])
async def test_i04_the_answer_of_another_provider_is_refused(on_the_way, provider, issuer):
    oauth, connection_id, browser, location = on_the_way
    answer = await browser.come_back(with_query(location, iss=issuer))
    assert (answer.status, "not come from the provider" in said(answer)) == (400, True)
    assert provider.asked("authorization_code") == []
    assert await state_of(oauth, connection_id) == "pending"


async def test_i04_a_provider_that_sends_no_issuer_need_not(oauth, provider):
    provider.sent_issuer = None
    connection_id = await oauth.connected(sends_issuer=False)
    assert await state_of(oauth, connection_id) == "active"


async def test_i04_each_application_has_a_callback_of_its_own(on_the_way, provider):
    oauth, _, browser, location = on_the_way
    other = await oauth.application(client_id="other")
    path = urlsplit(oauth.consents.redirect_uri(other)).path
    answer = await browser.come_back(urlsplit(location)._replace(path=path).geturl())
    assert answer.status == 401
    assert provider.asked("authorization_code") == []


@pytest.mark.parametrize("host", ["evil.example", "bridge.example:444", "bridge.example@evil.example"])
async def test_i05_the_redirect_address_is_made_of_the_settings_alone(oauth, host):
    application_id = await oauth.application()
    ticket = await oauth.ticket(await oauth.pending(application_id))
    headers = [("content-type", "application/json"), ("host", host), ("x-forwarded-host", host)]
    answer = await oauth.face.send(
        "POST", "/oauth/start", headers=headers, body=json.dumps({"ticket": ticket}).encode()
    )
    if answer.status == 200:
        asked = query_of(answer.json()["address"])
        assert asked["redirect_uri"] == f"https://bridge.example/oauth/callback/{application_id}"
    else:
        assert answer.status in {400, 421}


@pytest.mark.parametrize("path", ["", "/", "/0", "/x", "/1/2", "/%2e%2e", "/99999999999999999999"])
async def test_i05_no_other_address_takes_an_answer(on_the_way, path):
    _, _, browser, location = on_the_way
    answer = await browser.come_back(urlsplit(location)._replace(path=f"/oauth/callback{path}").geturl())
    assert answer.status in {401, 404}


def answering(status=200, text="{}", kind="application/json", **headers):
    async def fault(_request):
        return web.Response(status=status, text=text, content_type=kind, headers=headers)

    return fault


async def hanging(_request):
    await asyncio.Event().wait()


TOKEN = {"access_token": "at-1", "token_type": "Bearer", "expires_in": 60}
FAULTS = {
    "status 500": answering(500, "broken", "text/plain"),
    "HTML": answering(200, "<html>Sign in</html>", "text/html"),
    "wrong JSON": answering(200, "{", "application/json"),
    "an array": answering(200, "[1]"),
    "10 MB": answering(200, json.dumps(TOKEN | {"access_token": "x" * 10_000_000})),
    "error with 200": answering(200, json.dumps({"ok": False, "error": "bad_code"})),
    "another type": answering(200, json.dumps(TOKEN | {"token_type": "mac"})),
    "no token": answering(200, json.dumps({"token_type": "Bearer"})),
    "a broken token": answering(200, json.dumps(TOKEN | {"access_token": "a\r\nb: c"})),
    "deep nesting": answering(200, "[" * 50_000),
    "nothing": hanging,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
async def test_i06_an_answer_that_is_no_token_connects_nothing_and_says_so(build, provider, fault):
    oauth = await build(call_seconds=1.0)
    connection_id = await oauth.pending(await oauth.application())
    provider.faults["/token"] = fault
    answer = await oauth.browser().agree(await oauth.ticket(connection_id))
    assert answer.status == 400
    assert "Nothing was connected" in said(answer)
    assert await state_of(oauth, connection_id) == "pending"


async def test_i06_a_redirect_of_the_token_endpoint_is_not_followed(oauth, provider):
    connection_id = await oauth.pending(await oauth.application())
    provider.faults["/token"] = answering(307, "", Location=f"{provider.url}/elsewhere")
    answer = await oauth.browser().agree(await oauth.ticket(connection_id))
    assert (answer.status, "status 307" in said(answer)) == (400, True)
    assert [path for path, _ in provider.calls if path == "/elsewhere"] == []


async def test_i06_a_token_without_an_end_is_kept_and_a_smaller_scope_is_shown(oauth, provider):
    provider.lifetime = None
    connection_id = await oauth.connected(scopes=("orders", "admin"))
    shown = await oauth.shown(connection_id)
    assert (shown.expires_at, shown.scope) == (None, "orders")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [("access_denied", "You did not agree"), ("<script>alert(1)</script>", "The provider did not agree")],
    ids=["denied", "markup"],
)
async def test_an_error_of_the_provider_is_a_sentence(on_the_way, error, sentence):
    oauth, connection_id, browser, location = on_the_way
    answer = await browser.come_back(with_query(location, code=None, error=error, error_description="<b>x</b>"))
    assert answer.status == 400
    assert sentence in said(answer)
    assert "alert(1)" not in said(answer)
    assert "<b>" not in said(answer)
    assert await state_of(oauth, connection_id) == "pending"


async def test_somebody_who_does_not_agree_connects_nothing(oauth, provider):
    provider.user = None
    connection_id = await oauth.pending(await oauth.application())
    answer = await oauth.browser().agree(await oauth.ticket(connection_id))
    assert (answer.status, "You did not agree" in said(answer)) == (400, True)


async def test_a_parameter_that_comes_twice_is_refused(on_the_way):
    _, _, browser, location = on_the_way
    assert (await browser.come_back(location + "&code=another")).status == 400
    assert (await browser.come_back(location)).status == 200


@pytest.mark.parametrize("member", ["token_url", "authorize_url", "revoke_url", "userinfo_url"])
@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/t", "http://169.254.169.254/latest", "http://[::1]/t", "file:///etc/passwd", "//x", "x"]
)
async def test_i08_an_internal_address_cannot_be_a_providers(oauth, member, url):
    with pytest.raises(InvalidInput) as caught:
        await oauth.do(CreateOAuthApplication(facts=oauth.facts(**{member: url}), client_secret="s"))
    assert list(caught.value.fields) == [member.replace("_u", "U")]


async def test_i08_an_address_that_is_closed_meanwhile_is_not_called(oauth, provider):
    application_id = await oauth.application()
    connection_id = await oauth.pending(application_id)
    await oauth.place.execute("UPDATE shard.oauth_applications SET token_url = 'http://10.0.0.1/token'")
    answer = await oauth.browser().agree(await oauth.ticket(connection_id))
    assert (answer.status, "not open to calls" in said(answer)) == (400, True)


async def test_i08_plain_http_needs_the_setting(build):
    oauth = await build(plain_http=False)
    with pytest.raises(InvalidInput) as caught:
        await oauth.do(CreateOAuthApplication(facts=oauth.facts(), client_secret="s"))
    assert set(caught.value.fields) == {"tokenUrl", "authorizeUrl", "revokeUrl", "userinfoUrl"}


async def test_i10_what_one_organization_began_does_not_end_in_another(on_the_way, provider):
    oauth, connection_id, browser, location = on_the_way
    other = await make_place(oauth.shards)
    state = query_of(location)["state"]
    answer = await browser.come_back(
        with_query(location, state=encode_organization(other.organization_id) + state[11:])
    )
    assert answer.status == 401
    stranger = administrator(other.organization_id)
    shown = await oauth.shown(connection_id)
    for command in (
        BeginConsent(connection_id=connection_id),
        DeleteOAuthConnection(connection_id=connection_id),
        CreateOAuthConnection(team_id=other.team_id, application_id=shown.application_id, name="Mine"),
        DeleteOAuthApplication(application_id=shown.application_id),
    ):
        with pytest.raises(NotFound):
            await oauth.do(command, stranger)
    assert await oauth.queries.ask(stranger, ListOAuthApplications()) == []
    assert (await browser.come_back(location)).status == 200


async def test_i10_a_customer_begins_for_its_own_team_only(oauth):
    connection_id = await oauth.pending(await oauth.application())
    dana = customer(oauth.organization_id, "dana", oauth.place.team_id + 1024)
    for command in (BeginConsent(connection_id=connection_id), DeleteOAuthConnection(connection_id=connection_id)):
        with pytest.raises(NotFound):
            await oauth.do(command, dana)


async def test_a_person_comes_back_to_the_page_they_began_on_and_to_no_other(oauth):
    connection_id = await oauth.pending(await oauth.application())
    page = "https://acme.example/settings?tab=2#shop"
    answer = await oauth.browser().agree(await oauth.ticket(connection_id, page))
    assert (answer.status, answer.header("location")) == (303, page)
    for elsewhere in (
        "https://evil.example/", "https://acme.example.evil.example/", "https://acme.example@evil.example/",
        "//evil.example", "javascript:alert(1)", "https://acme.example:444/", "http://acme.example/", "/x",
        "https://acme.example\\@evil.example/", "https://evil.example#https://acme.example/",
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match="registered"):
            await oauth.ticket(connection_id, elsewhere)


async def test_a_consent_that_is_given_again_keeps_the_connection_and_its_account(oauth, provider):
    connection_id = await oauth.connected()
    first = provider.issued[0]
    answer = await oauth.browser().agree(await oauth.ticket(connection_id))
    assert answer.status == 200
    token = await oauth.token(connection_id)
    assert (token != first.access, provider.holder(token).user) == (True, "dana")
    provider.user = "mallory"
    answer = await oauth.browser().agree(await oauth.ticket(connection_id))
    assert (answer.status, "another account" in said(answer)) == (400, True)
    assert await oauth.token(connection_id) == token
    await oauth.scene.worker.start()

    async def is_given_back():
        return provider.issued[-1].is_revoked_now

    await until(is_given_back)
    assert provider.holder(token) is not None


async def test_attempts_are_bounded_and_forgotten(build):
    oauth = await build(attempts=2)
    connection_id = await oauth.pending(await oauth.application())
    for _ in range(2):
        await oauth.ticket(connection_id)
    with pytest.raises(LimitExceeded):
        await oauth.ticket(connection_id)
    await oauth.place.execute("UPDATE shard.oauth_attempts SET expires_at = now() - interval '2 hours'")
    await oauth.ticket(connection_id)


async def test_applications_are_bounded_and_one_in_use_stays(build):
    oauth = await build(applications=1)
    application_id = await oauth.application()
    connection_id = await oauth.pending(application_id)
    with pytest.raises(LimitExceeded):
        await oauth.do(CreateOAuthApplication(facts=oauth.facts(client_id="two"), client_secret="s"))
    with pytest.raises(Conflict, match="1 connections"):
        await oauth.do(DeleteOAuthApplication(application_id=application_id))
    await oauth.do(DeleteOAuthConnection(connection_id=connection_id))
    await oauth.do(DeleteOAuthApplication(application_id=application_id))


async def test_a_secret_does_not_go_along_to_another_host(oauth):
    application_id = await oauth.application()
    facts = oauth.facts(token_url="http://127.0.0.1:8099/token")
    with pytest.raises(InvalidInput, match="give the client secret again"):
        await oauth.do(UpdateOAuthApplication(application_id=application_id, facts=facts))
    changed = await oauth.do(UpdateOAuthApplication(application_id=application_id, facts=oauth.facts(name="New name")))
    assert (changed.facts.name, changed.has_secret) == ("New name", True)
    assert "s3cret" not in repr(
        UpdateOAuthApplication(application_id=application_id, facts=facts, client_secret="s3cret")
    )
