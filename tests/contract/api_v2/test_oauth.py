"""OAuth applications and connections over the API: who may, what is shown, what is refused."""

import pytest

NEW = {
    "name": "Shop",
    "clientId": "bridge",
    "clientSecret": "s3cret-of-the-shop",
    "authorizeUrl": "https://shop.example/authorize",
    "tokenUrl": "https://shop.example/token",
    "scopes": ["orders"],
    "hosts": ["API.shop.example", "*.shop.example"],
}


@pytest.fixture
async def application(acme):
    return (await acme.ask("POST", "/oauth-applications", NEW))["oauthApplication"]


def new_connection(acme, application, **changes):
    return {"teamId": acme.facts.team_id, "applicationId": application["id"], "name": "Mine"} | changes


async def test_an_application_is_shown_without_its_secret(acme, application):
    assert application["redirectUri"] == f"https://bridge.example/oauth/callback/{application['id']}"
    assert (application["hosts"], application["authentication"]) == (["api.shop.example", "*.shop.example"], "basic")
    listed = await acme.ask("GET", "/oauth-applications")
    shown = await acme.ask("GET", f"/oauth-applications/{application['id']}")
    assert listed["oauthApplications"] == [application]
    assert (shown["oauthApplication"], application["hasClientSecret"]) == (application, True)
    assert "s3cret" not in f"{listed} {shown} {application}"


async def test_an_application_is_replaced_and_its_secret_stays(acme, application):
    changes = {name: value for name, value in NEW.items() if name != "clientSecret"} | {"name": "New"}
    changed = (await acme.ask("PUT", f"/oauth-applications/{application['id']}", changes))["oauthApplication"]
    assert (changed["name"], changed["hasClientSecret"]) == ("New", True)
    confirmed = f"/oauth-applications/{application['id']}?confirmed=true"
    assert (await acme.send("DELETE", confirmed.partition("?")[0])).status == 406
    await acme.ask("DELETE", confirmed)
    assert (await acme.send("GET", f"/oauth-applications/{application['id']}")).status == 404


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("tokenUrl", "http://shop.example/token"),
        ("tokenUrl", "https://127.0.0.1/token"),
        ("authorizeUrl", "https://shop.example/authorize?state=mine"),
        ("authorizeUrl", "https://u:p@shop.example/authorize"),
        ("hosts", ["*.com"]),
        ("hosts", ["https://shop.example"]),
        ("hosts", ["*"]),
        ("hosts", []),
        ("scopes", ["two words"]),
        ("clientId", "naïve"),
        ("clientSecret", None),
        ("name", "a\u0007b"),
        ("sendsIssuer", True),
        ("issuer", "shop.example"),
        ("pkce", False),
        ("authentication", "jwt"),
    ],
    ids=lambda value: str(value).replace("\a", "7"),
)
async def test_an_application_that_cannot_work_is_refused_beside_its_member(acme, member, value):
    answer = await acme.send("POST", "/oauth-applications", NEW | {member: value})
    named = "issuer" if member == "sendsIssuer" else member
    assert (answer.status, next(iter(answer.json()["fields"])).partition(".")[0]) == (422, named)


async def test_a_connection_is_begun_by_an_address_that_holds_its_ticket_in_the_fragment(acme, application):
    made = await acme.ask("POST", "/oauth-connections", new_connection(acme, application))
    connection = made["oauthConnection"]
    assert (connection["state"], connection["kind"], connection["scopes"]) == ("pending", "authorization_code", [])
    path = f"/oauth-connections/{connection['id']}"
    begun = await acme.ask("POST", f"{path}/authorize")
    page, _, ticket = begun["startUrl"].partition("#")
    assert (page, len(ticket)) == ("https://bridge.example/oauth/start", 54)
    await acme.ask("POST", f"{path}/authorize", {"returnTo": "https://acme.example/done"})
    refused = await acme.send("POST", f"{path}/authorize", {"returnTo": "https://evil.example/"})
    assert (refused.status, list(refused.json()["fields"])) == (422, ["returnTo"])
    listed = await acme.ask("GET", f"/oauth-connections?teamId={acme.facts.team_id}")
    assert listed["oauthConnections"] == [connection]
    assert (await acme.ask("GET", path))["oauthConnection"] == connection
    assert (await acme.send("DELETE", path)).status == 406
    await acme.ask("DELETE", f"{path}?confirmed=true")
    assert (await acme.send("GET", path)).status == 404


async def test_a_connection_of_the_application_itself_needs_nobody(acme, application):
    body = new_connection(acme, application, kind="client_credentials")
    made = (await acme.ask("POST", "/oauth-connections", body))["oauthConnection"]
    assert made["state"] == "active"
    refused = await acme.send("POST", f"/oauth-connections/{made['id']}/authorize")
    assert (refused.status, "nobody has to agree" in refused.json()["detail"]) == (400, True)


async def test_another_organization_finds_none_of_it(api, acme, application):
    other = await api.integrator("Rival")
    made = await acme.ask("POST", "/oauth-connections", new_connection(acme, application))
    paths = (f"/oauth-applications/{application['id']}", f"/oauth-connections/{made['oauthConnection']['id']}")
    for path in paths:
        assert (await other.send("GET", path)).status == 404
        assert (await other.send("DELETE", f"{path}?confirmed=true")).status == 404
    body = new_connection(other, application)
    assert (await other.send("POST", "/oauth-connections", body)).status == 404


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/oauth-applications", "oauth:read"),
        ("POST", "/oauth-applications", "oauth:write"),
        ("GET", "/oauth-connections", "connections:read"),
        ("POST", "/oauth-connections", "connections:write"),
    ],
)
async def test_each_route_asks_for_its_permission(api, method, path, permission):
    acme = await api.integrator()
    await acme.allow_only("usage:read")
    answer = await acme.send(method, path, {} if method == "POST" else None)
    assert (answer.status, permission in answer.json()["detail"]) == (403, True)
