"""Signatures of webhook senders: published vectors, and everything a sender can get wrong or forge."""

import base64
import hashlib
import hmac

import pytest

from make_bridge.domain.scenarios.signatures import Reason, SignatureRefused, SignatureRule, key_of, verify

NOW = 1614265330
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(NOW),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
RFC_4231 = b"what do ya want for nothing?"
SECRET, BODY = "a secret of eighteen", b'{"id": "evt_1", "text": "\xc3\xbc\xff"}'


def _raw(headers):
    return [(name.lower().encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers]


def _reason(rule, headers, body, *, secrets=(SECRET,), now=NOW):
    """Why a call is refused; None when it is let in."""
    keys = [key_of(rule.scheme, secret) for secret in secrets]
    try:
        verify(rule, keys, _raw(headers.items() if isinstance(headers, dict) else headers), body, now)
    except SignatureRefused as refusal:
        return refusal.reason
    return None


def _digest(body, secret=SECRET, algorithm="sha256"):
    return hmac.new(secret.encode(), body, algorithm).digest()


def _stripe(body=BODY, time=NOW, secret=SECRET):
    return f"t={time},v1={_digest(f'{time}.'.encode() + body, secret).hex()},v0=old"


def _standard(message_id, time, body, secret=STANDARD_SECRET):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.new(key, f"{message_id}.{time}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


SIGNED = {
    "github": (SignatureRule(scheme="github"), {"X-Hub-Signature-256": f"sha256={_digest(BODY).hex()}"}),
    "shopify": (SignatureRule(scheme="shopify"), {"X-Shopify-Hmac-Sha256": base64.b64encode(_digest(BODY)).decode()}),
    "stripe": (SignatureRule(scheme="stripe"), {"Stripe-Signature": _stripe()}),
    "hmac": (
        SignatureRule(scheme="hmac", header="x-signature", algorithm="sha512", prefix="sig="),
        {"X-Signature": f"sig={_digest(BODY, algorithm='sha512').hex()}"},
    ),
}
SCHEMES = pytest.mark.parametrize("scheme", list(SIGNED))


def test_the_vector_of_standard_webhooks_is_let_in():
    rule = SignatureRule(scheme="standard-webhooks")
    assert _reason(rule, STANDARD_HEADERS, STANDARD_BODY, secrets=[STANDARD_SECRET]) is None


def test_the_vector_of_github_is_let_in():
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"X-Hub-Signature-256": f"sha256={digest}"}
    secrets = ["It's a Secret to Everybody"]
    assert _reason(SignatureRule(scheme="github"), headers, b"Hello, World!", secrets=secrets) is None
    assert _reason(SignatureRule(scheme="github"), headers, b"Hello, World?", secrets=secrets) is Reason.WRONG


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            "sha512",
            (
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a3"
                "4d4a6b4b636e070a38bce737"
            ),
        ),
    ],
    ids=["sha1", "sha256", "sha512"],
)
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_the_vectors_of_rfc_2202_and_4231_are_let_in(algorithm, digest, encoding):
    rule = SignatureRule(scheme="hmac", header="x-s", algorithm=algorithm, encoding=encoding)
    written = digest if encoding == "hex" else base64.b64encode(bytes.fromhex(digest)).decode()
    # The key of the vector is shorter than what may be set.
    verify(rule, [b"Jefe"], _raw([("X-S", written)]), RFC_4231, NOW)


@SCHEMES
def test_a_signed_call_is_let_in(scheme):
    rule, headers = SIGNED[scheme]
    assert _reason(rule, headers, BODY) is None


@SCHEMES
def test_either_of_two_secrets_lets_in_and_an_old_one_that_is_gone_does_not(scheme):
    rule, headers = SIGNED[scheme]
    assert _reason(rule, headers, BODY, secrets=["the newer secret", SECRET]) is None
    assert _reason(rule, headers, BODY, secrets=[SECRET, "the newer secret"]) is None
    assert _reason(rule, headers, BODY, secrets=["the newer secret"]) is Reason.WRONG


