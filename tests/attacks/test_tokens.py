"""Attacks on portal tokens (part A), through nginx on two servers that share a database.

Whatever is wrong with a token, the answer is the same and the log says why. `iat`, `nbf`, `iss` and `aud` need not be
there, as in the official sample; where they are, they must be right.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import aiohttp
import pytest

from attacks.scene import LIMITS, LISTED
from make_bridge.domain.customers.directory import CustomerDirectory
from make_bridge.domain.organizations.keys import ApiTokens, PortalKeys, TokenLedger
from make_bridge.faces.edge.authentication import Authenticator, Credentials
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import Unauthenticated
from make_bridge.platform.security.portal_tokens import ExpectedClaims
from support.integrator import signed
from support.network import send
from support.organizations import data_keys_of, make_organization
from support.waiting import until

pytestmark = [pytest.mark.requires_server("postgresql-15", "nginx"), pytest.mark.timeout(300)]
LEEWAY, MOST = 10, 120
TOKENS, LINES = 500, 4


def head(who, **changes):
    return {"alg": "HS256", "typ": "JWT", "kid": who.key_id} | changes


def claims(**changes):
    now = int(time.time())
    given = {"sub": "dana", "jti": str(uuid.uuid4()), "iat": now, "exp": now + 60} | changes
    return {name: value for name, value in given.items() if value is not ...}


def minted(who, head_changes=None, **changes):
    return signed(head(who, **(head_changes or {})), claims(**changes), who.secret)


def packed(part):
    raw = part if isinstance(part, bytes) else (part if isinstance(part, str) else json.dumps(part)).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def sign(head_part, payload, secret, algorithm=hashlib.sha256):
    """Sign any two texts, JSON or not."""
    text = f"{packed(head_part)}.{packed(payload)}"
    return f"{text}.{packed(hmac.new(secret.encode(), text.encode(), algorithm).digest())}"


def told(reply):
    body = reply.json()
    assert set(body) == {"detail", "message", "code", "requestId"}
    return reply.status, body["detail"], body["message"], body["code"]


@pytest.fixture(scope="module")
def refusal(scene):
    """What a request with a forged token is told; all others are told the same."""
    return told(scene.opened(minted(scene.acme)[:-6] + "AAAAAA"))


def refused(scene, refusal, token, *, faults, tenant=None, **headers):
    """Show a token that must open nothing, and hold the answer and the log against what all refusals say."""
    with scene.leaving():
        reply = scene.opened(token, **headers)
    assert (reply.status, told(reply)) == (401, refusal)
    event = scene.event(reply)
    assert (event["event"], event["fault"] in faults) == ("credentials_refused", True), event
    if tenant is not None:
        assert event["organization_id"] == tenant.organization_id
    assert token not in json.dumps(event)


@pytest.mark.parametrize("name", ["none", "None", "nOnE", "NONE", "", "HS384", "HS512", "RS256", "EdDSA"])
@pytest.mark.parametrize("signature", ["empty", "its own", "ours"])
def test_a01_a_token_is_verified_as_its_key_says_and_not_as_itself_says(scene, refusal, name, signature):
    token = minted(scene.acme, {"alg": name})
    text = token.rpartition(".")[0]
    by_hash = {"HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(name, hashlib.sha256)
    own = packed(hmac.new(scene.acme.secret.encode(), text.encode(), by_hash).digest())
    shown = {"empty": f"{text}.", "its own": f"{text}.{own}", "ours": token}[signature]
    refused(scene, refusal, shown, faults={"shape", "header", "algorithm"})


def test_a05_a_key_that_nobody_has_is_looked_up_once_in_a_while(scene):
    with scene.leaving(), scene.statements("FROM directory.portal_keys") as statements:
        began = time.monotonic()
        replies = [scene.opened(minted(scene.acme, {"kid": "nobodyskey01"})) for _ in range(200)]
        seconds = time.monotonic() - began
    assert Counter(reply.status for reply in replies) == {401: 200}
    # Each of two servers may look again every five seconds.
    assert 1 <= len(statements) <= 2 * (1 + seconds / 5), (len(statements), seconds)


def test_a05_ever_new_keys_that_nobody_has_cost_as_many_look_ups_as_the_limits_say(scene, limited):
    limited.know_each_other()
    kids = [f"invented{number:06}" for number in range(400)]
    with scene.leaving(), scene.statements("FROM directory.portal_keys") as statements:
        shown = [{"Authorization": f"Bearer {minted(scene.acme, {'kid': kid})}"} for kid in kids]
        replies = [scene.attack("GET", LISTED, headers=one, url=limited.url, source="127.0.0.5") for one in shown]
    # Each server looks up two more before it knows that it is over.
    most = int(LIMITS["RATE_GENERAL"]) + int(LIMITS["RATE_STRANGERS"]) + 2 * 2
    assert len(statements) <= most
    assert Counter(reply.status for reply in replies)[401] <= most
    assert {reply.status for reply in replies} == {401, 429}
    assert all(int(reply.headers["retry-after"]) > 0 for reply in replies if reply.status == 429)
    # Nobody else is kept out.
    assert scene.opened(minted(scene.rival), url=limited.url).status == 200


KIDS = {
    "a path": "../../dev/null",
    "a path that is encoded": "..%2f..%2fdev%2fnull",
    "a statement": "' OR 1=1--",
    "another statement": "x'; DROP TABLE directory.portal_keys;--",
    "endless": "k" * 2500,
    "longer than a header": "k" * 100_000,
    "an octet zero": "a\0bcdefgh",
    "a line break behind": "{kid}\n",
    "blanks around": " {kid} ",
    "in capitals": "{KID}",
    "a list": ["x"],
    "a list of the right one": ["{kid}"],
    "an object": {"kid": "{kid}"},
    "a number": 7,
    "a truth value": True,
    "nothing": None,
    "empty": "",
    "too short": "short",
    "beyond ASCII": "kéyidkéyid",
    "a name of the language": "__class__",
}


@pytest.mark.parametrize("kind", KIDS)
def test_a06_a_key_id_is_a_short_plain_name_or_none_at_all(scene, refusal, kind):
    kid = json.loads(
        json.dumps(KIDS[kind]).replace("{kid}", scene.acme.key_id).replace("{KID}", scene.acme.key_id.swapcase())
    )
    token = sign(head(scene.acme, kid=kid), claims(), scene.acme.secret)
    if kind == "longer than a header":
        with scene.leaving():
            reply = scene.opened(token)
        # nginx, or the first server behind it, does not even read such a head.
        assert reply.status in {400, 401, 431}
        return
    refused(scene, refusal, token, faults={"form", "shape", "header", "unknown_key"})


@pytest.fixture(scope="module")
def keys_of_a_stranger():
    """A port where somebody offers keys; it notes whether anybody ever came."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def visits(listener):
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c", "x5t"])
def test_a07_a_key_that_the_token_brings_or_names_is_not_used_and_nobody_goes_there(
    scene, refusal, keys_of_a_stranger, name
):
    secret = "k" * 32
    there = f"http://127.0.0.1:{keys_of_a_stranger.getsockname()[1]}/keys"
    offered = {"jwk": {"kty": "oct", "k": packed(secret)}, "x5c": [packed(secret)], "x5t": packed(secret)}
    for by in (secret, scene.acme.secret):
        token = sign(head(scene.acme, **{name: offered.get(name, there)}), claims(), by)
        refused(scene, refusal, token, faults={"header"})
    assert not visits(keys_of_a_stranger)


