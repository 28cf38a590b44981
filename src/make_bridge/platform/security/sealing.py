"""Sealing: how a secret is kept, so that its ciphertext is worth nothing anywhere else.

``domain/organizations`` keeps one data key per organization, wrapped by the root key; stores hold
``Sealed`` text and nothing more. A box is AES-256-GCM, written ``v1.key.nonce.box``: the format, the
name of the key, 96 random bits, and ciphertext with its 16-byte tag. Where a box belongs (which
organization, kind, id and field) is bound into it, so a row copied elsewhere does not open.

A data key may seal about four thousand million times before its random nonces could meet; a new
version of the key is due long before that. Boxes of older versions open as long as the ring has them.
"""

import re
import secrets
from dataclasses import dataclass, field
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from make_bridge.kernel.errors import BridgeError
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security import encoding

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_VERSION: Final = "v1"
_KEY_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LENGTH_BYTES: Final = 4
_NAMED_PARTS: Final = 3


class SealBroken(BridgeError):
    """A stored secret cannot be opened: it was changed or moved, or its key is not loaded."""

    code = "seal_broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a secret belongs; it opens only there."""

    organization_id: OrganizationId
    kind: str
    object_id: int | str
    field: str

    def associated_data(self, key_name: str) -> bytes:
        """Return one text for one place: every part says its length, so no two places look alike."""
        parts = (_VERSION, key_name, str(self.organization_id), self.kind, str(self.object_id), self.field)
        octets = [part.encode() for part in parts]
        return b"".join(len(part).to_bytes(_LENGTH_BYTES, "big") + part for part in octets)


@dataclass(frozen=True, slots=True, repr=False)
class Sealed:
    """A sealed secret as it is stored; its repr names the key and shows nothing."""

    text: str

    @property
    def key_name(self) -> str:
        """Return the name of the key that opens it; whether the rest is whole is seen when it is opened."""
        parts = self.text.split(".", 2)
        if len(parts) != _NAMED_PARTS or parts[0] != _VERSION or not _KEY_NAME.fullmatch(parts[1]):
            raise SealBroken
        return parts[1]

    def __repr__(self) -> str:
        return "Sealed(…)"


class SealingKey:
    """One 256-bit key with its name."""

    def __init__(self, name: str, material: bytes) -> None:
        if not _KEY_NAME.fullmatch(name) or len(material) != KEY_BYTES:
            raise ValueError("A sealing key has a plain name and exactly 32 bytes.")
        self.name = name
        self._cipher = AESGCM(material)

    @classmethod
    def generate(cls, name: str) -> Self:
        """Return a fresh key."""
        return cls(name, cls.new_material())

    @staticmethod
    def new_material() -> bytes:
        """Return the bytes of a fresh key, for whoever has to store them wrapped."""
        return secrets.token_bytes(KEY_BYTES)

    def seal(self, place: Place, secret: bytes) -> Sealed:
        """Seal a secret for one place."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        box = self._cipher.encrypt(nonce, secret, place.associated_data(self.name))
        return Sealed(f"{_VERSION}.{self.name}.{encoding.encode(nonce)}.{encoding.encode(box)}")

    def open(self, place: Place, sealed: Sealed) -> bytes:
        """Return the secret, or raise ``SealBroken``."""
        name, nonce, box = _split(sealed.text)
        if name != self.name:
            raise SealBroken
        try:
            return self._cipher.decrypt(nonce, box, place.associated_data(self.name))
        except InvalidTag:
            raise SealBroken from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Sealing(Protocol):
    """Seals with an organization's own key, which it finds by itself; what bus and domain are given."""

    async def seal(self, organization_id: OrganizationId, purpose: tuple[str, int, str], secret: bytes) -> str:
        """Return sealed text that opens for this organization and purpose (kind, id, field) only."""
        ...

    async def open(self, organization_id: OrganizationId, purpose: tuple[str, int, str], sealed: str) -> bytes:
        """Return what was sealed; raises SealBroken for text that was changed or moved."""
        ...


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of one owner: new boxes use the current one, older ones still open theirs."""

    current: SealingKey
    older: tuple[SealingKey, ...] = ()
    _by_name: dict[str, SealingKey] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        keys = (self.current, *self.older)
        object.__setattr__(self, "_by_name", {key.name: key for key in keys})
        if len(self._by_name) != len(keys):
            raise ValueError("Two keys of one ring have the same name.")

    def seal(self, place: Place, secret: bytes) -> Sealed:
        """Seal with the current key."""
        return self.current.seal(place, secret)

    def open(self, place: Place, sealed: Sealed) -> bytes:
        """Open with the key that is named, or raise ``SealBroken``."""
        key = self._by_name.get(sealed.key_name)
        if key is None:
            raise SealBroken
        return key.open(place, sealed)

    def is_current(self, sealed: Sealed) -> bool:
        """Say whether a box needs no resealing; a rotation goes on where this is false."""
        return sealed.key_name == self.current.name

    def reseal(self, place: Place, sealed: Sealed) -> Sealed:
        """Return the same secret under the current key."""
        return self.seal(place, self.open(place, sealed))


def _split(text: str) -> tuple[str, bytes, bytes]:
    """Read a box strictly: its parts have one form, its nonce and tag their full length."""
    try:
        version, name, nonce_text, box_text = text.split(".")
        nonce, box = encoding.decode(nonce_text), encoding.decode(box_text)
    except ValueError:
        raise SealBroken from None
    is_whole = len(nonce) == _NONCE_BYTES and len(box) >= _TAG_BYTES
    if version != _VERSION or not is_whole or not _KEY_NAME.fullmatch(name):
        raise SealBroken
    return name, nonce, box
