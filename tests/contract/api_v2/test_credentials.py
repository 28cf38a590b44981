"""Portal keys and API tokens over the API: two slots, one algorithm per key, scopes, secrets shown once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from make_bridge.domain.credential_requests.handing_over import HAND_OVER
from make_bridge.domain.organizations.model import OWN_IDENTITY, SCOPES
from make_bridge.domain.users.roles import MEMBERS_READ, MEMBERS_WRITE, OWN_PASSWORD, OWN_SESSIONS
from support.portal import refusal

# What only people do: no scope of keys or tokens.
PEOPLES = {MEMBERS_READ, MEMBERS_WRITE, OWN_PASSWORD, OWN_SESSIONS}


def of(integrator, what="keys"):
    return f"/organizations/{integrator.facts.organization_id}/{what}"


def pem(private):
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def rows(api):
    """Run a statement on the directory."""

    async def run(statement, *parameters):
        async with api.shards.directory.write() as tx:
            return await tx.all(statement, parameters)

    return run


# Portal keys.


async def test_a_rotation_makes_a_current_key_and_gives_the_one_before_an_end(acme):
    before = (await acme.ask("GET", of(acme)))["keys"]
    assert [(key["keyId"], key["isCurrent"], key["notAfter"]) for key in before] == [(acme.facts.key_id, True, None)]
    answer = await acme.send("POST", f"{of(acme)}/rotate", {"overlapSeconds": 600})
    made = answer.json()["key"]
    assert answer.header("cache-control") == "no-store"
    assert (made["algorithm"], made["isCurrent"], len(made["secret"])) == ("HS256", True, 43)
    current, previous = (await acme.ask("GET", of(acme)))["keys"]
    assert (current["keyId"], previous["keyId"]) == (made["keyId"], acme.facts.key_id)
    left = datetime.fromisoformat(previous["notAfter"]) - datetime.now(UTC)
    assert timedelta(seconds=540) < left <= timedelta(seconds=600)
    assert "secret" not in current


async def test_a_previous_key_that_is_accepted_goes_only_when_that_is_said(acme):
    await acme.ask("POST", f"{of(acme)}/rotate", {"overlapSeconds": 600})
    refusal(await acme.send("POST", f"{of(acme)}/rotate", {"overlapSeconds": 600}), 409, "conflict")
    made = await acme.ask("POST", f"{of(acme)}/rotate", {"overlapSeconds": 0, "replacePrevious": True})
    keys = (await acme.ask("GET", of(acme)))["keys"]
    assert len(keys) == 2
    assert acme.facts.key_id not in {key["keyId"] for key in keys}
    # The one before has ended with the rotation, so the next one takes its slot without a word.
    again = await acme.ask("POST", f"{of(acme)}/rotate")
    keys = (await acme.ask("GET", of(acme)))["keys"]
    assert [key["keyId"] for key in keys] == [again["key"]["keyId"], made["key"]["keyId"]]


async def test_of_rotations_at_once_one_wins_and_two_keys_are_left(acme, rows):
    answers = await asyncio.gather(*(acme.send("POST", f"{of(acme)}/rotate") for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409]
    slots = await rows("SELECT slot FROM directory.portal_keys WHERE organization_id = %s", acme.facts.organization_id)
    assert sorted(row["slot"] for row in slots) == [1, 2]


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
async def test_of_an_asymmetric_key_only_the_public_half_is_here(acme, rows, algorithm):
    private = generate_private_key(65537, 2048) if algorithm == "RS256" else Ed25519PrivateKey.generate()
    body = {"algorithm": algorithm, "publicKey": pem(private), "permissions": ["scenarios:read"]}
    made = (await acme.ask("POST", of(acme), body))["key"]
    assert (made["secret"], made["permissions"], made["algorithm"]) == (None, ["scenarios:read"], algorithm)
    [row] = await rows("SELECT algorithm, permissions FROM directory.portal_keys WHERE kid = %s", made["keyId"])
    assert (row["algorithm"], row["permissions"]) == (algorithm, ["scenarios:read"])
    refusal(await acme.send("POST", of(acme), {}), 409, "conflict")


@pytest.mark.attack("A32")
async def test_a_key_that_is_no_public_key_is_refused_by_name(acme):
    short = pem(generate_private_key(65537, 1024))  # noqa: S505 - what has to be refused
    long = pem(generate_private_key(65537, 4104))
    secret = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    bodies: list[dict[str, Any]] = [
        {"algorithm": "RS256"},
        {"algorithm": "RS256", "publicKey": short},
        {"algorithm": "RS256", "publicKey": long},
        {"algorithm": "EdDSA", "publicKey": secret},
        {"algorithm": "EdDSA", "publicKey": "\u0000"},
        {"algorithm": "RS256", "publicKey": pem(Ed25519PrivateKey.generate())},
        {"algorithm": "HS256", "publicKey": short},
        {"algorithm": "none"},
        {"secret": "x" * 40},
        {"permissions": []},
        {"permissions": ["everything:do"]},
    ]
    for body in bodies:
        told = await acme.send("POST", of(acme), body)
        assert told.status in {400, 422}, (body, told.body)
        assert "PRIVATE" not in told.body.decode()
    assert len((await acme.ask("GET", of(acme)))["keys"]) == 1


@pytest.mark.attack("A06")
async def test_a_key_is_revoked_but_not_the_last_that_is_accepted(acme):
    made = (await acme.ask("POST", f"{of(acme)}/rotate", {"overlapSeconds": 0}))["key"]
    current = f"{of(acme)}/{made['keyId']}"
    refusal(await acme.send("DELETE", current), 406, "IM004")
    # The other key has ended already, so this one is the last.
    refusal(await acme.send("DELETE", f"{current}?confirmed=true"), 409, "conflict")
    await acme.ask("DELETE", f"{of(acme)}/{acme.facts.key_id}?confirmed=true")
    refusal(await acme.send("DELETE", f"{of(acme)}/{acme.facts.key_id}?confirmed=true"), 404, "not_found")
    for odd in ("x", "a%00b234567", "'%20OR%201=1--"):
        refusal(await acme.send("DELETE", f"{of(acme)}/{odd}?confirmed=true"), 404, "not_found")


@pytest.mark.attack("A22")
async def test_keys_of_another_organization_do_not_exist(api, acme):
    other = await api.integrator("Other")
    for method, target in (
        ("GET", of(other)),
        ("POST", of(other)),
        ("POST", f"{of(other)}/rotate"),
        ("DELETE", f"{of(other)}/{other.facts.key_id}?confirmed=true"),
        ("GET", of(other, "tokens")),
        ("DELETE", f"{of(acme)}/{other.facts.key_id}?confirmed=true"),
    ):
        refusal(await acme.send(method, target, {} if method == "POST" else None), 404, "not_found")
    refusal(await acme.send("GET", f"{of(acme)}?teamId={acme.facts.team_id}"), 403, "permission_denied")


async def test_what_was_done_with_keys_is_audited_and_told(api, acme, rows):
    made = (await acme.ask("POST", f"{of(acme)}/rotate"))["key"]
    audit = await rows(
        "SELECT action, object, detail FROM directory.audit WHERE organization_id = %s AND action LIKE %s",
        acme.facts.organization_id,
        "%rotate_key",
    )
    assert [(row["action"], row["object"]) for row in audit] == [
        ("organization.rotate_key", f"portal_key/{made['keyId']}")
    ]
    assert made["secret"] not in str(bytes(audit[0]["detail"]))
    shard = await api.shards.of(acme.facts.organization_id)
    async with shard.read(acme.facts.organization_id) as tx:
        told = await tx.all(
            "SELECT type, payload FROM shard.outbox WHERE organization_id = %s", (acme.facts.organization_id,)
        )
    [event] = [row for row in told if row["type"] == "portal_key.rotated.v1"]
    assert made["secret"] not in bytes(event["payload"]).decode()
    assert acme.facts.key_id in bytes(event["payload"]).decode()


# API tokens.


@pytest.mark.attack("A33", "B13")
async def test_a_token_does_what_its_scopes_say_and_nothing_else(acme):
    body = {"label": "Reader", "permissions": ["scenarios:read", "organizations:read"]}
    made = (await acme.ask("POST", of(acme, "tokens"), body))["token"]
    assert (await acme.send("GET", of(acme), token=made["token"])).status == 200
    told = refusal(await acme.send("GET", "/jobs", token=made["token"]), 403, "permission_denied")
    assert told["detail"] == "Access denied. This token lacks the scope 'jobs:read'."
    told = refusal(await acme.send("POST", of(acme), {}, token=made["token"]), 403, "permission_denied")
    assert "organizations:write" in told["detail"]


async def test_nobody_gives_more_than_they_have(acme):
    owner = {"label": "Owner", "permissions": ["organizations:write", "usage:read"]}
    token = (await acme.ask("POST", of(acme, "tokens"), owner))["token"]["token"]
    for scopes in (["*"], ["scenarios:run"], ["usage:read", "jobs:write"]):
        body = {"label": "More", "permissions": scopes}
        refusal(await acme.send("POST", of(acme, "tokens"), body, token=token), 403, "permission_denied")
        refusal(await acme.send("POST", of(acme), {"permissions": scopes}, token=token), 403, "permission_denied")
    refusal(await acme.send("POST", f"{of(acme)}/rotate", {}, token=token), 403, "permission_denied")
    same = {"label": "Same", "permissions": ["usage:read"]}
    assert (await acme.send("POST", of(acme, "tokens"), same, token=token)).status == 200


async def test_a_wrong_token_is_not_made(acme):
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    for body in (
        {"label": "x", "permissions": ["scenarios:delete"]},
        {"label": "x", "permissions": []},
        {"label": "", "permissions": ["usage:read"]},
        {"label": "a\u0000b", "permissions": ["usage:read"]},
        {"label": "x", "permissions": ["usage:read"], "expiresAt": yesterday},
        {"label": "x", "permissions": ["usage:read"], "expires": yesterday},
        {"label": "x", "permissions": "*"},
    ):
        told = await acme.send("POST", of(acme, "tokens"), body)
        assert told.status in {400, 422}, (body, told.body)
    assert len((await acme.ask("GET", of(acme, "tokens")))["tokens"]) == 1


async def test_there_is_a_most_of_tokens(acme):
    body = {"label": "One of many", "permissions": ["usage:read"]}
    made = [await acme.ask("POST", of(acme, "tokens"), body) for _ in range(4)]
    told = refusal(await acme.send("POST", of(acme, "tokens"), body), 409, "conflict")
    assert "at most 5" in told["detail"]
    await acme.ask("DELETE", f"{of(acme, 'tokens')}/{made[0]['token']['id']}?confirmed=true")
    await acme.ask("POST", of(acme, "tokens"), body)


async def test_tokens_are_listed_without_themselves_and_with_their_last_use(acme, rows):
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    body = {"label": "Robot", "permissions": ["usage:read"], "expiresAt": soon}
    made = (await acme.ask("POST", of(acme, "tokens"), body))["token"]
    listed = await acme.send("GET", of(acme, "tokens"))
    assert made["token"] not in listed.body.decode()
    first, robot = listed.json()["tokens"]
    assert (first["label"], robot["label"], robot["lastUsedAt"]) == ("First token", "Robot", None)
    assert first["lastUsedAt"] is not None
    # What is stored is a digest, and nothing else of the token.
    dump = str(await rows("SELECT * FROM directory.api_tokens WHERE id = %s", made["id"]))
    assert made["token"] not in dump
    refusal(await acme.send("DELETE", f"{of(acme, 'tokens')}/{2**52}?confirmed=true"), 404, "not_found")


async def test_a_use_is_noted_once_a_minute_and_not_with_each_request(api, acme, rows):
    token = acme.facts.api_token
    tokens = acme.facts.organization_id
    await acme.ask("GET", of(acme))
    [first] = await rows("SELECT last_used_at FROM directory.api_tokens WHERE organization_id = %s", tokens)
    for _ in range(3):
        api.forget_tokens()
        assert (await acme.send("GET", of(acme), token=token)).status == 200
    [again] = await rows("SELECT last_used_at FROM directory.api_tokens WHERE organization_id = %s", tokens)
    assert again["last_used_at"] == first["last_used_at"]
    await rows(
        "UPDATE directory.api_tokens SET last_used_at = now() - interval '61 seconds' WHERE organization_id = %s "
        "RETURNING 1",
        tokens,
    )
    api.forget_tokens()
    await acme.ask("GET", of(acme))
    [later] = await rows("SELECT last_used_at FROM directory.api_tokens WHERE organization_id = %s", tokens)
    assert later["last_used_at"] > first["last_used_at"]


@pytest.mark.attack("B13")
def test_every_permission_that_is_asked_for_is_a_scope(api):
    asked = {registration.permission for registration in (*api.commands.registrations, *api.queries.registrations)}
    asked |= {dependency.dependency.access.permission for route in api.routes for dependency in route.dependencies}
    # Its own sessions every person has, and no key or token; answering a request only whoever has its link.
    assert asked - {*PEOPLES, OWN_IDENTITY, HAND_OVER} <= SCOPES
