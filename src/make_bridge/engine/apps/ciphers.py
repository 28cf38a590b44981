"""Encryption and signatures over bytes: what the `encryptor` app does with its inputs.

Two kinds on purpose. The simple one is ours at both ends, so it can be right: AES-256-GCM under a key made from a
passphrase, in a self-describing envelope, where any changed bit is an error. The advanced one is for other people's
formats: the caller says mode, key and nonce. Keys never appear in an error.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from make_bridge.engine.apps.module import ErrorType, ModuleError

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_KEY_TEXT: Final = 16_384
RSA_BITS: Final = (1024, 8192)
KEY_SIZES: Final = (16, 24, 32)
BLOCK: Final = 16
NONCE: Final = 12
TAG: Final = 16
SALT: Final = 16
ENCODINGS: Final = ("base64", "hex", "text", "binary")

_ENVELOPE: Final = b"mbe1"
_SCRYPT_COST: Final = 2**14
_PEM: Final = "-----BEGIN"
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "RSA-SHA256": hashes.SHA256(),
    "RSA-SHA512": hashes.SHA512(),
    "RSA-SHA1": hashes.SHA1(),  # noqa: S303  other people's formats
}


def read_bytes(value: str | bytes, encoding: str, what: str) -> bytes:
    """Return the bytes a value stands for; `what` names it in the error."""
    if isinstance(value, bytes):
        return value
    try:
        match encoding:
            case "hex":
                return bytes.fromhex(value)
            case "base64":
                compact = "".join(value.split()).translate(_STANDARD).rstrip("=")
                return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
            case _:
                return value.encode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise ModuleError(ErrorType.DATA, f"{what} is not valid {encoding}.") from None


_STANDARD: Final = str.maketrans("-_", "+/")


def show_bytes(data: bytes, encoding: str) -> str | bytes:
    """Return bytes as text in an encoding, or as they are."""
    match encoding:
        case "base64":
            return base64.b64encode(data).decode("ascii")
        case "hex":
            return data.hex()
        case "text":
            try:
                return data.decode()
            except UnicodeDecodeError:
                message = "The result is no text; choose binary, base64 or hex as its form."
                raise ModuleError(ErrorType.DATA, message) from None
        case _:
            return data


def seal(data: bytes, passphrase: bytes, salt: bytes, nonce: bytes) -> bytes:
    """Return the simple envelope: mark, salt, nonce, box."""
    _check_size(data)
    key = _key_of(passphrase, salt)
    return _ENVELOPE + salt + nonce + AESGCM(key).encrypt(nonce, data, _ENVELOPE)


def unseal(envelope: bytes, passphrase: bytes) -> bytes:
    """Open a simple envelope; a wrong passphrase and changed data give the same error."""
    _check_size(envelope)
    head = len(_ENVELOPE)
    if not envelope.startswith(_ENVELOPE) or len(envelope) < head + SALT + NONCE + TAG:
        message = "The data was not encrypted by Encrypt (AES); for other formats use Decrypt (AES, advanced)."
        raise ModuleError(ErrorType.DATA, message)
    salt, nonce = envelope[head : head + SALT], envelope[head + SALT : head + SALT + NONCE]
    try:
        return AESGCM(_key_of(passphrase, salt)).decrypt(nonce, envelope[head + SALT + NONCE :], _ENVELOPE)
    except InvalidTag:
        raise _not_opened() from None


def _key_of(passphrase: bytes, salt: bytes) -> bytes:
    if not passphrase:
        raise ModuleError(ErrorType.CONFIGURATION, "The secret key is empty.")
    return hashlib.scrypt(passphrase, salt=salt, n=_SCRYPT_COST, r=8, p=1, dklen=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aes:
    """A cipher as somebody else's format has it."""

    mode: str
    key: bytes
    nonce: bytes

    def encrypt(self, data: bytes) -> bytes:
        """Return the ciphertext; GCM's tag stands at its end, CBC and ECB are padded (PKCS #7)."""
        _check_size(data)
        self._check()
        if self.mode == "GCM":
            return AESGCM(self.key).encrypt(self.nonce, data, None)
        if self.mode != "CTR":
            padder = padding.PKCS7(BLOCK * 8).padder()
            data = padder.update(data) + padder.finalize()
        encryptor = self._cipher().encryptor()
        return encryptor.update(data) + encryptor.finalize()

    def decrypt(self, data: bytes) -> bytes:
        """Return the plaintext; whatever does not fit is the same error."""
        _check_size(data)
        self._check()
        try:
            if self.mode == "GCM":
                return AESGCM(self.key).decrypt(self.nonce, data, None)
            decryptor = self._cipher().decryptor()
            plain = decryptor.update(data) + decryptor.finalize()
            if self.mode == "CTR":
                return plain
            unpadder = padding.PKCS7(BLOCK * 8).unpadder()
            return unpadder.update(plain) + unpadder.finalize()
        except (InvalidTag, ValueError):
            raise _not_opened() from None

    def _check(self) -> None:
        if len(self.key) not in KEY_SIZES:
            message = f"An AES key has 16, 24 or 32 bytes; this one has {len(self.key)}. Check its encoding."
            raise ModuleError(ErrorType.CONFIGURATION, message)
        wanted = nonce_size(self.mode)
        if len(self.nonce) != wanted:
            message = f"{self.mode} needs an initialization vector of {wanted} bytes; this one has {len(self.nonce)}."
            raise ModuleError(ErrorType.CONFIGURATION, message)

    def _cipher(self) -> "Cipher[modes.CBC | modes.CTR | modes.ECB]":
        mode: modes.CBC | modes.CTR | modes.ECB
        match self.mode:
            case "CBC":
                mode = modes.CBC(self.nonce)
            case "CTR":
                mode = modes.CTR(self.nonce)
            case _:
                mode = modes.ECB()  # noqa: S305  other people's formats
        return Cipher(algorithms.AES(self.key), mode)


