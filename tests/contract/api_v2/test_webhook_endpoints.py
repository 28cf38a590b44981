"""Webhook endpoints over the API: made, changed, rotated, paused, asked about; sentences for what cannot be."""

import pytest

from support.portal import refusal

URL = "https://example.com/hooks"
NOWHERE = "msg_" + "0" * 32


async def made(acme, **changes):
    return (await acme.ask("POST", "/webhook-endpoints", {"url": URL, **changes}))["webhookEndpoint"]


async def test_an_endpoint_is_made_with_a_secret_that_is_shown_once(acme):
    endpoint = await made(acme, description="Ours", events=["execution.*"])
    assert endpoint.pop("secret").startswith("whsec_")
    assert endpoint["state"] == "active"
    assert (endpoint["url"], endpoint["description"], endpoint["events"]) == (URL, "Ours", ["execution.*"])
    one = f"/webhook-endpoints/{endpoint['id']}"
    assert (await acme.ask("GET", one))["webhookEndpoint"] == endpoint
    assert (await acme.ask("GET", "/webhook-endpoints"))["webhookEndpoints"] == [endpoint]


async def test_an_endpoint_is_changed_rotated_paused_resumed_and_deleted(acme):
    endpoint = await made(acme)
    one = f"/webhook-endpoints/{endpoint['id']}"
    changed = (await acme.ask("PATCH", one, {"description": "Theirs", "events": ["scenario.paused"]}))[
        "webhookEndpoint"
    ]
    assert (changed["url"], changed["description"], changed["events"]) == (URL, "Theirs", ["scenario.paused"])
    rotated = (await acme.ask("POST", f"{one}/rotate-secret"))["webhookEndpoint"]
    assert rotated["secret"] != endpoint["secret"]
    assert rotated["previousSecretUntil"] is not None
    assert (await acme.ask("POST", f"{one}/pause"))["webhookEndpoint"]["state"] == "paused"
    pinged = (await acme.ask("POST", f"{one}/ping"))["message"]["id"]
    [message] = (await acme.ask("GET", f"{one}/messages?state=held"))["messages"]
    assert (message["id"], message["type"], message["state"]) == (pinged, "endpoint.ping.v1", "held")
    shown = (await acme.ask("GET", f"{one}/messages/{pinged}"))["message"]
    assert (shown["log"], '"endpoint.ping.v1"' in shown["body"]) == ([], True)
    refusal(await acme.send("POST", f"{one}/replay", {"since": "2026-01-01T00:00:00Z"}), 409, "endpoint_paused")
    assert (await acme.ask("POST", f"{one}/resume"))["webhookEndpoint"]["state"] == "active"
    answer = await acme.ask("POST", f"{one}/replay", {"since": "2026-01-01T00:00:00Z"})
    assert answer == {"batchId": None, "messages": 0, "more": False}
    assert (await acme.ask("POST", f"{one}/messages/{pinged}/replay"))["message"]["id"] == pinged
    refusal(await acme.send("DELETE", one), 406, "IM004")
    assert (await acme.ask("DELETE", f"{one}?confirmed=true")) == {"webhookEndpoint": endpoint["id"]}
    refusal(await acme.send("GET", one), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "http://example.com/"}, "invalid_url"),
        ({"url": "https://127.0.0.1/"}, "invalid_url"),
        ({"url": "https://me:secret@example.com/"}, "invalid_url"),
        ({"url": URL, "events": ["execution.faild"]}, "invalid_input"),
    ],
    ids=["plain-http", "private", "with-credentials", "unknown-event"],
)
async def test_what_cannot_be_told_is_refused_with_a_sentence(acme, body, code):
    refusal(await acme.send("POST", "/webhook-endpoints", body), 422, code)


async def test_other_bad_requests_are_refused_with_a_sentence(acme):
    endpoint = await made(acme)
    one = f"/webhook-endpoints/{endpoint['id']}"
    for method, path, body, status in (
        ("POST", "/webhook-endpoints", {}, 422),
        ("POST", "/webhook-endpoints", {"url": URL, "events": [""]}, 422),
        ("POST", f"{one}/replay", {}, 422),
        ("POST", f"{one}/replay", {"since": "yesterday"}, 422),
        ("GET", f"{one}/messages?state=lost", None, 400),
        ("GET", f"{one}/messages/{NOWHERE}", None, 404),
        ("GET", f"{one}/messages/x", None, 404),
        ("POST", f"{one}/messages/{NOWHERE}/replay", None, 404),
        ("GET", "/webhook-endpoints/x", None, 404),
        ("POST", "/webhook-endpoints/1024/ping", None, 404),
    ):
        answer = await acme.send(method, path, body)
        assert answer.status == status, (method, path, answer.body)


async def test_endpoints_are_limited_and_belong_to_the_whole_organization(acme, api):
    for _ in range(3):
        await made(acme)
    refusal(await acme.send("POST", "/webhook-endpoints", {"url": URL}), 429, "too_many_endpoints")
    team = f"/webhook-endpoints?teamId={acme.facts.team_id}"
    refusal(await acme.send("GET", team), 403, "permission_denied")
    reader = await api.integrator("Reader")
    await reader.allow_only("webhooks:read")
    assert (await reader.ask("GET", "/webhook-endpoints"))["webhookEndpoints"] == []
    refusal(await reader.send("POST", "/webhook-endpoints", {"url": URL}), 403, "permission_denied")