HEADS = {
    "something critical": {"crit": ["exp"], "exp": 1},
    "an unknown critical": {"crit": ["http://example.com/x"]},
    "an empty critical": {"crit": []},
    "unencoded": {"b64": False, "crit": ["b64"]},
    "packed": {"zip": "DEF"},
    "nested": {"cty": "JWT"},
    "another type": {"typ": "at+jwt"},
    "a type that is no text": {"typ": 1},
    "encrypted": {"enc": "A128GCM", "alg": "dir"},
}


@pytest.mark.parametrize("kind", HEADS)
def test_a08_a_head_that_asks_for_more_than_a_key_and_an_algorithm_opens_nothing(scene, refusal, kind):
    token = minted(scene.acme, HEADS[kind])
    refused(scene, refusal, token, faults={"header", "algorithm"})


def test_a08_only_three_parts_are_a_token(scene, refusal):
    token = minted(scene.acme)
    first, second, third = token.split(".")
    flattened = json.dumps({"protected": first, "payload": second, "signature": third}, separators=(",", ":"))
    for other in (
        f"{first}.{second}.{third}.{third}.{third}",
        f"{first}.{second}",
        flattened,
        f"{token}.",
        f".{token}",
    ):
        refused(scene, refusal, other, faults={"shape", "form"})
    assert scene.opened(token).status == 200


