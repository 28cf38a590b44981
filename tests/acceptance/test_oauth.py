"""OAuth connects through the served product: from the wizard to the provider, back, and into a scenario's calls.

The provider is a real authorization server; the browser is played over HTTP, with the cookie that it is given.
"""

from urllib.parse import parse_qs, urlsplit

import pytest

from support.integrator import Wizard, new_organization
from support.network import send
from support.oauth_server import serving_provider
from support.server import installed
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
WITHIN = 30.0
BLUEPRINT = {
    "name": "Orders with consent",
    "flow": [
        {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": 4711, "maxResults": 1}},
        {
            "id": 2,
            "module": "http:ActionSendDataOAuth",
            "version": 3,
            "parameters": {"account": 99, "handleErrors": True},
            "mapper": {"url": "", "method": "post", "bodyType": "raw", "data": "x", "parseResponse": True},
        },
        {
            "id": 3,
            "module": "gateway:WebhookRespond",
            "version": 1,
            "mapper": {"status": "201", "body": "{{2.data.sub}}", "headers": []},
        },
    ],
    "metadata": {"version": 1},
}


@pytest.fixture(scope="module")
def provider():
    with serving_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("oauth")
    settings = {"EGRESS_ALLOW": "127.0.0.1", "OAUTH_PLAIN_HTTP": "true", "OAUTH_REFUSAL_PAUSE_SECONDS": "0"}
    with installed("embedded", folder, None, **settings) as installation:
        yield installation, installation.server().start()


class Api:
    """The operator's tools."""

    def __init__(self, integrator):
        self.url, self.token = f"{integrator.url}/api/v2", integrator.api_token

    def ask(self, method, path, body=None):
        reply = send(method, self.url + path, headers={"Authorization": f"Token {self.token}"}, json_body=body)
        assert reply.status == 200, reply
        return reply.json()


def agree(server, start_url):
    """Go to the provider and back as a browser does; return the page at the end, and every address on the way."""
    page, _, ticket = start_url.partition("#")
    shown = send("GET", page)
    assert (shown.status, ticket in shown.body.decode()) == (200, False)
    begun = send("POST", page, json_body={"ticket": ticket})
    assert begun.status == 200, begun
    cookie = begun.headers["set-cookie"].partition(";")[0]
    assert cookie.startswith("make-bridge-oauth=")
    away = send("GET", begun.json()["address"])
    location = away.headers["location"]
    assert location.startswith(f"{server.url}/oauth/callback/")
    return send("GET", location, headers={"Cookie": cookie}), parse_qs(urlsplit(location).query)


def account_field(state):
    fields = [(step, asked) for step in state["steps"] for asked in step["fields"]]
    return next((step, asked) for step, asked in fields if (asked["component"] or {}).get("providers"))


def test_a_customer_connects_an_account_in_the_wizard_and_the_scenario_calls_with_it(served, provider):
    installation, server = served
    integrator = new_organization(installation, server.url)
    api = Api(integrator)
    client = provider.client("bridge")
    application = api.ask(
        "POST",
        "/oauth-applications",
        {
            "name": "Shop",
            "clientId": "bridge",
            "clientSecret": client.secret,
            "authorizeUrl": f"{provider.url}/authorize",
            "tokenUrl": f"{provider.url}/token",
            "revokeUrl": f"{provider.url}/revoke",
            "issuer": provider.url,
            "sendsIssuer": True,
            "scopes": ["orders"],
            "hosts": [provider.host],
        },
    )["oauthApplication"]
    assert application["redirectUri"].startswith(f"{server.url}/oauth/callback/")
    client.redirect_uris.append(application["redirectUri"])
    customer = integrator.customer()
    wizard = customer.begin(integrator.publish(BLUEPRINT), scenario={"name": "Orders", "enable": True})
    connection_id, query = connect_in_the_wizard(server, wizard)
    state = wizard.walk({"URL": f"{provider.url}/api", "Connection": connection_id})
    scenario_id = state["scenario"]["id"]

    def answer():
        reply = send("POST", wizard.hook_url, json_body={"n": 1})
        return reply if reply.status == 201 else None

    assert until(answer, "the scenario calls with the token", within=WITHIN).body == b"dana"
    first = provider.issued[-1].access
    # The target refuses a token that still has its time: it is renewed, and the call is made with the new one.
    provider.end_access(first)
    reply = send("POST", wizard.hook_url, json_body={"n": 2})
    assert (reply.status, reply.body) == (201, b"dana")
    assert len(provider.asked("refresh_token")) == 1
    # The provider takes nothing any more: the connection says so, and the run ends with the error for it.
    provider.end_family(provider.issued[-1].family)
    send("POST", wizard.hook_url, json_body={"n": 3})

    def needs_consent():
        found = api.ask("GET", f"/oauth-connections/{connection_id}")["oauthConnection"]
        return found if found["state"] == "needs_consent" else None

    assert until(needs_consent, "the connection needs consent", within=WITHIN)["reason"]

    def failed():
        logs = customer.get(f"/scenarios/{scenario_id}/logs")
        return next((log for log in logs if log["status"] == 3), None)

    found = until(failed, "the run has ended with an error", within=WITHIN)
    log = customer.get(f"/scenarios/{scenario_id}/logs/{found['id']}")
    assert "needs your consent again" in str(log)
    # The same connection, agreed to once more.
    begun = api.ask("POST", f"/oauth-connections/{connection_id}/authorize")
    page, _ = agree(server, begun["startUrl"])
    assert page.status == 200, page
    assert api.ask("GET", f"/oauth-connections/{connection_id}")["oauthConnection"]["state"] == "active"
    said = server.log.read_text() + str(log) + str(customer.get(f"/scenarios/{scenario_id}/logs"))
    secrets = [one.access.removeprefix("ended-") for one in provider.issued]
    secrets += [one.refresh for one in provider.issued] + [client.secret, query["code"][0], query["state"][0]]
    assert [secret for secret in secrets if secret in said] == []
    api.ask("DELETE", f"/oauth-connections/{connection_id}?confirmed=true")

    def is_revoked():
        return provider.issued[-1].is_revoked_now

    until(is_revoked, "the token was given back", within=WITHIN)


def connect_in_the_wizard(server, wizard: Wizard):
    """Go to the step that asks for an account, and connect one; an attempt that is begun twice is one connection."""
    state = wizard.start()
    while True:
        step, asked = account_field(state)
        if state["currentStep"] == step["id"]:
            break
        here = next(one for one in state["steps"] if one["id"] == state["currentStep"])
        state = wizard.save(here["id"], {one["uuid"]: one["value"] for one in here["fields"]})
    [offered] = asked["component"]["providers"]
    assert (offered["name"], asked["component"]["existing"]) == ("Shop", [])
    body = {"uuid": asked["uuid"], "applicationId": offered["id"], "name": "My shop"}
    path = f"/steps/{step['id']}/authorize"
    first, second = [wizard.call("POST", path, body) for _ in range(2)]
    assert (first.status, second.status) == (200, 200), first
    assert first.json()["connectionId"] == second.json()["connectionId"]
    assert account_field(wizard.state())[1]["component"]["existing"] == []
    page, query = agree(server, second.json()["startUrl"])
    assert (page.status, "is connected" in page.body.decode()) == (200, True), page
    connection_id = first.json()["connectionId"]
    existing = account_field(wizard.state())[1]["component"]["existing"]
    assert existing == [{"id": connection_id, "label": "My shop", "needsConsent": False}]
    return connection_id, query


def test_another_flow_cannot_begin_a_consent_here(served, provider):
    installation, server = served
    integrator = new_organization(installation, server.url, "Rival")
    wizard = integrator.customer().begin(integrator.publish(BLUEPRINT))
    state = wizard.start()
    step = state["steps"][0]
    uuid = step["fields"][0]["uuid"]
    body = {"uuid": uuid, "applicationId": 1024}
    refused = wizard.call("POST", f"/steps/{step['id']}/authorize", body)
    assert refused.status in {400, 404, 422}, refused
    wizard.secret = "wrong"
    assert wizard.call("POST", f"/steps/{step['id']}/authorize", body).status == 401
