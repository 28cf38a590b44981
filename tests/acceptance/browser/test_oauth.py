"""A person connects an account in the wizard's page: the window opens, goes to the provider and back, and closes."""

import pytest
from playwright.sync_api import expect

from support.browser import press, window_opened_by

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


def test_the_window_comes_back_by_itself_and_the_account_is_chosen(traveller, provider, integrator):
    wizard = integrator.customer().begin(integrator.publish(BLUEPRINT))
    page = traveller.open(f"{wizard.url}/flow/{wizard.flow_id}#{wizard.secret}")
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
    assert traveller.complaints == []


def test_an_address_from_elsewhere_says_who_asks_before_it_goes_on(traveller, provider, integrator):
    [application] = integrator.ask("GET", "/oauth-applications")["oauthApplications"]
    body = {"teamId": integrator.team_id, "applicationId": application["id"], "name": "My <b>shop</b>"}
    made = integrator.ask("POST", "/oauth-connections", body)["oauthConnection"]
    begun = integrator.ask("POST", f"/oauth-connections/{made['id']}/authorize")
    page = traveller.open(begun["startUrl"])
    asked = "Acme CRM asks you to connect your account at Shop as “My <b>shop</b>”."
    expect(page.get_by_role("status")).to_have_text(asked)
    assert "#" not in page.url
    press(page, "Continue")
    expect(page.get_by_text("is connected. You can close this window.")).to_be_visible()
    assert "?" not in page.url
    traveller.expect_complaint("Scripts may close only the windows that were opened by them")
    assert traveller.complaints == []