@pytest.mark.parametrize("ago", [LEEWAY + 1, 3600, 365 * 86400])
def test_a09_a_token_that_has_ended_opens_nothing(scene, refusal, ago):
    now = int(time.time())
    token = minted(scene.acme, iat=now - ago - 60, exp=now - ago)
    refused(scene, refusal, token, faults={"expired"}, tenant=scene.acme)


@pytest.mark.parametrize("name", ["exp", "jti", "sub"])
@pytest.mark.parametrize("value", [..., None, "", [], {}, 0])
def test_a10_what_bounds_a_token_cannot_be_left_out(scene, refusal, name, value):
    faults = {"time", "expired", "token_id", "subject"}
    refused(scene, refusal, minted(scene.acme, **{name: value}), faults=faults, tenant=scene.acme)


@pytest.mark.parametrize("name", ["iat", "nbf", "iss", "aud"])
def test_a10_what_the_official_sample_leaves_out_may_be_left_out_and_not_be_null(scene, refusal, name):
    assert scene.opened(minted(scene.acme, **{name: ...})).status == 200
    faults = {"time", "issuer", "audience"}
    refused(scene, refusal, minted(scene.acme, **{name: None}), faults=faults, tenant=scene.acme)


@pytest.mark.parametrize("lifetime", [MOST + 1, 3600, 10 * 365 * 86400])
@pytest.mark.parametrize("says_when", [True, False])
def test_a11_a_token_that_lives_too_long_opens_nothing(scene, refusal, lifetime, says_when):
    now = int(time.time())
    # Without a birth, only an end that a fresh token could not have is too far.
    exp = now + lifetime + (0 if says_when else LEEWAY + 2)
    token = minted(scene.acme, iat=now if says_when else ..., exp=exp)
    refused(scene, refusal, token, faults={"lifetime_too_long"}, tenant=scene.acme)


@pytest.mark.parametrize("iat", [0, -1, 1, -(10**15)])
def test_a12_a_birth_long_ago_is_a_life_too_long(scene, refusal, iat):
    refused(scene, refusal, minted(scene.acme, iat=iat), faults={"lifetime_too_long"}, tenant=scene.acme)


ENDS = {
    "text": '"9999999999"',
    "text of the right moment": '"{exp}"',
    "a fraction": "{exp}.5",
    "a fraction of nothing": "{exp}.0",
    "with an exponent": "1.8e9",
    "not a number": "NaN",
    "endless": "Infinity",
    "endlessly long ago": "-Infinity",
    "true": "true",
    "of 400 digits": "9" * 400,
    "of 400 digits below zero": "-" + "9" * 400,
    "beyond 64 bits": str(2**64),
    "a list": "[{exp}]",
    "an object": '{"exp": {exp}}',
}


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_a14_moments_are_whole_seconds(scene, refusal, kind, name):
    written = ENDS[kind].replace("{exp}", str(int(time.time()) + 30))
    others = json.dumps(claims(**{name: ...}))
    token = sign(head(scene.acme), f'{others[:-1]}, "{name}": {written}}}', scene.acme.secret)
    faults = {"time", "payload", "lifetime_too_long", "expired", "not_yet_valid"}
    refused(scene, refusal, token, faults=faults, tenant=scene.acme)


