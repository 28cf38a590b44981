"""The rules of data stores: keys, sizes, and what a change does to how full a store is. Pure.

A record's size is what it takes as stored: its key and its packed data, in bytes.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from make_bridge.engine.packing import pack
from make_bridge.engine.stores import DataStoreFacts, RecordChange, StoreConflict, StoreFull
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import InvalidInput

MAX_KEY: Final = 255
_NO_KEY: Final = "A record's key has 1 to 255 characters and no control characters."


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStoreLimits:
    """What a store may measure; from the settings."""

    record_bytes: int = 15 * 1024 * 1024
    store_bytes: int = 1024 * 1024 * 1024
    records: int = 1_000_000
    stores: int = 1000
    """How many stores an organization may have."""


def checked_key(key: str) -> str:
    """Return a key that can be stored, or raise InvalidInput."""
    if not 0 < len(key) <= MAX_KEY or any(unicodedata.category(character) in {"Cc", "Cs"} for character in key):
        raise InvalidInput(_NO_KEY, code="record_key_invalid")
    return key


def checked_size(max_bytes: int, limits: DataStoreLimits) -> int:
    """Return the size a store may grow to, or raise InvalidInput."""
    if not 0 < max_bytes <= limits.store_bytes:
        most = limits.store_bytes // (1024 * 1024)
        raise InvalidInput(f"A data store has a size of 1 to {most} MB.", code="data_store_size")
    return max_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A change as it will be stored; ``raw`` None deletes."""

    key: str
    version: int
    raw: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What the database knows of a record that is about to change."""

    version: int
    bytes: int


def packed(change: RecordChange, limits: DataStoreLimits) -> Packed:
    """Return a change with its bytes; raises StoreFull for a record that is too large."""
    if change.data is None:
        return Packed(key=change.key, version=change.version, raw=None)
    raw = packed_data(change.key, change.data, limits)
    return Packed(key=change.key, version=change.version, raw=raw)


def packed_data(key: str, data: Mapping[str, Value], limits: DataStoreLimits) -> bytes:
    """Return a record's bytes; raises StoreFull."""
    raw = pack(dict(data))
    if size_of_record(key, raw) > limits.record_bytes:
        raise StoreFull(f"The record '{key[:80]}' is larger than a record may be ({limits.record_bytes} bytes).")
    return raw


def size_of_record(key: str, raw: bytes) -> int:
    """Return how much of its store a record takes."""
    return len(key.encode()) + len(raw)


def check_versions(changes: Sequence[Packed], present: Mapping[str, Present], store_name: str) -> None:
    """Raise StoreConflict when a record is no longer what a change was based on."""
    for change in changes:
        known = present.get(change.key)
        if change.version != (known.version if known else 0):
            raise StoreConflict(
                f"The record '{change.key[:80]}' of the data store '{store_name}' was changed meanwhile."
            )


def filled(facts: DataStoreFacts, changes: Sequence[Packed], present: Mapping[str, Present]) -> tuple[int, int]:
    """Return how many records and bytes the store will hold; raises StoreFull when it grows past what it may."""
    records, size = facts.records, facts.bytes
    for change in changes:
        known = present.get(change.key)
        records += (change.raw is not None) - (known is not None)
        size += 0 if change.raw is None else size_of_record(change.key, change.raw)
        size -= known.bytes if known else 0
    if records > max(facts.max_records, facts.records):
        raise StoreFull(f"The data store '{facts.name}' holds as many records as it may ({facts.max_records}).")
    if size > max(facts.max_bytes, facts.bytes):
        raise StoreFull(f"The data store '{facts.name}' is full: it may hold {facts.max_bytes} bytes.")
    return records, size
