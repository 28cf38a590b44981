"""Encryption and signatures, checked against known answers and against themselves."""

import base64

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from make_bridge.engine.apps import ciphers
from make_bridge.engine.apps.ciphers import Aes, seal, unseal
from make_bridge.engine.apps.module import ModuleError
from support.one_module import error, outputs, run_module

KEY = "0123456789abcdef0123456789abcdef"
# NIST SP 800-38A, F.2.5, F.1.5 and F.5.5: AES-256, the first block.
NIST_KEY = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
NIST_IV = "000102030405060708090a0b0c0d0e0f"
NIST_COUNTER = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
NIST_PLAIN = "6bc1bee22e409f96e93d7e117393172a"
NIST = {
    "CBC": (NIST_IV, "f58c4c04d6e5f1ba779eabfb5f7bfbd6"),
    "ECB": ("", "f3eed1bdb5d2a03c064b5a7e3db181f8"),
    "CTR": (NIST_COUNTER, "601ec313775789a5b7a7f504bbf3d228"),
}


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key, protection=None):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection or serialization.NoEncryption()
    ).decode()


@pytest.mark.parametrize("data", ["secret é", 12.5, True])
async def test_what_a_passphrase_encrypts_it_decrypts(data):
    (sealed,) = await outputs("encryptor:EncryptAES", {"data": "{{1.d}}", "key": "pass"}, {"d": data})
    mapper = {"data": "{{1.d}}", "key": "pass"}
    plain = {"secret é": "secret é", 12.5: "12.5", True: "true"}[data]
    assert await outputs("encryptor:DecryptAES", mapper, {"d": sealed["data"]}) == [{"data": plain}]


async def test_salt_nonce_and_vector_are_drawn_anew_each_time():
    mapper = {"data": "x", "key": "pass", "outputEncoding": "binary"}
    first, second = [(await outputs("encryptor:EncryptAES", mapper))[0]["data"] for _ in range(2)]
    assert first[4:20] != second[4:20]
    assert first[20:32] != second[20:32]
    mapper = {"data": "x", "key": KEY}
    first, second = [(await outputs("encryptor:EncryptAESAdvanced", mapper))[0]["iv"] for _ in range(2)]
    assert first != second


async def test_binary_stays_binary():
    raw = bytes(range(256))
    mapper = {"data": "{{1.d}}", "key": "k", "outputEncoding": "binary"}
    (sealed,) = await outputs("encryptor:EncryptAES", mapper, {"d": raw})
    assert isinstance(sealed["data"], bytes)
    assert await outputs("encryptor:DecryptAES", mapper, {"d": sealed["data"]}) == [{"data": raw}]
    assert (await error("encryptor:DecryptAES", {"data": "{{1.d}}", "key": "k"}, {"d": sealed["data"]})).message == (
        "The result is no text; choose binary, base64 or hex as its form."
    )


def test_every_changed_bit_and_every_shortening_is_noticed():
    envelope = seal(b"message", b"pass", b"s" * 16, b"n" * 12)
    broken = [
        envelope[:at] + bytes([envelope[at] ^ 1]) + envelope[at + 1 :]
        for at in (0, 5, 19, 20, 31, 32, 38, len(envelope) - 1)
    ]
    for changed in [*broken, *(envelope[:-cut] for cut in (1, 8, 16))]:
        with pytest.raises(ModuleError, match=r"cannot be decrypted|was not encrypted by"):
            unseal(changed, b"pass")
    with pytest.raises(ModuleError, match="cannot be decrypted"):
        unseal(envelope, b"Pass")


async def test_no_log_shows_a_key():
    result = await run_module("encryptor:EncryptAES", {"data": "x", "key": "{{1.k}}"}, {"k": "hidden-key"})
    assert result.steps[1].input == {"data": "x", "key": "•••", "outputEncoding": "base64"}
    assert "hidden-key" not in repr(result.steps[1])


@pytest.mark.parametrize("mode", NIST)
async def test_advanced_encryption_gives_the_published_answers(mode):
    iv, expected = NIST[mode]
    forms = {"keyEncoding": "hex", "inputEncoding": "hex", "outputEncoding": "hex"}
    mapper = {"mode": mode, "key": NIST_KEY, "iv": iv, "data": NIST_PLAIN, **forms}
    (sealed,) = await outputs("encryptor:EncryptAESAdvanced", mapper)
    assert sealed["data"][:32] == expected
    assert sealed["iv"] == iv
    mapper |= {"data": sealed["data"]}
    assert await outputs("encryptor:DecryptAESAdvanced", mapper) == [{"data": NIST_PLAIN}]


