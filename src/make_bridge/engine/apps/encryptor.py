"""The app `encryptor`: AES and RSA signatures.

What draws a random salt or nonce is performed, so that a resumed run repeats the recorded text and does not make
another; deriving a key from a passphrase takes its time in a thread. Keys are password fields: no log shows them.
"""

import asyncio
import secrets
from typing import Final

from make_bridge.engine.apps.ciphers import (
    ENCODINGS,
    MAX_KEY_TEXT,
    NONCE,
    SALT,
    Aes,
    nonce_size,
    read_bytes,
    seal,
    show_bytes,
    sign,
    unseal,
)
from make_bridge.engine.apps.fields import Bounds, Field, choices
from make_bridge.engine.apps.module import (
    Bundles,
    Collection,
    Effect,
    ErrorType,
    Kind,
    ModuleCall,
    ModuleError,
    ModuleSpec,
)
from make_bridge.engine.values import Value, to_text


def _input(call: ModuleCall, name: str, encoding: str, label: str) -> bytes:
    value = call.input.get(name)
    return read_bytes(value if isinstance(value, bytes) else to_text(value), encoding, label)


def _encoding(call: ModuleCall, name: str, default: str) -> str:
    chosen = to_text(call.input.get(name)) or default
    if chosen not in ENCODINGS:
        raise ModuleError(
            ErrorType.CONFIGURATION, f"{chosen[:20]!r} is not a form of data; use {', '.join(ENCODINGS)}."
        )
    return chosen


async def _encrypt(call: ModuleCall) -> list[Collection]:
    data = _input(call, "data", "text", "The data")
    passphrase = _input(call, "key", "text", "The secret key")
    sealed = await asyncio.to_thread(seal, data, passphrase, secrets.token_bytes(SALT), secrets.token_bytes(NONCE))
    return [{"data": show_bytes(sealed, _encoding(call, "outputEncoding", "base64"))}]


async def _decrypt(call: ModuleCall) -> list[Collection]:
    data = _input(call, "data", _encoding(call, "inputEncoding", "base64"), "The data")
    passphrase = _input(call, "key", "text", "The secret key")
    plain = await asyncio.to_thread(unseal, data, passphrase)
    return [{"data": show_bytes(plain, _encoding(call, "outputEncoding", "text"))}]


def _cipher(call: ModuleCall, nonce: bytes | None) -> Aes:
    mode = to_text(call.input.get("mode")) or "CBC"
    key = _input(call, "key", _encoding(call, "keyEncoding", "text"), "The secret key")
    given = _input(call, "iv", _encoding(call, "ivEncoding", "hex"), "The initialization vector")
    if not given and nonce_size(mode):
        if nonce is None:
            raise ModuleError(ErrorType.CONFIGURATION, f"{mode} needs the initialization vector of the encryption.")
        given = nonce[: nonce_size(mode)]
    return Aes(mode=mode, key=key, nonce=given if nonce_size(mode) else b"")


async def _encrypt_advanced(call: ModuleCall) -> list[Collection]:
    cipher = _cipher(call, secrets.token_bytes(16))
    data = _input(call, "data", _encoding(call, "inputEncoding", "text"), "The data")
    sealed = show_bytes(cipher.encrypt(data), _encoding(call, "outputEncoding", "base64"))
    iv: Value = show_bytes(cipher.nonce, _encoding(call, "ivEncoding", "hex"))
    return [{"data": sealed, "iv": iv}]


def _decrypt_advanced(call: ModuleCall) -> Bundles:
    cipher = _cipher(call, None)
    data = _input(call, "data", _encoding(call, "inputEncoding", "base64"), "The data")
    return [{"data": show_bytes(cipher.decrypt(data), _encoding(call, "outputEncoding", "text"))}]


def _sign(call: ModuleCall) -> Bundles:
    data = _input(call, "data", _encoding(call, "inputEncoding", "text"), "The data")
    algorithm = to_text(call.input.get("algorithm")) or "RSA-SHA256"
    signature = sign(data, to_text(call.input.get("privateKey")), algorithm)
    return [{"signature": show_bytes(signature, _encoding(call, "outputEncoding", "base64"))}]


