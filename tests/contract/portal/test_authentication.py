"""The way into the portal: which credentials open it, once, for whom, and how little a refusal tells."""

import json
from datetime import timedelta

import pytest
from joserfc import jwt
from structlog.testing import capture_logs

from make_bridge.domain.customers.messages import ListCustomers
from make_bridge.domain.integrations.messages import ListIntegrations
from make_bridge.domain.scenarios.messages import ListScenarios
from make_bridge.kernel.context import ActorKind
from make_bridge.platform.security.portal_tokens import shared_key
from support.portal import (
    ACME,
    API_TOKEN,
    DANA_TEAM,
    EVE_TEAM,
    KEY_ID,
    RIVAL,
    RIVAL_KEY_ID,
    RIVAL_SECRET,
    ROOT_TEAM,
    SECRET,
    refusal,
)


@pytest.fixture(autouse=True)
def answers(portal):
    portal.buses.answers |= {ListIntegrations: [], ListScenarios: [], ListCustomers: []}


async def asked(portal, **more):
    """Return the context of one accepted request."""
    answer = await portal.get("/integrations/", **more)
    assert answer.status == 200, answer.body
    context, message = portal.buses.dispatched[-1]
    return context, message


async def test_a_fresh_token_opens_the_portal_for_its_customer(portal):
    context, message = await asked(portal)
    assert (context.organization_id, context.team_id, message.team_id) == (ACME, DANA_TEAM, DANA_TEAM)
    assert (context.actor.kind, context.actor.reference) == (ActorKind.CUSTOMER, "dana")
    assert "scenarios:run" in context.permissions
    assert "customers:write" not in context.permissions


async def test_the_context_carries_the_request_id_of_the_answer(portal):
    answer = await portal.get("/integrations/")
    assert portal.buses.dispatched[-1][0].request_id == answer.header("x-request-id")


async def test_a_token_opens_once(portal):
    header = f"Bearer {portal.token()}"
    assert (await portal.get("/integrations/", authorization=header)).status == 200
    refusal(await portal.get("/integrations/", authorization=header), 401, "token_invalid")
    assert len(portal.buses.dispatched) == 1


@pytest.mark.attack("A20")
async def test_the_same_token_id_of_two_organizations_is_two_tokens(portal):
    def same_id(key_id, secret):
        now = int(portal.clock.now().timestamp())
        claims = {"sub": "dana", "jti": "0123456789abcdef", "iat": now, "exp": now + 60}
        return "Bearer " + jwt.encode({"alg": "HS256", "kid": key_id}, claims, shared_key(secret), algorithms=["HS256"])

    assert (await portal.get("/integrations/", authorization=same_id(KEY_ID, SECRET))).status == 200
    assert (await portal.get("/integrations/", authorization=same_id(RIVAL_KEY_ID, RIVAL_SECRET))).status == 200
    assert portal.buses.dispatched[-1][0].organization_id == RIVAL


async def test_a_token_that_is_not_valid_is_not_used_up(portal):
    await portal.get("/integrations/", authorization=f"Bearer {portal.token()[:-4]}AAAA")
    await portal.get("/integrations/", authorization=f"Bearer {portal.token(age=timedelta(minutes=5))}")
    assert portal.directories.used == set()


async def test_the_scheme_may_be_written_in_any_case(portal):
    await asked(portal, authorization=f"bearer {portal.token()}")


async def test_no_credentials_are_a_sentence_that_says_what_to_send(portal):
    answer = await portal.get("/integrations/", sub=None)
    assert "Authorization: Bearer" in refusal(answer, 401, "token_missing")["detail"]
    assert answer.header("www-authenticate") == "Bearer"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjp3b3Jk",
        "Bearer a b",
        "Bearer a.b",
        "Bearer " + "a" * 8192,
        "Bearer " + ".".join(["a" * 2700] * 3),
        "Bearer a.b.c.d.e",
        "Bearer ..",
        "Bearer \x00.\x00.\x00",
        "Bearer e30.e30.e30",
    ],
)
async def test_what_has_not_the_form_of_a_token_is_refused_unlooked_up(portal, header):
    answer = await portal.get("/integrations/", sub=None, headers=[("Authorization", header)])
    refusal(answer, 401, "token_invalid")
    assert portal.directories.looked_up == []


async def test_two_authorization_headers_are_none(portal):
    headers = [("Authorization", f"Bearer {portal.token()}"), ("Authorization", f"Bearer {portal.token()}")]
    refusal(await portal.get("/integrations/", sub=None, headers=headers), 401, "token_invalid")


