"""The root key: 32 bytes in a file, which wrap the data key of every organization.

``boot`` loads it (and on the embedded default creates it) before anything else needs it; ``cli``
makes a new one for a rotation. A wrong file must end the start with a sentence, never half work: a
key cut short by a lenient decoder, or one that others on the machine can read, is refused here.
"""

import base64
import binascii
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security.sealing import KEY_BYTES, KeyRing, Place, SealBroken, Sealed, SealingKey

_PURPOSE: Final = b"make-bridge root key v1"
_NAME_BYTES: Final = 8
_PRIVATE_MODES: Final = frozenset({0o600, 0o400})
# How Kubernetes mounts a secret with fsGroup: root's, readable by one group, which the process is of.
_GROUP_MODES: Final = frozenset({0o640, 0o440})
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{64}")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{43}=?|[A-Za-z0-9_-]{43}=?")
_MAX_FILE_BYTES: Final = 128
# A key that someone typed to get going ("000…", "abab…") has few different bytes; a random one never.
_DERIVATION: Final = b"make-bridge derivations v1"
_MIN_DIFFERENT_BYTES: Final = 12
_ADVICE: Final = "Write one with: openssl rand -hex 32"


class RootKey(SealingKey):
    """Wraps data keys; its name is derived from it, so a ring needs no list of names."""

    def __init__(self, material: bytes) -> None:
        if len(material) != KEY_BYTES:
            raise ConfigurationError(f"A root key has exactly {KEY_BYTES} bytes. {_ADVICE}")
        derived = HKDF(SHA256(), KEY_BYTES + _NAME_BYTES, salt=None, info=_PURPOSE).derive(material)
        super().__init__(derived[KEY_BYTES:].hex(), derived[:KEY_BYTES])
        self._derivation = HKDF(SHA256(), KEY_BYTES, salt=None, info=_DERIVATION).derive(material)

    def derive(self, purpose: bytes) -> bytes:
        """Return 32 bytes for a purpose other than sealing; every holder of the root key finds the same."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(self._derivation)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a key file, or raise ``ConfigurationError`` with what to change."""
        material = _read_material(_read_private_file(path), path)
        if len(set(material)) < _MIN_DIFFERENT_BYTES:
            raise ConfigurationError(f"The root key in {path} is not random. {_ADVICE}")
        return cls(material)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a new key file, whole or not at all; one that is already there is left alone and loaded."""
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_hex(KEY_BYTES).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            _link(draft, path)
        finally:
            draft.unlink()
        return cls.load(path)

    def self_test(self) -> None:
        """Seal and open once, and see that a changed box does not open; raises ``ConfigurationError``."""
        place = Place(organization_id=OrganizationId(0), kind="self_test", object_id=0, field="probe")
        elsewhere = Place(organization_id=OrganizationId(1), kind="self_test", object_id=0, field="probe")
        sealed = self.seal(place, _PURPOSE)
        try:
            works = self.open(place, sealed) == _PURPOSE
        except SealBroken:
            works = False
        if not works or _opens(self, elsewhere, sealed):
            raise ConfigurationError(
                "The root key does not seal and open as it must: the cryptography library is broken."
            )


def new_data_key(roots: KeyRing, organization_id: OrganizationId, version: int) -> tuple[SealingKey, Sealed]:
    """Return a fresh data key, and the wrapped form that is stored."""
    material = secrets.token_bytes(KEY_BYTES)
    wrapped = roots.seal(data_key_place(organization_id, version), material)
    return SealingKey(_data_key_name(version), material), wrapped


def open_data_key(roots: KeyRing, organization_id: OrganizationId, version: int, wrapped: Sealed) -> SealingKey:
    """Return a stored data key, or raise ``SealBroken``."""
    material = roots.open(data_key_place(organization_id, version), wrapped)
    return SealingKey(_data_key_name(version), material)


def data_key_place(organization_id: OrganizationId, version: int) -> Place:
    """Return where a wrapped data key belongs; a rotation of the root reseals it there."""
    return Place(organization_id=organization_id, kind="data_key", object_id=version, field="material")


def _data_key_name(version: int) -> str:
    return f"d{version}"


def _opens(key: SealingKey, place: Place, sealed: Sealed) -> bool:
    try:
        key.open(place, sealed)
    except SealBroken:
        return False
    return True


def _link(draft: Path, path: Path) -> None:
    """Give the finished file its name; a process that was quicker has won."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return


def _read_private_file(path: Path) -> bytes:
    try:
        # Without O_NONBLOCK a pipe under this name would hold the start for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigurationError(f"The root key file {path} cannot be read: {error.strerror}.") from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"The root key {path} is not a file.")
        user = os.geteuid()
        if not is_private(status, user=user, groups=frozenset({os.getegid(), *os.getgroups()})):
            chown = "" if status.st_uid == user else f"chown {user} {path} && "
            raise ConfigurationError(
                f"The root key file {path} must belong to the user that runs this program, or to root, and be readable "
                f"by nobody else (by a group only where this program is of it). Run: {chown}chmod 600 {path}"
            )
        return os.read(handle, _MAX_FILE_BYTES)
    finally:
        os.close(handle)


def is_private(status: os.stat_result, *, user: int, groups: frozenset[int]) -> bool:
    """Say whether only the user, root and perhaps one of our groups may read a file, and no group may write it."""
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid not in {user, 0}:
        return False
    return mode in _PRIVATE_MODES or (mode in _GROUP_MODES and status.st_gid in groups)


def _read_material(text: bytes, path: Path) -> bytes:
    """Read 32 bytes from hexadecimal or base64, and nothing that only nearly is."""
    text = text.removesuffix(b"\n").removesuffix(b"\r")
    if _HEX.fullmatch(text):
        return bytes.fromhex(text.decode())
    if _BASE64.fullmatch(text):
        digits = text.removesuffix(b"=").replace(b"-", b"+").replace(b"_", b"/")
        try:
            material = base64.b64decode(digits + b"=", validate=True)
        except binascii.Error:
            material = b""
        if base64.b64encode(material) == digits + b"=":
            return material
    raise ConfigurationError(
        f"The root key file {path} must hold exactly 32 bytes, as 64 hexadecimal characters or as base64. {_ADVICE}"
    )