@pytest.mark.attack("D06")
@SCHEMES
def test_a_body_that_was_written_anew_is_refused(scheme):
    rule, headers = SIGNED[scheme]
    assert _reason(rule, headers, BODY.replace(b": ", b":")) is Reason.WRONG
    assert _reason(rule, headers, b"") is Reason.WRONG


@pytest.mark.attack("D01", "D04")
@SCHEMES
def test_what_is_cut_lengthened_or_junk_is_refused(scheme):
    rule, headers = SIGNED[scheme]
    [(name, value)] = headers.items()
    ours = value.removesuffix(",v0=old")
    for forged in (
        ours[:-1],
        ours[:-8],
        ours + "0",
        ours[:-2] + "==",
        ours.replace("=", "=!", 1),
        "é" * 40,
        "\x00",
        "=",
    ):
        assert _reason(rule, {name: forged}, BODY) in {Reason.WRONG, Reason.MALFORMED}, forged
    assert _reason(rule, {name: b"\xff\xfe" + value.encode()}, BODY) in {Reason.WRONG, Reason.MALFORMED}


@pytest.mark.attack("D05")
def test_junk_inside_of_base64_is_refused():
    rule, headers = SIGNED["shopify"]
    text = headers["X-Shopify-Hmac-Sha256"]
    for forged in (text[:5] + "!" + text[5:], text[:5] + " " + text[5:], text.rstrip("="), text + "="):
        assert _reason(rule, {"X-Shopify-Hmac-Sha256": forged}, BODY) is Reason.WRONG


@pytest.mark.attack("D01")
@SCHEMES
def test_a_missing_an_empty_and_a_second_header_are_refused(scheme):
    rule, headers = SIGNED[scheme]
    [(name, value)] = headers.items()
    assert _reason(rule, {}, BODY) is Reason.MISSING
    assert _reason(rule, {name: "  "}, BODY) is Reason.MISSING
    assert _reason(rule, [(name, value), (name, value)], BODY) is Reason.MALFORMED


@pytest.mark.attack("D01")
@SCHEMES
def test_a_rule_without_a_secret_refuses_everything(scheme):
    rule, headers = SIGNED[scheme]
    assert _reason(rule, headers, BODY, secrets=[]) is Reason.UNARMED
    empty = {"X-Hub-Signature-256": f"sha256={hmac.new(b'', BODY, 'sha256').hexdigest()}"}
    assert _reason(SignatureRule(scheme="github"), empty, BODY, secrets=[]) is Reason.UNARMED


@pytest.mark.parametrize("seconds", [-301, 301, 10**9])
@pytest.mark.parametrize("scheme", ["stripe", "standard-webhooks"])
def test_a_call_whose_time_is_too_far_from_ours_is_refused(scheme, seconds):
    rule = SignatureRule(scheme=scheme)
    if scheme == "stripe":
        headers, body, secret = {"Stripe-Signature": _stripe()}, BODY, SECRET
    else:
        headers, body, secret = STANDARD_HEADERS, STANDARD_BODY, STANDARD_SECRET
    assert _reason(rule, headers, body, secrets=[secret], now=NOW + seconds) is Reason.STALE
    near = 300 if seconds > 0 else -300
    assert _reason(rule, headers, body, secrets=[secret], now=NOW + near) is None


@pytest.mark.parametrize("time", ["", "1e9", "-5", "1614265330.0", "0x60", "9" * 13, "16142 65330", "١٦١٤٢٦٥٣٣٠"])
def test_a_time_that_is_no_whole_number_is_refused(time):
    headers = STANDARD_HEADERS | {"webhook-timestamp": time}
    reason = _reason(SignatureRule(scheme="standard-webhooks"), headers, STANDARD_BODY, secrets=[STANDARD_SECRET])
    assert reason in {Reason.MALFORMED, Reason.MISSING}
    stripe = _reason(SignatureRule(scheme="stripe"), {"Stripe-Signature": f"t={time},v1=00"}, BODY)
    assert stripe is Reason.MALFORMED


