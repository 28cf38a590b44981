"""What a backup says of itself: ``manifest.json``, written last, so a folder without one is no backup.

``taking`` writes it, ``checking`` holds the files against it, ``restoring`` the databases. It names no address and no
secret; what tells which root key opens the backup tells nothing about that key.
"""

import asyncio
import hashlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from make_bridge.kernel.errors import InvalidInput

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
_MOST_BYTES: Final = 512 * 1024 * 1024
_PIECE: Final = 1024 * 1024


class Summed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many rows, and a checksum over all of them that does not depend on their order."""

    rows: int
    checksum: str


class TreeVersion(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which version the tables of a tree are at, and from which on programs may serve them."""

    version: str
    serves_from: str


class File(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One file of the backup."""

    bytes: int
    sha256: str


class SavedDatabase(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One database: the folder its dump is in, what it carried, and what was in it at the moment of the snapshot."""

    folder: str
    shard: int | None
    has_directory: bool
    server_version: int
    dump_version: int
    snapshot_at: datetime
    versions: Mapping[str, TreeVersion]
    tables: Mapping[str, Summed]
    organizations: Mapping[str, Summed]

    @property
    def what(self) -> str:
        """Name it for people."""
        if self.shard is None:
            return "the directory"
        return f"the directory with shard {self.shard}" if self.has_directory else f"shard {self.shard}"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """See the module."""

    format: int
    id: str
    program_version: str
    snapshot_at: datetime
    finished_at: datetime
    root_key_check: str
    databases: tuple[SavedDatabase, ...]
    files: Mapping[str, File]

    @property
    def size(self) -> int:
        """How many bytes the dumps have."""
        return sum(file.bytes for file in self.files.values())

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return sum(table.rows for database in self.databases for table in database.tables.values())


def write(folder: Path, manifest: Manifest) -> None:
    """Write it, whole or not at all."""
    draft = folder / f"{MANIFEST}.unfinished"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        file.flush()
        os.fsync(file.fileno())
    draft.rename(folder / MANIFEST)
    _sync(folder)


def read(folder: Path) -> Manifest:
    """Read it; raises InvalidInput where there is no finished backup, or one of another form."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > _MOST_BYTES:
            message = f"{path} is no manifest of a backup: it is too large."
            raise InvalidInput(message)
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        message = f"{folder} holds no finished backup: there is no {MANIFEST}. One that broke off has none."
        raise InvalidInput(message) from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise InvalidInput(message) from error
    except msgspec.DecodeError as error:
        message = f"{path} is no manifest of a backup: {error}"
        raise InvalidInput(message) from error
    if manifest.format != FORMAT:
        message = f"The backup in {folder} has form {manifest.format}, and this program reads {FORMAT}."
        raise InvalidInput(message)
    for database in manifest.databases:
        if Path(database.folder).name != database.folder or database.folder in {"", ".", ".."}:
            message = f"{path} names a folder that lies elsewhere: {database.folder}."
            raise InvalidInput(message)
    return manifest


async def files_of(folder: Path) -> dict[str, File]:
    """Return every file below a backup's folder but its manifest, with size and checksum."""
    return await asyncio.to_thread(_files_of, folder)


async def differing_files(folder: Path, manifest: Manifest) -> list[str]:
    """Return a sentence for each file that is missing, changed or strange; none where the backup is whole."""
    found = await files_of(folder)
    wrong = [f"{name} is missing." for name in sorted(manifest.files.keys() - found.keys())]
    wrong += [f"{name} does not belong to the backup." for name in sorted(found.keys() - manifest.files.keys())]
    both = sorted(found.keys() & manifest.files.keys())
    return wrong + [f"{name} was changed." for name in both if found[name] != manifest.files[name]]


def _files_of(folder: Path) -> dict[str, File]:
    found: dict[str, File] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or (not path.is_dir() and not path.is_file()):
            message = f"{path} is neither a file nor a folder."
            raise InvalidInput(message)
        if path.is_file() and name != MANIFEST:
            found[name] = _summed(path)
    return found


def _summed(path: Path) -> File:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return File(bytes=size, sha256=digest.hexdigest())


def sync_all(folder: Path) -> None:
    """Have the disk hold everything before anything says that it does."""
    for path in (folder, *folder.rglob("*")):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
