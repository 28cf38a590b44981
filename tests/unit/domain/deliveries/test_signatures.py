"""Signatures of outbound webhooks: the published example, two secrets, what a secret may be."""

import base64

import pytest

from make_bridge.domain.deliveries.signatures import new_secret, read_secret, signature_header
from make_bridge.kernel.errors import InvalidInput
from support.webhooks import verify

# The example with which the libraries of Standard Webhooks are tested.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, MOMENT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def headers(signature):
    return {"webhook-id": ID, "webhook-timestamp": str(MOMENT), "webhook-signature": signature}


@pytest.mark.attack("D01")
def test_the_published_example_is_signed_as_published():
    assert signature_header(ID, MOMENT, BODY, [read_secret(SECRET)]) == SIGNATURE


@pytest.mark.attack("D01")
def test_both_of_two_secrets_verify_and_a_third_does_not():
    first, second, stranger = new_secret(), new_secret(), new_secret()
    given = headers(signature_header(ID, MOMENT, BODY, [read_secret(second), read_secret(first)]))
    assert given["webhook-signature"].count("v1,") == 2
    assert verify(first, given, BODY, MOMENT) == verify(second, given, BODY, MOMENT) == ID
    with pytest.raises(AssertionError, match="no signature fits"):
        verify(stranger, given, BODY, MOMENT)


@pytest.mark.attack("D06")
@pytest.mark.parametrize("changed", [b'{"test":2432232314}', b'{"test": 2432232315}', b""])
def test_a_changed_body_does_not_verify(changed):
    with pytest.raises(AssertionError, match="no signature fits"):
        verify(SECRET, headers(SIGNATURE), changed, MOMENT)


@pytest.mark.attack("D07")
def test_an_id_with_a_dot_is_never_signed():
    with pytest.raises(ValueError, match="dot"):
        signature_header("msg_1.2", MOMENT, BODY, [b"k" * 24])


def test_a_new_secret_has_its_prefix_and_enough_bytes():
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert len(read_secret(secret)) == 32
    assert new_secret() != secret


@pytest.mark.attack("D05")
@pytest.mark.parametrize(
    "text",
    [
        SECRET.removeprefix("whsec_"),
        "whsec_",
        "whsec_!!!!",
        "whsec_" + base64.b64encode(b"k" * 23).decode(),
        "whsec_" + base64.b64encode(b"k" * 65).decode(),
        "whsec_MfKQ9r8G KYqrTwjUPD8ILPZIo2LaLaSw",
    ],
    ids=["no-prefix", "empty", "no-base64", "short", "long", "junk"],
)
def test_a_secret_of_another_form_is_refused_without_being_shown(text):
    with pytest.raises(InvalidInput) as refused:
        read_secret(text)
    assert text[6:] == "" or text[6:] not in refused.value.message
