"""The query bus: permission and a read-only transaction around every view.

A query sees one organization; the tenant comes from the context. Views that say ``may_lag`` may read a replica
(``platform/database/replicas``), which never lacks what a command has answered; all others read the primary.
An answer that is the same for a whole organization may be remembered (``kept``): then that holds where it was written,
and a moment later at other servers.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import ConfigurationError, PermissionDenied
from make_bridge.kernel.messages import Query
from make_bridge.platform.audit.refusals import Refusals
from make_bridge.platform.cache.layers import RememberedAnswers
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import ReadTx

Q = TypeVar("Q", bound=Query[Any])
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRegistration(Generic[Q, R]):
    """One query with the view that answers it and the permission it needs."""

    query: type[Q]
    view: Callable[[ReadTx, Context, Q], Awaitable[R]]
    permission: str
    home: Literal["shard", "directory"] = "shard"
    may_lag: bool = False
    """Nothing is decided by the answer, so a replica may give it: lists and sums for people."""
    kept: RememberedAnswers[R] | None = None
    """What remembers the answer for whole organizations: its view asks for nothing but whose it is."""


class QueryBus:
    """Finds the view of a query and runs it inside a read-only transaction."""

    def __init__(self, registrations: Iterable[QueryRegistration[Any, Any]], shards: Shards) -> None:
        """Refuse two views for one query."""
        self._shards = shards
        self._refusals = Refusals(shards)
        self._views: dict[type, QueryRegistration[Any, Any]] = {}
        for registration in registrations:
            if registration.query in self._views:
                message = f"{registration.query.__name__} has two views."
                raise ConfigurationError(message)
            self._views[registration.query] = registration

    @property
    def registrations(self) -> list[QueryRegistration[Any, Any]]:
        """Return every registration; tests read them."""
        return list(self._views.values())

    async def ask(self, context: Context, query: Query[R]) -> R:
        """Answer a query; raises PermissionDenied and whatever its view raises."""
        registration = self._views.get(type(query))
        if registration is None:
            message = f"{type(query).__name__} has no view."
            raise ConfigurationError(message)
        try:
            return cast("R", await self._ask(context, registration, query))
        except PermissionDenied as error:
            await self._refusals.note(context, type(query).__name__, error)
            raise

    async def _ask(self, context: Context, registration: QueryRegistration[Any, Any], query: Query[Any]) -> object:
        if not context.allows(registration.permission):
            message = f"These credentials lack the permission '{registration.permission}'."
            raise PermissionDenied(message)
        if registration.home == "directory":
            return await self._shards.directory.ask(lambda tx: registration.view(tx, context, query))
        if registration.kept is not None:
            return await registration.kept.find(
                context.organization_id, lambda: self._read(context, registration, query)
            )
        return await self._read(context, registration, query)

    async def _read(self, context: Context, registration: QueryRegistration[Any, Any], query: Query[Any]) -> object:
        shard = await self._shards.of(context.organization_id)
        ask = shard.ask_lagging if registration.may_lag else shard.ask
        return await ask(context.organization_id, lambda tx: registration.view(tx, context, query))
