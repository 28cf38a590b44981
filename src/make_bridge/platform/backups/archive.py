"""The archive of one organization: a tar.gz with ``manifest.json`` first, then a file of JSON lines for each table.

``exporting`` writes it, ``importing`` reads it. A line is a row: an array of texts, as PostgreSQL writes the values of
the columns that the manifest names. Sealed values stay sealed; the keys that open them are in the manifest, sealed by a
passphrase. An archive may come from anywhere, so what is read here is bounded before it is held: the number of files,
their sizes, lines, and what the unpacked whole may have.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from make_bridge.kernel.errors import InvalidInput, TooLarge
from make_bridge.platform.security.sealing import KEY_BYTES, SealingKey

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SALT_BYTES: Final = 16
SHORTEST_PASSPHRASE: Final = 12
_LONGEST_PASSPHRASE: Final = 1024
# 64 MiB and about a fifth of a second; of the program, not of the archive, which could ask for anything.
_COST: Final = {"n": 2**16, "r": 8, "p": 1}
_MANIFEST_BYTES: Final = 16 * 1024 * 1024
_LINE_BYTES: Final = 64 * 1024 * 1024
_MOST_FILES: Final = 500


class SavedTable(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One table: its columns in the order of each line, and what the file must be."""

    columns: tuple[str, ...]
    rows: int
    bytes: int
    sha256: str


class ArchiveManifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an archive says of itself.

    ``data_keys`` are sealed by the passphrase, by version; there are none in an archive without credentials.
    """

    format: int
    organization_id: int
    name: str
    program_version: str
    directory_version: str
    shard_version: str
    exported_at: str
    salt: str
    data_keys: Mapping[str, str]
    tables: Mapping[str, SavedTable]
    left_behind: Mapping[str, int]


def passphrase_key(passphrase: bytes, salt: bytes) -> SealingKey:
    """Return the key that a passphrase gives; raises InvalidInput for one that is too short to protect anything."""
    if not SHORTEST_PASSPHRASE <= len(passphrase) <= _LONGEST_PASSPHRASE:
        message = f"The passphrase must have {SHORTEST_PASSPHRASE} to {_LONGEST_PASSPHRASE} bytes."
        raise InvalidInput(message)
    return SealingKey("passphrase", Scrypt(salt=salt, length=KEY_BYTES, **_COST).derive(passphrase))


def pack(folder: Path, manifest: ArchiveManifest, target: Path) -> None:
    """Write the archive of a folder's tables, whole or not at all; raises InvalidInput where it cannot be written."""
    draft = target.with_name(f"{target.name}.unfinished")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as tar:
                head = msgspec.json.encode(manifest)
                tar.addfile(_member(MANIFEST, len(head)), io.BytesIO(head))
                for name in sorted(manifest.tables):
                    with (folder / name).open("rb") as rows:
                        tar.addfile(_member(f"{name}.jsonl", manifest.tables[name].bytes), rows)
            file.flush()
            os.fsync(file.fileno())
        target.hardlink_to(draft)
        draft.unlink()
    except FileExistsError as error:
        message = f"{target} (or {draft}) exists already: name a new file."
        raise InvalidInput(message) from error
    except OSError as error:
        draft.unlink(missing_ok=True)
        message = f"{target} cannot be written: {error.strerror}."
        raise InvalidInput(message) from error


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


@dataclass(slots=True)
class Reading:
    """An archive that is being read, file after file."""

    manifest: ArchiveManifest
    _tar: tarfile.TarFile

    def tables(self) -> Iterator[tuple[str, SavedTable, Iterator[list[str | None]]]]:
        """Give each table with its rows, which are read as they are asked for; every row has to be taken."""
        seen: set[str] = set()
        while (member := self._tar.next()) is not None:
            name = member.name.removesuffix(".jsonl")
            table = self.manifest.tables.get(name)
            if table is None or name in seen or member.name != f"{name}.jsonl":
                message = f"The archive holds a file that its manifest does not name once: {member.name[:100]!r}."
                raise InvalidInput(message)
            seen.add(name)
            yield name, table, _rows(self._tar, member, name, table)
        if missing := sorted(self.manifest.tables.keys() - seen):
            message = f"The archive is not whole: {missing[0]} is missing."
            raise InvalidInput(message)


@contextmanager
def opened(file: Path, most_bytes: int) -> Iterator[Reading]:
    """Open an archive; raises InvalidInput for anything that is none, TooLarge for one that unpacks to more."""
    try:
        with tarfile.open(file, mode="r|gz") as tar:
            first = tar.next()
            if first is None or first.name != MANIFEST or not first.isreg() or first.size > _MANIFEST_BYTES:
                message = f"{file} is no archive of an organization: it does not begin with {MANIFEST}."
                raise InvalidInput(message)
            manifest = msgspec.json.decode(_content(tar, first).read(), type=ArchiveManifest)
            _check(manifest, most_bytes)
            yield Reading(manifest, tar)
    except (tarfile.TarError, EOFError, OSError, msgspec.DecodeError) as error:
        message = f"{file} cannot be read as an archive of an organization: {error}"
        raise InvalidInput(message) from error


def manifest_of(file: Path, most_bytes: int) -> ArchiveManifest:
    """Return what an archive says of itself; raises as ``opened`` does."""
    with opened(file, most_bytes) as reading:
        return reading.manifest


def _check(manifest: ArchiveManifest, most_bytes: int) -> None:
    if manifest.format != FORMAT:
        message = f"The archive has form {manifest.format}, and this program reads {FORMAT}."
        raise InvalidInput(message)
    size = sum(max(table.bytes, 0) for table in manifest.tables.values())
    if size > most_bytes or len(manifest.tables) > _MOST_FILES:
        message = f"The archive unpacks to {size} bytes, and {most_bytes} are taken: raise it with --most-mib."
        raise TooLarge(message)


def _rows(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, table: SavedTable) -> Iterator[list[str | None]]:
    if not member.isreg() or member.size != table.bytes:
        message = f"The archive was changed: {name} has another size than its manifest says."
        raise InvalidInput(message)
    digest, number, content = hashlib.sha256(), 0, _content(tar, member)
    while line := content.readline(_LINE_BYTES + 1):
        digest.update(line)
        number += 1
        if len(line) > _LINE_BYTES:
            message = f"A row of {name} is larger than {_LINE_BYTES} bytes."
            raise TooLarge(message)
        row = msgspec.json.decode(line, type=list[str | None])
        if len(row) != len(table.columns):
            message = f"A row of {name} has {len(row)} values for {len(table.columns)} columns."
            raise InvalidInput(message)
        yield row
    if digest.hexdigest() != table.sha256 or number != table.rows:
        message = f"The archive was changed: {name} is not what its manifest says."
        raise InvalidInput(message)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        message = f"{member.name[:100]!r} in the archive is no file."
        raise InvalidInput(message)
    return content
