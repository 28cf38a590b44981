"""A person connects an account in the wizard's page: the window opens, goes to the provider and back, and closes."""

import pytest
from playwright.sync_api import expect

from support.browser import press, visit, window_opened_by
from support.integrator import new_organization
from support.network import send
from support.oauth_server import serving_provider
from support.server import installed

pytestmark = [pytest.mark.timeout(300), pytest.mark.requires_server("chromium")]
BLUEPRINT = {
    "name": "Orders with consent",
    "flow": [
        {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": 4711, "maxResults": 1}},
        {
            "id": 2,
            "module": "http:ActionSendDataOAuth",
            "version": 3,
            "parameters": {"account": 99, "handleErrors": True},
            "mapper": {"url": "", "method": "post", "parseResponse": True},
        },
    ],
    "metadata": {"version": 1},
}


@pytest.fixture(scope="module")
def provider():
    with serving_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def integrator(provider, tmp_path_factory):
    """An integrator whose application is known to the provider."""
    settings = {"EGRESS_ALLOW": "127.0.0.1", "OAUTH_PLAIN_HTTP": "true"}
    with installed("embedded", tmp_path_factory.mktemp("oauth"), None, **settings) as installation:
        made = new_organization(installation, installation.server().start().url)
        client = provider.client("bridge")
        facts = {
            "name": "Shop",
            "clientId": "bridge",
            "clientSecret": client.secret,
            "authorizeUrl": f"{provider.url}/authorize",
            "tokenUrl": f"{provider.url}/token",
            "hosts": [provider.host],
        }
        headers = {"Authorization": f"Token {made.api_token}"}
        reply = send("POST", f"{made.url}/api/v2/oauth-applications", headers=headers, json_body=facts)
        assert reply.status == 200, reply
        client.redirect_uris.append(reply.json()["oauthApplication"]["redirectUri"])
        yield made


@pytest.fixture
def visitor(browser, provider, tmp_path):
    """A person who goes to the provider, too."""
    visitor = visit(browser, provider.url)
    yield visitor
    visitor.context.close()


def test_the_window_comes_back_by_itself_and_the_account_is_chosen(visitor, provider, integrator):
    wizard = integrator.customer().begin(integrator.publish(BLUEPRINT))
    page = visitor.open(f"{wizard.url}/flow/{wizard.flow_id}#{wizard.secret}")
    press(page, "Get started")
    connect = page.get_by_role("button", name="Connect Shop", exact=True)
    expect(page.get_by_text("Webhook").first).to_be_visible()
    press(page, "Save and continue")
    window = window_opened_by(page, connect.click)
    if not window.is_closed():
        window.wait_for_event("close")
    expect(page.locator("input[type=radio]:checked")).to_have_count(1)
    expect(page.get_by_text("Waiting until you have agreed")).to_have_count(0)
    assert len(provider.asked("authorization_code")) == 1
    assert visitor.complaints == []


def test_an_address_from_elsewhere_says_who_asks_before_it_goes_on(visitor, provider, integrator):
    headers = {"Authorization": f"Token {integrator.api_token}"}
    api = f"{integrator.url}/api/v2"
    [application] = send("GET", f"{api}/oauth-applications", headers=headers).json()["oauthApplications"]
    body = {"teamId": integrator.team_id, "applicationId": application["id"], "name": "My <b>shop</b>"}
    made = send("POST", f"{api}/oauth-connections", headers=headers, json_body=body).json()["oauthConnection"]
    begun = send("POST", f"{api}/oauth-connections/{made['id']}/authorize", headers=headers).json()
    page = visitor.open(begun["startUrl"])
    asked = "Acme CRM asks you to connect your account at Shop as “My <b>shop</b>”."
    expect(page.get_by_role("status")).to_have_text(asked)
    assert "#" not in page.url
    press(page, "Continue")
    expect(page.get_by_text("is connected. You can close this window.")).to_be_visible()
    assert "?" not in page.url
    visitor.expect_complaint("Scripts may close only the windows that were opened by them")
    assert visitor.complaints == []