def _form(name: str, label: str, default: str) -> Field:
    return Field(
        name=name,
        type="select",
        label=label,
        default=default,
        options=choices(text="Text (UTF-8)", base64="Base64", hex="Hex", binary="Binary"),
    )


_DATA: Final = Field(name="data", type="any", label="Data", required=True, multiline=True)
_KEY: Final = Field(name="key", type="password", label="Secret key", required=True, validate=Bounds(max=MAX_KEY_TEXT))
_MODE: Final = Field(
    name="mode",
    type="select",
    label="Mode",
    required=True,
    default="CBC",
    help="GCM also notices changes. ECB shows which blocks are equal; use it only where a service demands it.",
    options=choices("CBC", "GCM", "CTR", "ECB"),
)
_IV: Final = Field(
    name="iv",
    type="any",
    label="Initialization vector",
    help="16 bytes, 12 for GCM, none for ECB. When it is empty, encrypting draws a new one and gives it out.",
)
_RESULT: Final = Field(name="data", type="any", label="Data")
_ADVANCED: Final = (
    _MODE,
    _KEY,
    _form("keyEncoding", "Key encoding", "text"),
    _IV,
    _form("ivEncoding", "IV encoding", "hex"),
)

MODULES: Final = (
    ModuleSpec(
        name="encryptor:EncryptAES",
        label="Encrypt (AES)",
        kind=Kind.ACTION,
        help="Encrypts data under a passphrase, so that Decrypt (AES) can read it and notice any change.",
        mapper=(_DATA, _KEY, _form("outputEncoding", "Form of the result", "base64")),
        output=(_RESULT,),
        perform=_encrypt,
        effect=Effect.READ,
    ),
    ModuleSpec(
        name="encryptor:DecryptAES",
        label="Decrypt (AES)",
        kind=Kind.ACTION,
        help="Reads what Encrypt (AES) has written under the same passphrase.",
        mapper=(
            _DATA,
            _KEY,
            _form("inputEncoding", "Form of the data", "base64"),
            _form("outputEncoding", "Form of the result", "text"),
        ),
        output=(_RESULT,),
        perform=_decrypt,
        effect=Effect.READ,
    ),
    ModuleSpec(
        name="encryptor:EncryptAESAdvanced",
        label="Encrypt (AES, advanced)",
        kind=Kind.ACTION,
        help="Encrypts data in the format another program expects.",
        mapper=(
            _DATA,
            *_ADVANCED,
            _form("inputEncoding", "Form of the data", "text"),
            _form("outputEncoding", "Form of the result", "base64"),
        ),
        output=(_RESULT, Field(name="iv", type="any", label="Initialization vector")),
        perform=_encrypt_advanced,
        effect=Effect.READ,
    ),
    ModuleSpec(
        name="encryptor:DecryptAESAdvanced",
        label="Decrypt (AES, advanced)",
        kind=Kind.TRANSFORMER,
        help="Decrypts data that another program has encrypted.",
        mapper=(
            _DATA,
            *_ADVANCED,
            _form("inputEncoding", "Form of the data", "base64"),
            _form("outputEncoding", "Form of the result", "text"),
        ),
        output=(_RESULT,),
        run=_decrypt_advanced,
    ),
    ModuleSpec(
        name="encryptor:CreateDigitalSignature",
        label="Create a digital signature",
        kind=Kind.TRANSFORMER,
        help="Signs data with an RSA key (PKCS #1 v1.5).",
        mapper=(
            _DATA,
            Field(
                name="algorithm",
                type="select",
                label="Algorithm",
                required=True,
                default="RSA-SHA256",
                options=choices("RSA-SHA256", "RSA-SHA512", "RSA-SHA1"),
            ),
            Field(
                name="privateKey",
                type="password",
                label="Private key",
                required=True,
                multiline=True,
                help="In PEM form, without a passphrase.",
                validate=Bounds(max=MAX_KEY_TEXT),
            ),
            _form("inputEncoding", "Form of the data", "text"),
            _form("outputEncoding", "Form of the signature", "base64"),
        ),
        output=(Field(name="signature", type="any", label="Signature"),),
        run=_sign,
    ),
)
