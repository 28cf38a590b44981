"""The chain over an organization's rows: a row's canonical form, and the hash that binds it to all before it. Pure.

The sealer computes it, the verification computes it again, and anybody can from an export:

    hash(n) = SHA-256( hash(n - 1) || row(n) ),  hash(0) = 32 zero bytes

``row(n)`` is these fields in this order, each as its length in bytes (four bytes, big-endian) and the bytes themselves;
a field that is NULL has the length 0xFFFFFFFF and no bytes:

    "make-bridge audit 1" · home ("shard" or "directory") · organization id · sequence · row id · kind of actor ·
    actor · action · object · detail · before · after · request id · address · microseconds since 1970-01-01T00:00:00Z

Numbers are decimal text, text is UTF-8, JSON is the stored bytes. An organization has one chain in each home, because
no transaction crosses from one to the other. The hash alone shows whether a chain fits itself; that it is still the one
that was sealed is shown by its signed head (``signing``).
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from make_bridge.kernel.messages import Home

GENESIS: Final = bytes(32)
_FORMAT: Final = "make-bridge audit 1"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NULL: Final = b"\xff\xff\xff\xff"


class ChainedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One stored row; ``sequence`` and ``seal`` are None until it is chained."""

    id: int
    organization_id: int
    actor_kind: str
    actor: str
    action: str
    object: str
    detail: bytes
    before: bytes | None
    after: bytes | None
    request_id: str
    address: str
    created_at: datetime
    sequence: int | None = None
    seal: bytes | None = None


def microseconds(moment: datetime) -> int:
    """Return a moment as the chain writes it."""
    return (moment - _EPOCH) // _MICROSECOND


def joined(*fields: str | bytes | None) -> bytes:
    """Return fields as one text that no other fields give."""
    parts: list[bytes] = []
    for field in fields:
        if field is None:
            parts.append(_NULL)
            continue
        octets = field.encode() if isinstance(field, str) else field
        parts += [len(octets).to_bytes(4, "big"), octets]
    return b"".join(parts)


def canonical(home: Home, sequence: int, row: ChainedRow) -> bytes:
    """Return the canonical form of a row at its place in the chain."""
    return joined(
        _FORMAT,
        home,
        str(row.organization_id),
        str(sequence),
        str(row.id),
        row.actor_kind,
        row.actor,
        row.action,
        row.object,
        row.detail,
        row.before,
        row.after,
        row.request_id,
        row.address,
        str(microseconds(row.created_at)),
    )


def link(previous: bytes, home: Home, sequence: int, row: ChainedRow) -> bytes:
    """Return the hash of a row that follows ``previous``."""
    return hashlib.sha256(previous + canonical(home, sequence, row)).digest()