def test_a_time_moved_to_now_does_not_revive_an_old_call():
    moved = STANDARD_HEADERS | {"webhook-timestamp": str(NOW + 5000)}
    rule = SignatureRule(scheme="standard-webhooks")
    assert _reason(rule, moved, STANDARD_BODY, secrets=[STANDARD_SECRET], now=NOW + 5000) is Reason.WRONG
    old = _stripe().replace(f"t={NOW}", f"t={NOW + 5000}")
    assert _reason(SignatureRule(scheme="stripe"), {"Stripe-Signature": old}, BODY, now=NOW + 5000) is Reason.WRONG


@pytest.mark.attack("D07")
def test_an_id_with_a_dot_moves_no_border():
    # Signed as id `a` at NOW over `.x`; read with another border the very same bytes would be another call.
    signature = _standard("a", NOW, f"{NOW}.x".encode())
    shifted = {"webhook-id": f"a.{NOW}", "webhook-timestamp": str(NOW), "webhook-signature": signature}
    rule = SignatureRule(scheme="standard-webhooks")
    assert _reason(rule, shifted, b"x", secrets=[STANDARD_SECRET]) is Reason.MALFORMED


@pytest.mark.attack("D01")
def test_of_several_signatures_one_of_the_known_version_is_enough_and_others_count_for_nothing():
    rule, good = SignatureRule(scheme="standard-webhooks"), STANDARD_HEADERS["webhook-signature"]
    several = STANDARD_HEADERS | {"webhook-signature": f"v1,AAAA v1a,BBBB {good}"}
    assert _reason(rule, several, STANDARD_BODY, secrets=[STANDARD_SECRET]) is None
    for other in (good.replace("v1,", "v2,"), good.replace("v1,", "v1a,"), good.removeprefix("v1,"), "v1,", "v1"):
        headers = STANDARD_HEADERS | {"webhook-signature": other}
        assert _reason(rule, headers, STANDARD_BODY, secrets=[STANDARD_SECRET]) is Reason.WRONG, other
    many = STANDARD_HEADERS | {"webhook-signature": " ".join(["v1,AAAA"] * 20 + [good])}
    assert _reason(rule, many, STANDARD_BODY, secrets=[STANDARD_SECRET]) is Reason.MALFORMED


def test_of_several_stripe_signatures_one_of_version_1_is_enough():
    rule, right = SignatureRule(scheme="stripe"), _digest(f"{NOW}.".encode() + BODY).hex()
    assert _reason(rule, {"Stripe-Signature": f"t={NOW}, v1=00, v1={right}"}, BODY) is None
    assert _reason(rule, {"Stripe-Signature": f"t={NOW},v0={right}"}, BODY) is Reason.WRONG
    assert _reason(rule, {"Stripe-Signature": f"v1={right}"}, BODY) is Reason.MALFORMED
    assert _reason(rule, {"Stripe-Signature": f"t={NOW},t={NOW},v1={right}"}, BODY) is Reason.MALFORMED


@pytest.mark.parametrize(
    ("scheme", "secret"),
    [
        ("github", ""),
        ("hmac", "        "),
        ("stripe", "short"),
        ("shopify", "x" * 501),
        ("standard-webhooks", ""),
        ("standard-webhooks", "whsec_"),
        ("standard-webhooks", "whsec_not base64!"),
        ("standard-webhooks", "whsec_AAAA"),
        ("standard-webhooks", "é" * 30),
    ],
    ids=str,
)
def test_an_empty_or_broken_secret_cannot_be_set(scheme, secret):
    with pytest.raises(ValueError, match="secret"):
        key_of(scheme, secret)
