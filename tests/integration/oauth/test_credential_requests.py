"""What is handed over by agreeing at a provider: a new connection, and more scopes of one there is."""

import dataclasses
from urllib.parse import parse_qs, urlsplit

import pytest

from make_bridge.domain.credential_requests.handing_over import HAND_OVER
from make_bridge.domain.credential_requests.messages import (
    BeginHandOver,
    CreateCredentialRequest,
    DeleteCredentialRequest,
    ExtendConnection,
    GetCredentialRequest,
    ResetRequested,
    Wanted,
)
from make_bridge.domain.oauth.messages import DeleteOAuthConnection, HasScopes
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")


def holder_of(oauth, made):
    """Whoever has the link: kept to its team, and to answering."""
    return dataclasses.replace(oauth.context, team_id=made.request.team_id, permissions=frozenset({HAND_OVER}))


async def credential_of(oauth, made):
    found = await oauth.queries.ask(oauth.context, GetCredentialRequest(request_id=made.request.id))
    [credential] = found.credentials
    return credential


async def agree(oauth, made, browser=None):
    """Begin by the link and agree at the provider; return the scopes that were asked for."""
    [credential] = made.request.credentials
    begin = BeginHandOver(request_id=made.request.id, credential_id=credential.id, application_id=None)
    ticket = (await oauth.do(begin, holder_of(oauth, made))).ticket
    browser = browser or oauth.browser()
    begun = await browser.start(ticket)
    address = begun.json()["address"]
    answer = await browser.come_back(browser.visit(address))
    assert answer.status == 200, answer.body
    return parse_qs(urlsplit(address).query)["scope"][0].split()


async def ask_for_shop(oauth, *scope):
    wanted = Wanted(component="account", type="shop", scope=scope)
    return await oauth.do(CreateCredentialRequest(team_id=oauth.place.team_id, wanted=(wanted,)))


async def test_agreeing_hands_the_connection_over_with_the_scopes_that_were_asked_for(oauth):
    await oauth.application()
    made = await ask_for_shop(oauth, "orders", "invoices")
    assert (await credential_of(oauth, made)).state == "pending"
    assert await agree(oauth, made) == ["orders", "profile", "invoices"]
    handed = await credential_of(oauth, made)
    assert handed.state == "authorized"
    assert (await oauth.shown(handed.component_id)).state == "active"
    assert await oauth.token(handed.component_id)
    with pytest.raises(Conflict):
        await agree(oauth, made)
    await oauth.do(ResetRequested(credential_id=handed.id))
    assert (await credential_of(oauth, made)).state == "pending"
    with pytest.raises(NotFound):
        await oauth.shown(handed.component_id)


async def test_a_connection_that_lost_its_consent_is_asked_for_again(oauth):
    await oauth.application()
    made = await ask_for_shop(oauth)
    await agree(oauth, made)
    handed = await credential_of(oauth, made)
    await oauth.place.execute("UPDATE shard.connections SET state = 'needs_consent' WHERE id = %s", handed.component_id)
    assert (await credential_of(oauth, made)).state == "pending"
    await agree(oauth, made)
    assert (await credential_of(oauth, made)).component_id == handed.component_id


async def test_a_connection_is_extended_by_whoever_agrees_and_stays_when_the_request_goes(oauth):
    connection_id = await oauth.connected()
    scoped = HasScopes(connection_id=connection_id, scopes=("orders", "invoices"))
    assert await oauth.queries.ask(oauth.context, scoped) is False
    made = await oauth.do(ExtendConnection(connection_id=connection_id, scopes=("invoices",)))
    assert (await credential_of(oauth, made)).state == "pending"
    assert await agree(oauth, made) == ["orders", "profile", "invoices"]
    assert (await credential_of(oauth, made)).state == "authorized"
    assert await oauth.queries.ask(oauth.context, scoped) is True
    with pytest.raises(InvalidInput):
        await oauth.do(ExtendConnection(connection_id=connection_id, scopes=("orders", "invoices")))
    with pytest.raises(Conflict):
        await oauth.do(ResetRequested(credential_id=made.request.credentials[0].id))
    await oauth.do(DeleteCredentialRequest(request_id=made.request.id))
    assert (await oauth.shown(connection_id)).state == "active"


async def test_whoever_agrees_again_later_agrees_to_as_much(oauth):
    connection_id = await oauth.connected()
    made = await oauth.do(ExtendConnection(connection_id=connection_id, scopes=("invoices",)))
    await agree(oauth, made)
    browser = oauth.browser()
    begun = await browser.start(await oauth.ticket(connection_id))
    assert "invoices" in parse_qs(urlsplit(begun.json()["address"]).query)["scope"][0].split()


async def test_an_extension_of_a_connection_that_went_says_so(oauth):
    connection_id = await oauth.connected()
    made = await oauth.do(ExtendConnection(connection_id=connection_id, scopes=("invoices",)))
    await oauth.do(DeleteOAuthConnection(connection_id=connection_id))
    with pytest.raises(Conflict):
        await agree(oauth, made)


async def test_a_request_that_goes_takes_the_connection_and_its_tokens_along(oauth):
    await oauth.application()
    made = await ask_for_shop(oauth)
    await agree(oauth, made)
    handed = await credential_of(oauth, made)
    await oauth.do(DeleteCredentialRequest(request_id=made.request.id))
    with pytest.raises(NotFound):
        await oauth.shown(handed.component_id)
    jobs = await oauth.place.all("SELECT type FROM shard.jobs")
    assert "oauth.revoke" in {row["type"] for row in jobs}
