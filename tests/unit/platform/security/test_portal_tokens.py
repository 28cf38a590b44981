"""Portal tokens: the official sample's are taken, every variation on the theme is rejected for its own reason."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, x25519

from make_bridge.kernel.errors import ConfigurationError, Unauthenticated
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security.portal_tokens import (
    ExpectedClaims,
    PortalKey,
    TokenFault,
    TokenRejected,
    mint_portal_token,
    public_key,
    read_bearer,
    read_token,
    shared_key,
    verify_token,
)

SECRET = "k3Yk3Yk3Yk3Yk3Yk3Yk3Yk3Yk3Yk3Yk3Yk3Yk3Yk3Yk"
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
T = int(NOW.timestamp())
SEVEN = OrganizationId(7)
KEY = PortalKey(key_id="key-0001", organization_id=SEVEN, algorithm="HS256", material=shared_key(SECRET))
EXPECTED = ExpectedClaims(issuers=frozenset({"https://app.example"}), audiences=frozenset({"https://bridge.example"}))
CLAIMS = {"sub": "fakeUserId", "jti": "6f1e2b1c-9b7e-4a53-8d2f-0d8a3c1b5e4f", "iat": T, "exp": T + 120}
PAYLOAD = json.dumps(CLAIMS).encode()
HEADER = {"alg": "HS256", "typ": "JWT", "kid": "key-0001"}


def encode(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def raw_token(header, payload, secret=SECRET, digest=hashlib.sha256):
    """Sign any two texts: what a hostile client would do, and no library would."""
    signed = f"{encode(header)}.{encode(payload)}"
    return f"{signed}.{encode(hmac.new(secret.encode(), signed.encode(), digest).digest())}"


def token(header=HEADER, **changes):
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return raw_token(json.dumps(header).encode(), json.dumps(claims).encode())


def verify(compact, key=KEY, now=NOW):
    return verify_token(read_token(compact), key, now, EXPECTED)


def fault(compact, key=KEY, now=NOW):
    with pytest.raises(TokenRejected) as caught:
        verify(compact, key, now)
    assert isinstance(caught.value, Unauthenticated)
    # From outside every fault looks the same.
    assert (caught.value.message, caught.value.reason) == (TokenRejected.__doc__, "unauthenticated")
    return caught.value.fault


def test_the_official_samples_token_is_taken():
    claims = verify(token())
    assert (claims.organization_id, claims.key_id, claims.subject) == (7, "key-0001", "fakeUserId")
    assert claims.token_id == CLAIMS["jti"]
    assert claims.expires_at == NOW + timedelta(seconds=120)
    assert claims.remember_until == NOW + timedelta(seconds=190)
    assert claims.permissions == {"*"}


def test_a_minted_token_is_taken_and_each_is_new():
    compacts = [mint_portal_token("key-0001", SECRET, "müller@example.com", NOW) for _ in range(2)]
    first, second = (verify(compact) for compact in compacts)
    assert first.subject == "müller@example.com"
    assert first.token_id != second.token_id
    short = verify(mint_portal_token("key-0001", SECRET, "u", NOW, lifetime=30, permissions=["scenarios:read"]))
    assert short.expires_at == NOW + timedelta(seconds=30)
    assert short.permissions == {"scenarios:read"}


@pytest.mark.parametrize("value", ["Bearer abc.def.ghi", "bearer abc.def.ghi", "BEARER abc.def.ghi"])
def test_one_bearer_is_read(value):
    assert read_bearer([value]) == "abc.def.ghi"


@pytest.mark.parametrize(
    "values",
    [
        [], [""], ["Bearer"], ["Bearer "], ["Bearer  a.b.c"], [" Bearer a.b.c"], ["Bearer a.b.c "], ["Bearer a.b.c\n"],
        ["Bearer\ta.b.c"], ["Bearer a.b.c, Bearer d.e.f"], ["Bearer a b"], ["Basic a.b.c"], ["Token a.b.c"], ["a.b.c"],
        ["Bearera.b.c"], ["Bearer a.b.c", "Bearer a.b.c"], ["Bearer ä.b.c"],
    ],
)  # fmt: skip
def test_anything_but_one_bearer_is_rejected(values):
    with pytest.raises(TokenRejected) as caught:
        read_bearer(values)
    assert caught.value.fault is TokenFault.NO_BEARER


VALID = token()


@pytest.mark.parametrize(
    "compact",
    [
        "", ".", "..", "a.b", raw_token(b"{}", b""), "a.b.c.d", "a.b.c.d.e", VALID + "=", VALID + "\n", " " + VALID,
        VALID + ".", VALID + "ä", VALID.replace(".", "..", 1), VALID.rsplit(".", 1)[0] + ".", VALID.rsplit(".", 1)[0],
        "{}", '{"payload":"x"}', token(sub="x" * 4000),
    ],
)  # fmt: skip
def test_a_token_of_another_shape_is_rejected_before_it_is_read(compact):
    assert fault(compact) is TokenFault.SHAPE


@pytest.mark.attack("A06")
@pytest.mark.parametrize(
    "change",
    [
        {"kid": None}, {"kid": 1}, {"kid": ["a"]}, {"kid": {}}, {"kid": ""}, {"kid": "short"}, {"kid": "x" * 65},
        {"kid": "../../../dev/null"}, {"kid": "' OR 1=1--"}, {"kid": "key-0001\n"}, {"kid": "key-0001\0"},
        {"kid": "kéy-0001"}, {"alg": None}, {"alg": ["HS256"]}, {"typ": "at+jwt"}, {"typ": None}, {"typ": 1},
        {"jku": "https://evil.example"}, {"x5u": "https://evil.example"}, {"jwk": {"kty": "oct", "k": "AA"}},
        {"x5c": ["x"]}, {"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"zip": "DEF"},
        {"cty": "JWT"}, {"enc": "A256GCM"},
    ],
)  # fmt: skip
def test_a_header_that_asks_for_more_or_names_no_key_is_rejected(change):
    assert fault(token({**HEADER, **change})) is TokenFault.HEADER


@pytest.mark.parametrize("header", [{}, {"alg": "HS256"}, {"kid": "key-0001"}, [], "HS256", 1, None])
def test_a_header_that_is_none_is_rejected(header):
    assert fault(token(header)) is TokenFault.HEADER


@pytest.mark.attack("A27")
@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"none","alg":"HS256","kid":"key-0001"}', b'{"alg":"HS256","kid":"key-0001","kid":"key-0002"}',
        b'{"alg":"HS256","kid":"key-0001"', b"\xff", b"\xef\xbb\xbf" + json.dumps(HEADER).encode(), b"[" * 1000,
        b'{"alg":"HS256","\\u0061lg":"none","kid":"key-0001"}',
    ],
)  # fmt: skip
def test_a_header_that_two_parsers_would_read_differently_is_rejected(header):
    assert fault(raw_token(header, PAYLOAD)) is TokenFault.HEADER


@pytest.mark.attack("A01")
@pytest.mark.parametrize(
    "algorithm", ["none", "None", "nOnE", "", "HS384", "HS512", "RS256", "EdDSA", "ES256", "hs256", "HS256 "]
)
def test_an_algorithm_other_than_the_keys_is_rejected_whatever_the_signature(algorithm):
    header = {**HEADER, "alg": algorithm}
    assert fault(token(header)) is TokenFault.ALGORITHM
    unsigned = f"{encode(json.dumps(header).encode())}.{encode(PAYLOAD)}.AA"
    assert fault(unsigned) is TokenFault.ALGORITHM


def test_a_token_signed_with_a_longer_hash_under_the_right_name_is_rejected():
    compact = raw_token(json.dumps(HEADER).encode(), PAYLOAD, digest=hashlib.sha512)
    assert fault(compact) is TokenFault.SIGNATURE


def test_an_unknown_foreign_or_retired_key_is_rejected():
    other = PortalKey(
        key_id="key-0002", organization_id=OrganizationId(8), algorithm="HS256", material=shared_key(SECRET)
    )
    assert fault(VALID, key=None) is TokenFault.UNKNOWN_KEY
    assert fault(VALID, key=other) is TokenFault.UNKNOWN_KEY
    retired = PortalKey(
        key_id="key-0001", organization_id=SEVEN, algorithm="HS256", material=KEY.material, not_after=NOW
    )
    assert fault(VALID, key=retired) is TokenFault.RETIRED_KEY
    assert verify(VALID, key=retired, now=NOW - timedelta(seconds=1))


def test_a_signature_by_another_secret_or_over_another_text_is_rejected():
    head, payload, signature = VALID.split(".")
    forged = encode(json.dumps({**CLAIMS, "sub": "victim"}).encode())
    assert fault(raw_token(json.dumps(HEADER).encode(), PAYLOAD, "x" * 43)) is TokenFault.SIGNATURE
    assert fault(f"{head}.{forged}.{signature}") is TokenFault.SIGNATURE
    assert fault(f"{head}.{payload}.{signature[:-1]}") is TokenFault.SIGNATURE
    assert fault(f"{head}.{payload}.{'A' * 43}") is TokenFault.SIGNATURE


@pytest.mark.attack("A30")
def test_a_token_has_one_writing_only():
    head, payload, signature = VALID.split(".")
    # 43 characters carry 258 bits for 256: the last one may be written in four ways, three of them loose.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    start = alphabet.index(signature[-1])
    for loose in range(1, 4):
        twin = signature[:-1] + alphabet[start + loose]
        assert base64.urlsafe_b64decode(twin + "=") == base64.urlsafe_b64decode(signature + "=")
        assert fault(f"{head}.{payload}.{twin}") is TokenFault.SIGNATURE


@pytest.mark.attack("A27")
@pytest.mark.parametrize(
    "payload",
    [
        b"x", b"[]", b'"sub"', b"null", b"\xff", b"{", b"[" * 2000,
        PAYLOAD[:-1] + b',"sub":"victim"}',
        PAYLOAD[:-1] + b',"\\u0073ub":"victim"}',
        PAYLOAD.replace(str(T + 120).encode(), b"1e400"),
        PAYLOAD.replace(str(T + 120).encode(), b"NaN"),
        PAYLOAD.replace(str(T + 120).encode(), b"Infinity"),
        PAYLOAD.replace(str(T + 120).encode(), b"9" * 400),
        PAYLOAD.replace(b"fakeUserId", b"\\ud800"), b'{"a":' * 100 + b"1" + b"}" * 100,
    ],
)  # fmt: skip
def test_a_payload_that_is_not_strict_json_is_rejected(payload):
    compact = raw_token(json.dumps(HEADER).encode(), payload)
    assert fault(compact) is TokenFault.PAYLOAD


@pytest.mark.parametrize(
    "subject",
    [None, "", " ", "\t", 1, 1.5, True, [], {}, ["u"], "x" * 256, "a\nb", "a\x7fb", "a\x85b", "a\u2028b", "\x1b[2J"],
)
def test_a_subject_that_names_nobody_is_rejected(subject):
    assert fault(token(sub=subject)) is TokenFault.SUBJECT


@pytest.mark.parametrize(
    "subject", ["u", "x" * 255, "anne.müller+1@example.com", "山田 太郎", "user|1", "👩‍🚀", "a'b\"c\\d"]
)
def test_a_subject_may_be_any_text(subject):
    assert verify(token(sub=subject)).subject == subject


@pytest.mark.parametrize(
    "token_id", [None, "", "x" * 15, "x" * 129, 1, True, ["x" * 20], "x" * 20 + "\n", "x y" * 8, "é" * 20, "a.b" * 8]
)
def test_a_token_id_that_cannot_be_remembered_is_rejected(token_id):
    assert fault(token(jti=token_id)) is TokenFault.TOKEN_ID


@pytest.mark.parametrize("token_id", ["x" * 16, "x" * 128, "0f8fad5b-d9cb-469f-a165-70867728950e", "_-" * 10])
def test_a_token_id_may_be_any_plain_text_of_fair_length(token_id):
    assert verify(token(jti=token_id)).token_id == token_id


@pytest.mark.attack("A14")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": None}, TokenFault.TIME),
        ({"exp": None, "iat": None}, TokenFault.TIME),
        ({"exp": str(T + 60)}, TokenFault.TIME),
        ({"exp": T + 60.5}, TokenFault.TIME),
        ({"exp": float(T + 60)}, TokenFault.TIME),
        ({"exp": True}, TokenFault.TIME),
        ({"exp": [T + 60]}, TokenFault.TIME),
        ({"iat": str(T)}, TokenFault.TIME),
        ({"iat": T + 0.5}, TokenFault.TIME),
        ({"iat": False}, TokenFault.TIME),
        ({"nbf": "now"}, TokenFault.TIME),
        ({"nbf": T - 0.5}, TokenFault.TIME),
        ({"exp": T - 11, "iat": T - 100}, TokenFault.EXPIRED),
        ({"exp": T - 31_536_000, "iat": T - 31_536_100}, TokenFault.EXPIRED),
        ({"exp": 0, "iat": 0}, TokenFault.EXPIRED),
        ({"exp": -1}, TokenFault.EXPIRED),
        ({"iat": T + 11, "exp": T + 60}, TokenFault.NOT_YET_VALID),
        ({"iat": T + 3600, "exp": T + 3660}, TokenFault.NOT_YET_VALID),
        ({"nbf": T + 11}, TokenFault.NOT_YET_VALID),
        ({"exp": T + 121}, TokenFault.LIFETIME_TOO_LONG),
        ({"exp": T + 315_360_000}, TokenFault.LIFETIME_TOO_LONG),
        ({"exp": 2**63 - 1}, TokenFault.LIFETIME_TOO_LONG),
        ({"iat": None, "exp": T + 131}, TokenFault.LIFETIME_TOO_LONG),
        ({"iat": T - 131, "exp": T - 5}, TokenFault.LIFETIME_TOO_LONG),
        ({"iat": 0, "exp": T + 60}, TokenFault.LIFETIME_TOO_LONG),
        ({"iat": T + 5, "exp": T + 5}, TokenFault.TIME),
        ({"iat": T + 9, "exp": T + 1}, TokenFault.TIME),
    ],
)
def test_times_are_whole_seconds_close_to_now(changes, expected):
    assert fault(token(**changes)) is expected


@pytest.mark.attack("A11")
@pytest.mark.parametrize(
    "changes",
    [
        {"exp": T - 9, "iat": T - 100}, {"exp": T + 1}, {"iat": T + 10, "exp": T + 130}, {"iat": T - 119, "exp": T + 1},
        {"iat": T - 129, "exp": T - 9}, {"nbf": T + 10}, {"nbf": T - 100_000}, {"iat": None},
        {"iat": None, "exp": T + 130},
    ],
)  # fmt: skip
def test_clocks_may_differ_by_ten_seconds(changes):
    assert verify(token(**changes))


@pytest.mark.parametrize(
    ("claim", "value", "expected"),
    [
        ("iss", "https://app.example.evil", TokenFault.ISSUER),
        ("iss", "https://app", TokenFault.ISSUER),
        ("iss", "HTTPS://APP.EXAMPLE", TokenFault.ISSUER),
        ("iss", ["https://app.example"], TokenFault.ISSUER),
        ("iss", {}, TokenFault.ISSUER),
        ("iss", "", TokenFault.ISSUER),
        ("aud", "https://other.example", TokenFault.AUDIENCE),
        ("aud", [], TokenFault.AUDIENCE),
        ("aud", ["https://bridge.example", "https://other.example"], TokenFault.AUDIENCE),
        ("aud", [["https://bridge.example"]], TokenFault.AUDIENCE),
        ("aud", 1, TokenFault.AUDIENCE),
        ("aud", {"https://bridge.example": 1}, TokenFault.AUDIENCE),
    ],
)
def test_issuer_and_audience_are_strict_when_they_are_there(claim, value, expected):
    assert fault(token(**{claim: value})) is expected


def test_null_is_there_too():
    for name in ("iss", "aud", "iat", "nbf", "permissions"):
        payload = json.dumps({**CLAIMS, name: None}).encode()
        assert fault(raw_token(json.dumps(HEADER).encode(), payload))


@pytest.mark.parametrize(
    "changes", [{"iss": "https://app.example"}, {"aud": "https://bridge.example"}, {"aud": ["https://bridge.example"]}]
)
def test_the_right_issuer_and_audience_are_taken(changes):
    assert verify(token(**changes))


@pytest.mark.parametrize(
    "changes", [{"iss": "anybody"}, {"aud": "x" * 255}, {"aud": ["one", "another"]}, {"iss": "a", "aud": ["b"] * 16}]
)
def test_where_nobody_is_expected_issuer_and_audience_may_be_any_text(changes):
    assert verify_token(read_token(token(**changes)), KEY, NOW, ExpectedClaims()).subject


NO_ISSUERS: list[object] = ["", "x" * 256, "a\nb", 1, ["a"], {}, True]
NO_AUDIENCES: list[object] = ["", "x" * 256, "a\nb", 1, [], [1], [["a"]], {}, ["a"] * 17]


@pytest.mark.parametrize(
    ("claim", "value", "expected"),
    [
        *(("iss", value, TokenFault.ISSUER) for value in NO_ISSUERS),
        *(("aud", value, TokenFault.AUDIENCE) for value in NO_AUDIENCES),
    ],
)
def test_where_nobody_is_expected_they_are_still_texts_of_fair_length(claim, value, expected):
    with pytest.raises(TokenRejected) as caught:
        verify_token(read_token(token(**{claim: value})), KEY, NOW, ExpectedClaims())
    assert caught.value.fault is expected


@pytest.mark.parametrize(
    ("scope", "asked", "granted"),
    [
        ({"a", "b"}, None, {"a", "b"}), ({"a", "b"}, ["b", "c"], {"b"}), ({"a"}, ["*"], {"a"}), ({"*"}, ["a"], {"a"}),
        ({"*"}, ["*"], {"*"}), ({"a"}, [], set()), ({"a"}, ["b"], set()),
    ],
)  # fmt: skip
def test_a_token_gets_what_it_asks_for_and_the_key_may_grant(scope, asked, granted):
    key = PortalKey(
        key_id="key-0001", organization_id=SEVEN, algorithm="HS256", material=KEY.material, permissions=frozenset(scope)
    )
    assert verify(token(permissions=asked), key).permissions == granted


@pytest.mark.parametrize("permissions", ["*", {"*": 1}, [1], ["a", None], ["A B"], ["a"] * 65, [""], ["x" * 65]])
def test_permissions_that_are_no_list_of_words_are_rejected(permissions):
    assert fault(token(permissions=permissions)) is TokenFault.PERMISSIONS


def public_pem(private):
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(encoding, form).decode()


def private_pem(private):
    form, cipher = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, form, cipher).decode()


@pytest.fixture(scope="module")
def rsa_key():
    private = rsa.generate_private_key(65537, 2048)
    return private, lambda text: private.sign(text, padding.PKCS1v15(), hashes.SHA256())


@pytest.fixture(scope="module")
def ed25519_key():
    private = ed25519.Ed25519PrivateKey.generate()
    return private, private.sign


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
def test_an_integrator_may_keep_the_private_half(algorithm, rsa_key, ed25519_key):
    private, sign = rsa_key if algorithm == "RS256" else ed25519_key
    pem = public_pem(private)
    key = PortalKey(key_id="key-0001", organization_id=SEVEN, algorithm=algorithm, material=public_key(algorithm, pem))
    header = {**HEADER, "alg": algorithm}
    signed = f"{encode(json.dumps(header).encode())}.{encode(PAYLOAD)}"
    assert verify(f"{signed}.{encode(sign(signed.encode()))}", key).subject == "fakeUserId"
    assert fault(f"{signed}.{encode(sign(b'other'))}", key) is TokenFault.SIGNATURE
    # The public half is no secret: a token signed with its text as an HMAC key is a forgery.
    confused = raw_token(json.dumps(HEADER).encode(), PAYLOAD, pem)
    assert fault(confused, key) is TokenFault.ALGORITHM
    renamed = raw_token(json.dumps(header).encode(), PAYLOAD, pem)
    assert fault(renamed, key) is TokenFault.SIGNATURE


@pytest.mark.attack("A32")
def test_a_key_that_cannot_protect_is_refused_when_it_is_registered(rsa_key, ed25519_key):
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the weak key of the test
    exchange = x25519.X25519PrivateKey.generate()
    rsa_private, edwards_private = rsa_key[0], ed25519_key[0]
    for pem in (private_pem(rsa_private), public_pem(small), public_pem(edwards_private), "", SECRET):
        with pytest.raises(ConfigurationError):
            public_key("RS256", pem)
    for pem in (
        private_pem(edwards_private),
        public_pem(exchange),
        public_pem(rsa_private),
        "-----BEGIN PUBLIC KEY-----",
    ):
        with pytest.raises(ConfigurationError):
            public_key("EdDSA", pem)
    for secret in ("", "x", "x" * 31, public_pem(rsa_key[0])):
        with pytest.raises(ConfigurationError):
            shared_key(secret)


def test_nothing_shows_a_secret():
    shown = f"{KEY!r} {read_token(VALID)!r} {verify(VALID)!r}"
    assert SECRET not in shown
    assert VALID not in shown
    assert VALID.split(".")[2] not in shown
