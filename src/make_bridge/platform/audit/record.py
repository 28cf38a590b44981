"""One row of the audit trail as it is written: in the transaction of the act, unsealed.

The unit of work writes most of them; refused permissions, opened credentials and acts of the command line are written
by whoever meets them. What is written is bounded and holds no secrets: ``detail`` is what a handler chose to say,
``before`` and ``after`` hold only fields that the command's registration names.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, LiteralString

import msgspec

from make_bridge.kernel.context import Context
from make_bridge.kernel.messages import Home
from make_bridge.platform.database.transactions import WriteTx

MOST_BYTES: Final = 4096
"""Of each of detail, before and after."""
_MOST_MEMBER: Final = 512


def in_both(statement: LiteralString) -> dict[Home, LiteralString]:
    """Return a statement for each home; it names the schema ``home``."""
    return {"shard": statement.replace("home.", "shard."), "directory": statement.replace("home.", "directory.")}


_INSERT: Final = in_both("""
INSERT INTO home.audit
    (organization_id, actor_kind, actor, action, object, detail, before, after, request_id, address)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
""")
_INSERT_MANY: Final = """
INSERT INTO shard.audit
    (organization_id, actor_kind, actor, action, object, detail, request_id)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::text[])
"""


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to which object; ``before`` and ``after`` are None where a command declares no fields."""

    context: Context
    action: str
    object: str
    detail: bytes = b"{}"
    before: bytes | None = None
    after: bytes | None = None


def bounded(facts: Mapping[str, object]) -> bytes:
    """Return facts as JSON of at most ``MOST_BYTES``; what is too long is named with its length."""
    whole = msgspec.json.encode(facts)
    if len(whole) <= MOST_BYTES:
        return whole
    kept: dict[str, object] = {}
    room = MOST_BYTES - len(b'{"leftOut":1000000}')
    for name, value in facts.items():
        encoded = msgspec.json.encode(value)
        told = value if len(encoded) <= _MOST_MEMBER else {"bytes": len(encoded)}
        room -= len(msgspec.json.encode(told)) + len(msgspec.json.encode(name[:_MOST_MEMBER])) + 2
        if room < 0:
            kept["leftOut"] = len(facts) - len(kept)
            break
        kept[name[:_MOST_MEMBER]] = told
    return msgspec.json.encode(kept)


def declared(thing: object, fields: Collection[str]) -> bytes | None:
    """Return the declared fields of a thing (an object or a mapping), None where there is nothing to tell."""
    if thing is None or not fields:
        return None
    if isinstance(thing, Mapping):
        return bounded({name: thing[name] for name in sorted(fields) if name in thing})
    return bounded({name: getattr(thing, name) for name in sorted(fields) if hasattr(thing, name)})


async def insert(tx: WriteTx, home: Home, record: AuditRecord) -> None:
    """Write one row; it is chained within a second of its commit."""
    context = record.context
    await tx.execute(
        _INSERT[home],
        (
            context.organization_id,
            context.actor.kind.value,
            context.actor.reference,
            record.action,
            record.object,
            record.detail,
            record.before,
            record.after,
            context.request_id,
            context.address,
        ),
    )


async def insert_many(tx: WriteTx, records: Sequence[AuditRecord]) -> None:
    """Write rows of many organizations in one statement: for the engine's role."""
    rows = [
        (
            record.context.organization_id,
            record.context.actor.kind.value,
            record.context.actor.reference,
            record.action,
            record.object,
            record.detail,
            record.context.request_id,
        )
        for record in records
    ]
    await tx.execute(_INSERT_MANY, [list(column) for column in zip(*rows, strict=True)])