def nonce_size(mode: str) -> int:
    """Return how many bytes of nonce a mode wants; raises for a mode not known here."""
    sizes = {"CBC": BLOCK, "CTR": BLOCK, "GCM": NONCE, "ECB": 0}
    if mode not in sizes:
        raise ModuleError(ErrorType.CONFIGURATION, f"The mode {mode[:20]!r} is not known; use CBC, CTR, GCM or ECB.")
    return sizes[mode]


def sign(data: bytes, private_key: str, algorithm: str) -> bytes:
    """Return an RSA signature (PKCS #1 v1.5)."""
    _check_size(data)
    chosen = _HASHES.get(algorithm)
    if chosen is None:
        raise ModuleError(ErrorType.CONFIGURATION, f"There is no signature algorithm {algorithm[:20]!r}.")
    key = _private_key(private_key)
    try:
        return key.sign(data, rsa_padding.PKCS1v15(), chosen)
    except (ValueError, UnsupportedAlgorithm):
        raise ModuleError(ErrorType.CONFIGURATION, "The private key cannot sign.") from None


def _private_key(text: str) -> rsa.RSAPrivateKey:
    """Read a PEM key. One under a passphrase is refused: how long opening it takes is the key's own decision."""
    if len(text) > MAX_KEY_TEXT or _PEM not in text:
        raise ModuleError(ErrorType.CONFIGURATION, "The private key is not in PEM form.")
    if "ENCRYPTED" in text:
        message = "The private key is protected by a passphrase; store it without one."
        raise ModuleError(ErrorType.CONFIGURATION, message)
    try:
        # Checking the primes of a key made to be slow takes minutes; a wrong key only spoils its own signature.
        key = serialization.load_pem_private_key(
            text.strip().encode(), password=None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ModuleError(ErrorType.CONFIGURATION, "The private key cannot be read.") from None
    least, most = RSA_BITS
    if not isinstance(key, rsa.RSAPrivateKey) or not least <= key.key_size <= most:
        message = f"The private key must be an RSA key of {least} to {most} bits."
        raise ModuleError(ErrorType.CONFIGURATION, message)
    return key


def _check_size(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise ModuleError(ErrorType.FILE_SIZE, f"The data has {len(data)} bytes; at most {MAX_BYTES} are taken.")


def _not_opened() -> ModuleError:
    return ModuleError(ErrorType.DATA, "The data cannot be decrypted: the key is not the right one, or it was changed.")
