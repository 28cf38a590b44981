"""What can be asked of the audit trail. Nothing of it can be changed by anybody, so there are no commands."""

from datetime import datetime

from make_bridge.kernel.messages import Home, Query, message


@message
class Act:
    """One row of the trail; detail, before and after are the stored JSON texts, as the chain's hash covers them.

    ``sequence`` and ``hash`` are None for the moment until the row is chained.
    """

    id: int
    home: Home
    organization_id: int
    at: datetime
    actor_kind: str
    actor: str
    action: str
    object: str
    detail: str
    before: str | None
    after: str | None
    request_id: str
    address: str
    sequence: int | None
    hash: str | None


@message
class Wanted:
    """Which acts: None is any; a text that ends with ``*`` stands for all that begin so."""

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@message
class Place:
    """Where a page ended: acts are told newest first, and of one moment by home and id."""

    at: datetime
    home: Home
    id: int


@message
class ListShardActs(Query[list[Act]]):
    """The organization's acts on its shard, behind a place."""

    wanted: Wanted
    behind: Place | None = None
    limit: int = 100


@message
class ListDirectoryActs(Query[list[Act]]):
    """The organization's acts in the directory (itself, its keys and tokens), behind a place."""

    wanted: Wanted
    behind: Place | None = None
    limit: int = 100
