"""The statement that reads the trail: an organization's rows in either home, newest first, page by key."""

from datetime import UTC, datetime
from typing import Final

from make_bridge.domain.audit.messages import Act, Place, Wanted
from make_bridge.kernel.ids import OrganizationId
from make_bridge.kernel.messages import Home
from make_bridge.platform.audit.record import in_both
from make_bridge.platform.database.transactions import ReadTx, Row

_FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9999, 12, 31, tzinfo=UTC)
_MOST_ID: Final = 2**63 - 1
_LIST: Final = in_both("""
SELECT id, organization_id, created_at, actor_kind, actor, action, object, detail, before, after, request_id, address,
    sequence, seal
FROM home.audit
WHERE organization_id = %(organization)s
  AND (created_at, id) < (%(at)s, %(id)s) AND created_at >= %(since)s AND created_at < %(until)s
  AND (%(actor)s::text IS NULL OR actor = %(actor)s)
  AND (%(actors)s::text IS NULL OR starts_with(actor, %(actors)s))
  AND (%(action)s::text IS NULL OR action = %(action)s)
  AND (%(actions)s::text IS NULL OR starts_with(action, %(actions)s))
  AND (%(object)s::text IS NULL OR object = %(object)s)
  AND (%(objects)s::text IS NULL OR starts_with(object, %(objects)s))
ORDER BY created_at DESC, id DESC LIMIT %(limit)s
""")


async def list_acts(
    tx: ReadTx, home: Home, organization_id: OrganizationId, wanted: Wanted, behind: Place | None, limit: int
) -> list[Act]:
    """Return an organization's acts, newest first."""
    at, bound = (_LAST, _MOST_ID) if behind is None else (behind.at, _bound(home, behind))
    parameters = {
        "organization": organization_id,
        "at": at,
        "id": bound,
        "since": wanted.since or _FIRST,
        "until": wanted.until or _LAST,
        "limit": limit,
        **_looked_for("actor", wanted.actor),
        **_looked_for("action", wanted.action),
        **_looked_for("object", wanted.object),
    }
    return [_act(home, row) for row in await tx.all(_LIST[home], parameters)]


def _bound(home: Home, behind: Place) -> int:
    """Return below which id acts of the place's own moment are behind it: of one moment homes follow each other."""
    if home == behind.home:
        return behind.id
    return _MOST_ID if home < behind.home else 0


def _looked_for(name: str, text: str | None) -> dict[str, str | None]:
    if text is not None and text.endswith("*"):
        return {name: None, f"{name}s": text[:-1]}
    return {name: text, f"{name}s": None}


def _act(home: Home, row: Row) -> Act:
    return Act(
        id=row["id"],
        home=home,
        organization_id=row["organization_id"],
        at=row["created_at"],
        actor_kind=row["actor_kind"],
        actor=row["actor"],
        action=row["action"],
        object=row["object"],
        detail=bytes(row["detail"]).decode(),
        before=None if row["before"] is None else bytes(row["before"]).decode(),
        after=None if row["after"] is None else bytes(row["after"]).decode(),
        request_id=row["request_id"],
        address=row["address"],
        sequence=row["sequence"],
        hash=None if row["seal"] is None else bytes(row["seal"]).hex(),
    )