async def test_every_fault_of_a_token_is_told_in_the_same_words(portal):
    """Expired, used, forged, unknown, not even a token: one answer but for the request id; the log knows which."""
    used = portal.token()
    assert (await portal.get("/integrations/", authorization=f"Bearer {used}")).status == 200
    compacts = {
        "used": used,
        "expired": portal.token(age=timedelta(minutes=5)),
        "lifetime_too_long": portal.token(lifetime=121),
        "unknown_key": portal.token(key_id="nobodyskey01"),
        "signature": portal.token(secret="another-secret-that-is-long-enough-for-hs256"),
        "header": "e30.e30.e30",
        "shape": "a.b",
        "form": "a" * 8192,
    }
    told, faults = set(), []
    for compact in compacts.values():
        with capture_logs() as logs:
            answer = await portal.get("/integrations/", authorization=f"Bearer {compact}")
        body = refusal(answer, 401, "token_invalid")
        told.add(json.dumps({name: value for name, value in body.items() if name != "requestId"}))
        faults += [entry["fault"] for entry in logs]
    assert len(told) == 1
    assert faults == list(compacts)


async def test_a_stranger_learns_nothing_about_keys(portal):
    """Unknown key, retired key, another's key, wrong secret, other algorithm: one answer, different logs."""
    wrong = "another-secret-that-is-long-enough-for-hs256"
    forged = [
        portal.token(key_id="nobodyskey01"),
        portal.token(secret=wrong),
        portal.token(key_id=RIVAL_KEY_ID),
        portal.token(key_id="nobodyskey01", age=timedelta(minutes=5)),
        portal.token(secret=wrong, age=timedelta(minutes=5)),
    ]
    told, faults = set(), []
    for compact in forged:
        with capture_logs() as logs:
            answer = await portal.get("/integrations/", authorization=f"Bearer {compact}")
        body = refusal(answer, 401, "token_invalid")
        told.add(json.dumps({name: value for name, value in body.items() if name != "requestId"}))
        faults += [entry["fault"] for entry in logs]
    assert len(told) == 1
    assert faults == ["unknown_key", "signature", "signature", "unknown_key", "signature"]


@pytest.mark.parametrize("claims", [{"aud": "bridge-of-acme"}, {"aud": ["bridge-of-acme"]}, {"iss": "acme"}])
async def test_a_token_may_name_the_issuer_and_the_audience_that_are_expected(portal, claims):
    await asked(portal, authorization=f"Bearer {portal.token(claims=claims)}")


@pytest.mark.parametrize(
    "claims", [{"aud": "https://other.example"}, {"aud": ["bridge-of-acme", "x"]}, {"iss": "Acme"}]
)
async def test_a_token_for_or_from_somebody_else_is_refused(portal, claims):
    refusal(
        await portal.get("/integrations/", authorization=f"Bearer {portal.token(claims=claims)}"), 401, "token_invalid"
    )
    assert portal.directories.used == set()


async def test_a_retired_key_is_no_key(portal):
    portal.directories.not_after = portal.clock.now() - timedelta(seconds=1)
    refusal(await portal.get("/integrations/"), 401, "token_invalid")


@pytest.mark.attack("H09")
async def test_no_refusal_and_no_log_holds_the_token(portal):
    compact = portal.token(secret="another-secret-that-is-long-enough-for-hs256")
    with capture_logs() as logs:
        answer = await portal.get("/integrations/", authorization=f"Bearer {compact}")
    assert compact.encode() not in answer.body
    assert compact not in str(logs)


# --- what credentials may do


async def test_permissions_are_the_key_s_scope_cut_by_the_token_s_claim(portal):
    portal.directories.key_permissions = frozenset({"integrations:read", "scenarios:read"})
    header = f"Bearer {portal.token(permissions=['integrations:read', 'scenarios:write'])}"
    context, _ = await asked(portal, authorization=header)
    assert context.permissions == {"integrations:read"}


async def test_a_permission_that_is_lacking_is_named(portal):
    header = f"Bearer {portal.token(permissions=['integrations:read'])}"
    answer = await portal.get("/scenarios/", authorization=header)
    assert "'scenarios:read'" in refusal(answer, 403, "permission_denied")["detail"]
    assert portal.buses.dispatched == []