async def test_a_missing_vector_is_drawn_and_given_out():
    (sealed,) = await outputs("encryptor:EncryptAESAdvanced", {"mode": "GCM", "key": KEY, "data": "text"})
    assert len(sealed["iv"]) == 24
    mapper = {"mode": "GCM", "key": KEY, **sealed}
    assert await outputs("encryptor:DecryptAESAdvanced", mapper) == [{"data": "text"}]


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (
            {"key": "short"},
            "InvalidConfigurationError",
            "An AES key has 16, 24 or 32 bytes; this one has 5. Check its encoding.",
        ),
        ({"iv": "00"}, "InvalidConfigurationError", "CBC needs an initialization vector of 16 bytes; this one has 1."),
        ({"iv": ""}, "InvalidConfigurationError", "CBC needs the initialization vector of the encryption."),
        ({"iv": "xy"}, "DataError", "The initialization vector is not valid hex."),
        ({"mode": "XTS"}, "InvalidConfigurationError", "The mode 'XTS' is not known; use CBC, CTR, GCM or ECB."),
        ({"data": "?"}, "DataError", "The data is not valid base64."),
        ({"data": "AAAA"}, "DataError", None),
        ({"data": "A" * 22 + "=="}, "DataError", None),
        (
            {"inputEncoding": "rot13"},
            "InvalidConfigurationError",
            "'rot13' is not a form of data; use base64, hex, text, binary.",
        ),
    ],
)
async def test_what_does_not_fit_says_so_without_the_key(change, kind, message):
    mapper = {"mode": "CBC", "key": KEY, "iv": NIST_IV, "data": "AAAA", **change}
    found = await error("encryptor:DecryptAESAdvanced", mapper)
    assert found.type == kind
    assert found.message == (
        message or "The data cannot be decrypted: the key is not the right one, or it was changed."
    )


@pytest.mark.parametrize(
    ("algorithm", "digest"), [("RSA-SHA256", hashes.SHA256), ("RSA-SHA1", hashes.SHA1), ("RSA-SHA512", hashes.SHA512)]
)
async def test_a_signature_is_one_that_others_can_verify(rsa_key, algorithm, digest):
    mapper = {"data": "{{1.d}}", "algorithm": algorithm, "privateKey": "{{1.k}}"}
    (bundle,) = await outputs("encryptor:CreateDigitalSignature", mapper, {"d": "text é", "k": pem(rsa_key)})
    signature = base64.b64decode(bundle["signature"])
    rsa_key.public_key().verify(signature, "text é".encode(), padding.PKCS1v15(), digest())


async def test_a_private_key_is_a_plain_rsa_key_of_a_sensible_size(rsa_key):
    protected = pem(rsa_key, serialization.BestAvailableEncryption(b"x"))
    other = pem(ec.generate_private_key(ec.SECP256R1()))
    cases = {
        "nothing": "The private key is not in PEM form.",
        protected: "The private key is protected by a passphrase; store it without one.",
        other: "The private key must be an RSA key of 1024 to 8192 bits.",
        pem(rsa_key).replace("M", "!"): "The private key cannot be read.",
    }
    for key, message in cases.items():
        mapper = {"data": "x", "privateKey": "{{1.k}}"}
        found = await error("encryptor:CreateDigitalSignature", mapper, {"k": key})
        assert (found.type, found.message) == ("InvalidConfigurationError", message)


def test_data_is_measured_first():
    with pytest.raises(ModuleError, match="at most"):
        Aes(mode="ECB", key=KEY.encode(), nonce=b"").encrypt(bytes(ciphers.MAX_BYTES + 1))


@given(st.binary(max_size=100), st.sampled_from(["CBC", "CTR", "GCM", "ECB"]), st.sampled_from([16, 24, 32]))
def test_what_is_encrypted_is_decrypted(data, mode, size):
    cipher = Aes(mode=mode, key=b"k" * size, nonce=b"n" * ciphers.nonce_size(mode))
    assert cipher.decrypt(cipher.encrypt(data)) == data


@settings(max_examples=8, deadline=None)
@given(st.binary(max_size=100), st.text(min_size=1, max_size=10))
def test_what_is_sealed_is_opened(data, passphrase):
    secret = passphrase.encode("utf-8", "replace")
    assert unseal(seal(data, secret, b"s" * 16, b"n" * 12), secret) == data
