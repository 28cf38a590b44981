"""The root key: 32 bytes in a file, which wrap the data key of every organization.

``boot`` loads it (and on the embedded default creates it) before anything else needs it; ``cli``
makes a new one for a rotation. A wrong file must end the start with a sentence, never half work: a
key cut short by a lenient decoder, or one that others on the machine can read, is refused here.
"""

import asyncio
import base64
import binascii
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security.sealing import KEY_BYTES, Place, SealBroken, Sealed, SealingKey

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
_CHECK: Final = b"root key check"
# What the password of the database role that serves is made of; changing it would lock out processes that run.
ROLE_PURPOSE: Final = b"database role"
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

    @property
    def check(self) -> str:
        """Return what tells this key from others and tells nothing about it: the database keeps it."""
        return self.derive(_CHECK).hex()

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
        _write_private_file(path, secrets.token_hex(KEY_BYTES).encode() + b"\n")
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


class RootKeys:
    """The root keys of this process: that of its file and, while a rotation is under way, the next one's.

    Files are read again when a data key is met that was wrapped by a root nobody knows here: so a process that runs
    follows a rotation without a restart, as long as the next key's file lies beside the current one.
    """

    def __init__(self, current: RootKey, others: Iterable[RootKey] = (), *, path: Path | None = None) -> None:
        """``path`` is where the current key was read, None for keys that are in no file."""
        self.current = current
        self._keys = {key.name: key for key in (current, *others)}
        self._path = path

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the key file, and the next one's where it is there; raises ConfigurationError."""
        current, *others = _read_keys(path)
        return cls(current, others, path=path)

    def known(self) -> list[RootKey]:
        """Return every root key that is here, the current one among them."""
        return list(self._keys.values())

    def read_again(self) -> list[RootKey]:
        """Read the files again and return every root key that is here then."""
        self._read_again()
        return self.known()

    def knows(self, check: str) -> bool:
        """Say whether the root of this check is here; the files are read again before it is not."""
        return self._checked(check) is not None or (self._read_again() and self._checked(check) is not None)

    async def wrap(self, place: Place, material: bytes, check: str | None) -> Sealed:
        """Wrap with the root of this check, None is the current one; raises ConfigurationError where it is not here."""
        if check is not None and not await asyncio.to_thread(self.knows, check):
            raise ConfigurationError(
                "The root key was rotated, and this process has the one before: give it the new one."
            )
        root = self.current if check is None else self._checked(check)
        return (root or self.current).seal(place, material)

    async def unwrap(self, place: Place, wrapped: Sealed) -> bytes:
        """Return what was wrapped; raises SealBroken under a root that is not here, and for what was changed."""
        name = wrapped.key_name
        if name not in self._keys and not (await asyncio.to_thread(self._read_again) and name in self._keys):
            raise SealBroken
        return self._keys[name].open(place, wrapped)

    def _checked(self, check: str) -> RootKey | None:
        return next((key for key in self._keys.values() if hmac.compare_digest(key.check, check)), None)

    def _read_again(self) -> bool:
        """Take in what the files hold now; a file that cannot be read changes nothing."""
        if self._path is None:
            return False
        with suppress(ConfigurationError):
            self._keys |= {key.name: key for key in _read_keys(self._path)}
            return True
        return False


def role_secret_place() -> Place:
    """Return where that belongs once it is kept: from the first rotation on it follows from no root key any more."""
    return Place(organization_id=OrganizationId(0), kind="installation", object_id=0, field="database_role")


def next_key_file(path: Path) -> Path:
    """Return where the next root key lies while a rotation is under way: beside the current one."""
    return path.with_name(f"{path.name}.next")


def place_next_key(path: Path, source: Path) -> Path:
    """Lay a new key beside the current one, for every process on this machine to find; return where.

    Repeating it changes nothing; raises ConfigurationError while another key lies there, or where nothing can be
    written.
    """
    key, target = RootKey.load(source), next_key_file(path)
    if not target.exists():
        try:
            _write_private_file(target, _read_private_file(source))
        except OSError as error:
            raise ConfigurationError(
                f"The new key cannot be put at {target}: {error.strerror}. Put it there yourself, on every machine "
                "that runs a process of this installation, then repeat this command."
            ) from None
    if RootKey.load(target).name != key.name:
        raise ConfigurationError(
            f"Another rotation has begun, with the key in {target}: finish it first, with that file."
        )
    return target


def copy_key(source: Path, target: Path) -> None:
    """Copy a root key to a file that only this user reads; raises ConfigurationError where another key lies there."""
    key = RootKey.load(source)
    try:
        _write_private_file(target, _read_private_file(source))
    except OSError as error:
        raise ConfigurationError(f"The root key cannot be written to {target}: {error.strerror}.") from None
    if RootKey.load(target).name != key.name:
        raise ConfigurationError(f"Another root key lies in {target}.")


def _read_keys(path: Path) -> list[RootKey]:
    """Return the current key and, where its file is there, the next; a key that stands in both is told once."""
    keys, following = [RootKey.load(path)], next_key_file(path)
    if following.exists():
        keys += [key for key in [RootKey.load(following)] if key.name != keys[0].name]
    return keys


def _opens(key: SealingKey, place: Place, sealed: Sealed) -> bool:
    try:
        key.open(place, sealed)
    except SealBroken:
        return False
    return True


def _write_private_file(path: Path, content: bytes) -> None:
    """Write a file that only this user reads, whole or not at all; one that is there is left alone."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _link(draft, path)
    finally:
        draft.unlink()


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