def test_a16_a_token_opens_once_whichever_server_saw_it_first(scene, refusal):
    token = minted(scene.acme)
    assert scene.opened(token, url=scene.nodes[0].url).status == 200
    for url in (scene.nodes[1].url, scene.nodes[0].url, scene.url, scene.url):
        with scene.leaving():
            reply = scene.opened(token, url=url)
        assert told(reply) == refusal
        event = scene.event(reply)
        assert (event["fault"], event["organization_id"]) == ("used", scene.acme.organization_id)


async def shown_at_once(scene, tokens):
    """Show every token on four lines to each server at the same time; return the accepted ones with their counts."""
    accepted: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    lines = [node.url for node in scene.nodes for _ in range(LINES)]
    gates = [asyncio.Barrier(len(lines)) for _ in range(0, len(tokens), 10)]

    async def show(url):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
            for number, token in enumerate(tokens):
                if number % 10 == 0:
                    await gates[number // 10].wait()
                async with session.get(url + LISTED, headers={"Authorization": f"Bearer {token}"}) as reply:
                    await reply.read()
                    statuses[reply.status] += 1
                    accepted[token] += reply.status == 200

    await asyncio.gather(*map(show, lines))
    return accepted, statuses


async def test_a17_of_one_token_on_eight_lines_to_two_servers_one_is_accepted(scene):
    """Five hundred tokens, each on four connections to either server at the same moment."""
    tokens = [scene.acme.token("dana") for _ in range(TOKENS)]
    accepted, statuses = await shown_at_once(scene, tokens)
    assert set(accepted.values()) == {1}
    assert statuses == {200: TOKENS, 401: TOKENS * (2 * LINES - 1)}


def test_a18_a_used_token_stays_used_when_a_server_and_the_database_are_killed(scene, refusal):
    tokens = [minted(scene.acme, exp=int(time.time()) + MOST) for _ in range(3)]
    assert [scene.opened(token, url=scene.nodes[1].url).status for token in tokens] == [200] * 3
    scene.nodes[1].kill()
    scene.nodes[1].start()
    assert told(scene.opened(tokens[0], url=scene.nodes[1].url)) == refusal
    scene.postgres.kill()
    scene.postgres.start()
    for node in scene.nodes:
        until(node.is_ready, f"{node.name} has its database again", within=30)
    for token in tokens:
        for node in scene.nodes:
            assert told(scene.opened(token, url=node.url)) == refusal


def test_a19_a_used_token_stays_used_around_its_end(scene, refusal):
    """Shown again and again from before its end, leeway included, until two seconds after."""
    end = int(time.time()) - LEEWAY + 3
    token = minted(scene.acme, iat=end - 60, exp=end)
    assert scene.opened(token).status == 200
    shown = 0
    while time.time() < end + LEEWAY + 2:
        reply = scene.opened(token)
        assert told(reply) == refusal
        shown += 1
    assert shown > 20


@dataclass(frozen=True)
class LateClock:
    """The right time, some seconds late."""

    seconds: float
    right: SystemClock = field(default_factory=SystemClock)

    def now(self):
        return self.right.now() - timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.right.monotonic()


def authenticator(shards, clock):
    """What a server whose clock goes like this lets in with."""
    return Authenticator(
        portal_keys=PortalKeys(shards.directory, data_keys_of(shards), clock),
        api_tokens=ApiTokens(shards.directory, clock),
        ledger=TokenLedger(shards.directory),
        customers=CustomerDirectory(shards, clock),
        clock=clock,
        max_token_bytes=4096,
        expected=ExpectedClaims(),
    )


async def test_a19_a_server_whose_clock_is_late_takes_no_used_token(shards):
    """Ten seconds late it still takes what has ended elsewhere: once, also after what is old was forgotten."""
    facts = await make_organization(shards)
    late, right = authenticator(shards, LateClock(10.0)), authenticator(shards, SystemClock())
    now = int(time.time())
    token = signed({"alg": "HS256", "kid": facts.key_id}, claims(iat=now - 60, exp=now - LEEWAY - 4), facts.secret)

    async def shown(to):
        accepts = frozenset({Credentials.PORTAL_TOKEN})
        return await to.authenticate([f"Bearer {token}"], accepts, request_id="a19")

    with pytest.raises(Unauthenticated):
        await shown(right)
    assert (await shown(late)).organization_id == facts.organization_id
    await TokenLedger(shards.directory).purge()
    for server in (late, right):
        with pytest.raises(Unauthenticated):
            await shown(server)


def test_a20_nobody_uses_up_the_token_ids_of_others(scene):
    jti = str(uuid.uuid4())
    assert scene.opened(minted(scene.acme, jti=jti)).status == 200
    assert scene.opened(minted(scene.rival, jti=jti)).status == 200
    assert scene.opened(minted(scene.acme, jti=jti)).status == 401
    # A forged token uses up nothing either.
    victim = minted(scene.rival)
    forged = victim[:-4] + ("AAAA" if victim[-4:] != "AAAA" else "BBBB")
    assert scene.opened(forged).status == 401
    assert scene.opened(victim).status == 200


NAMES_OF_TENANTS = ("iss", "org", "organization", "organizationId", "organization_id", "tenant", "tid", "azp", "teamId")


@pytest.mark.parametrize("name", NAMES_OF_TENANTS)
def test_a22_whose_token_it_is_says_the_key_alone(scene, name):
    template_of_the_victim = scene.rival.administrator().post("/templates", {"blueprint": {"name": "v", "flow": []}})[
        "id"
    ]
    for value in (scene.rival.organization_id, str(scene.rival.organization_id)):
        token = minted(scene.acme, sub="*", **{name: value})
        reply = scene.attack(
            "GET",
            f"/portal/api/bridge/templates/{template_of_the_victim}",
            headers={"Authorization": f"Bearer {token}"},
        )
        assert reply.status in {401, 404}, reply
    headers = {
        "Authorization": f"Bearer {scene.acme.token('*')}",
        "X-Organization-Id": str(scene.rival.organization_id),
    }
    reply = scene.attack("GET", f"/portal/api/bridge/templates/{template_of_the_victim}", headers=headers)
    assert reply.status == 404


def test_a22_a_key_id_of_one_with_the_secret_of_another_is_no_key(scene, refusal):
    token = signed(head(scene.rival), claims(), scene.acme.secret)
    refused(scene, refusal, token, faults={"signature"}, tenant=scene.rival)


AUDIENCES = {
    "another": "https://evil.example",
    "ours among others": ["make-bridge-api", "https://evil.example"],
    "others and ours": ["https://evil.example", "make-bridge-api"],
    "none": [],
    "empty": "",
    "a number": 1,
    "an object": {"make-bridge-api": True},
    "a list in a list": [["make-bridge-api"]],
    "in capitals": "MAKE-BRIDGE-API",
    "the beginning": "make-bridge",
    "with a blank": "make-bridge-api ",
}


@pytest.mark.parametrize("kind", AUDIENCES)
def test_a25_a_token_for_others_opens_nothing(scene, refusal, kind):
    refused(scene, refusal, minted(scene.acme, aud=AUDIENCES[kind]), faults={"audience"}, tenant=scene.acme)


@pytest.mark.parametrize("aud", ["make-bridge-api", ["make-bridge-api"]])
def test_a25_a_token_for_us_is_taken(scene, aud):
    assert scene.opened(minted(scene.acme, aud=aud)).status == 200


ISSUERS = ("make-bridge.evil", "evil.make-bridge", "Make-Bridge", "MAKE-BRIDGE", "make", "make-bridg", "make-bridge ",
           "make-bridge\n", "", ["make-bridge"], {"iss": "make-bridge"}, 1)  # fmt: skip


@pytest.mark.parametrize("issuer", ISSUERS)
def test_a26_an_issuer_is_the_right_one_to_the_letter(scene, refusal, issuer):
    refused(scene, refusal, minted(scene.acme, iss=issuer), faults={"issuer"}, tenant=scene.acme)


def test_a26_the_right_issuer_is_taken(scene):
    assert scene.opened(minted(scene.acme, iss="make-bridge")).status == 200


@pytest.mark.parametrize(
    ("more_head", "more_claims"),
    [
        ("", ',"sub":"eve"'),
        ("", ',"sub":"dana"'),
        ("", ',"\\u0073ub":"eve"'),
        ("", ',"exp":9999999999'),
        ("", ',"jti":"0123456789abcdef"'),
        (',"alg":"none"', ""),
        (',"alg":"HS256"', ""),
        (',"kid":"nobodyskey01"', ""),
        (',"\\u006bid":"nobodyskey01"', ""),
    ],
)
def test_a27_a_member_that_stands_twice_is_no_token(scene, refusal, more_head, more_claims):
    bent_head = json.dumps(head(scene.acme))[:-1] + more_head + "}"
    bent_claims = json.dumps(claims())[:-1] + more_claims + "}"
    refused(scene, refusal, sign(bent_head, bent_claims, scene.acme.secret), faults={"header", "payload"})


def twins(token):
    """Other writings that some readers take for the same token."""
    first, second, third = token.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # A signature of 32 octets fills 43 characters but for two bits, which some decoders ignore.
    loose = [third[:-1] + alphabet[alphabet.index(third[-1]) ^ bits] for bits in (1, 2, 3)]
    yield from (f"{first}.{second}.{other}" for other in loose)
    yield from (f"{token}=", f"{token}==", f"{token}A", f"{first}=.{second}=.{third}=", f"{first}.{second}. {third}")
    yield from (token + "\t", f" {token}", f"{token},{token}", token.replace("-", "+").replace("_", "/") + "=")
    yield from (f"{first}.{second}.{third[:20]}%0a{third[20:]}", token.upper())


def test_a30_a_token_has_one_writing_and_no_other_uses_it_up_or_revives_it(scene):
    token = minted(scene.acme)
    others = [other for other in twins(token) if other != token]
    shown = [{"Authorization": f"Bearer {other}"} for other in others]
    with scene.leaving():
        before = [scene.attack("GET", LISTED, headers=headers).status for headers in shown]
    # Blanks at the end of a header are no part of it: that one is the token itself.
    taken = [other for other, status in zip(others, before, strict=True) if status == 200 and other.strip() != token]
    assert taken == []
    scene.opened(token)
    after = [
        scene.attack("GET", LISTED, headers=headers).status
        for headers in [*shown, {"Authorization": f"Bearer {token}"}]
    ]
    assert set(after) == {401}


def test_a33_no_credential_opens_another_surface(scene, refusal):
    portal, api = (
        {"Authorization": f"Bearer {scene.acme.token('dana')}"},
        {"Authorization": f"Token {scene.acme.api_token}"},
    )
    refusals = [
        scene.attack("GET", f"/api/v2/data-stores?teamId={scene.acme.team_id}", headers=portal),
        scene.attack("GET", LISTED, headers=api),
        scene.attack("GET", LISTED, headers={"Authorization": f"Bearer {scene.acme.api_token}"}),
        scene.attack("GET", "/flow-api/x", headers={"Flow-Secret": scene.acme.api_token}),
        scene.attack("GET", LISTED, headers={"Cookie": f"token={scene.acme.token('dana')}"}),
        scene.attack("GET", f"{LISTED}?token={scene.acme.token('dana')}"),
    ]
    assert {reply.status for reply in refusals} <= {401, 403}, refusals
    assert send("GET", scene.url + LISTED).status == 401