@pytest.mark.attack("A33")
async def test_a_customer_may_not_do_what_is_an_administrator_s(portal):
    mine = ("POST /customers", "DELETE /customers/1", "GET /templates/1", "POST /templates", "PATCH /templates/1",
            "PUT /templates/1", "POST /templates/1/publish", "DELETE /templates/1", "POST /scenarios",
            "PUT /scenarios/7168/blueprint", "POST /scenarios/7168/clone", "DELETE /scenarios/7168")  # fmt: skip
    for line in mine:
        refusal(await portal.send(*line.split()), 403, "permission_denied")
    assert portal.buses.dispatched == []


@pytest.mark.attack("A33")
@pytest.mark.parametrize("scheme", ["Token", "Bearer"])
async def test_an_api_token_opens_the_management_routes_only(portal, scheme):
    header = f"{scheme} {API_TOKEN}"
    assert (await portal.get("/customers", authorization=header)).status == 200
    assert portal.buses.dispatched[-1][0].actor.kind is ActorKind.API_TOKEN
    refusal(await portal.get("/integrations/", authorization=header), 401, "token_kind")


@pytest.mark.parametrize("token", ["8c2b7b1e-1d8f-4a6e-9d2c-ba9876543210", "x", "8c2b7b1e"])
async def test_an_unknown_api_token_is_refused(portal, token):
    refusal(await portal.get("/customers", authorization=f"Token {token}"), 401, "token_invalid")


# --- teams


async def test_a_customer_may_name_its_own_team_and_no_other(portal):
    assert (await portal.get(f"/integrations/?teamId={DANA_TEAM}")).status == 200
    for team in (EVE_TEAM, ROOT_TEAM, 999):
        refusal(await portal.get(f"/integrations/?teamId={team}"), 404, "not_found")
    assert len(portal.buses.dispatched) == 1


async def test_an_administrator_works_in_the_root_team_and_sees_the_whole_organization(portal):
    context, message = await asked(portal, sub="*")
    assert (context.team_id, message.team_id) == (None, ROOT_TEAM)
    assert context.actor.kind is ActorKind.ADMINISTRATOR
    assert portal.directories.resolved == []


async def test_an_administrator_may_name_any_team_of_the_organization(portal):
    answer = await portal.get(f"/integrations/?teamId={EVE_TEAM}", sub="*")
    assert answer.status == 200
    context, message = portal.buses.dispatched[-1]
    assert (context.team_id, message.team_id) == (EVE_TEAM, EVE_TEAM)
    refusal(await portal.get("/integrations/?teamId=999", sub="*"), 404, "not_found")


@pytest.mark.parametrize(
    "query",
    [
        *("teamId=", "teamId=abc", "teamId=-1", "teamId=1.0", "teamId=0", "teamId=%00", "teamId=%EF%BC%91"),
        *(f"teamId={2**53}", "teamId=" + "9" * 5000, "teamId=4096&teamId=4096"),
    ],
)
async def test_a_team_that_is_no_number_is_refused(portal, query):
    refusal(await portal.get(f"/integrations/?{query}"), 400, "invalid_team_id")
    assert portal.buses.dispatched == []


@pytest.mark.attack("E34")
async def test_claims_in_headers_change_nothing(portal):
    forged = [
        ("X-Team-Id", str(EVE_TEAM)),
        ("X-User-Id", "eve"),
        ("X-Organization-Id", str(RIVAL)),
        ("Cookie", "sid=1"),
    ]
    context, _ = await asked(portal, headers=forged)
    assert (context.organization_id, context.team_id, context.actor.reference) == (ACME, DANA_TEAM, "dana")


# --- repeated requests


async def test_a_repeatable_request_carries_its_key_and_a_digest_of_what_it_asks(portal):
    await portal.get("/integrations/", headers=[("Idempotency-Key", "k-1")])
    context = portal.buses.dispatched[-1][0]
    assert context.idempotency_key == "k-1"
    assert len(context.body_digest) == 32


async def test_a_short_name_asks_for_the_same(portal):
    digests = set()
    for target in ("/portal/api/bridge/integrations/", "/api/bridge/integrations"):
        await portal.get(target, headers=[("Idempotency-Key", "k-1")])
        digests.add(portal.buses.dispatched[-1][0].body_digest)
    assert len(digests) == 1


async def test_a_key_that_is_none_stops_the_request(portal):
    answer = await portal.get("/integrations/", headers=[("Idempotency-Key", "a b")])
    refusal(answer, 400, "invalid_idempotency_key")
    assert portal.buses.dispatched == []
