"""Tokens for calls that runs make now: opened here, renewed ahead of their end or when a target refuses them.

``TokenKeeper`` is handed to the execution path and to nothing else. New tokens are asked for once, however many runs of
however many processes want them: within a process they share one task; between processes the one that takes the lease
asks, and the others read what it wrote. Before anybody uses new tokens they are committed, because a refresh token
that rotates is worth nothing once its successor was given out. For the same reason the task that asks outlives the run
that wanted it, and ends with the process at the earliest after its deadline.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from make_bridge.domain.connections.store import ComponentStore
from make_bridge.domain.oauth import grants_store, sealed, store
from make_bridge.domain.oauth.answers import INVALID_GRANT, ProviderRefused, ProviderUnclear, Tokens
from make_bridge.domain.oauth.endpoints import Provider
from make_bridge.domain.oauth.grants_store import Grant
from make_bridge.domain.oauth.messages import ConnectionNeedsConsent
from make_bridge.domain.oauth.sealed_tokens import sealed_tokens
from make_bridge.domain.oauth.targets import covers
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import BridgeError
from make_bridge.kernel.ids import ComponentId, OrganizationId
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.security.sealing import Sealing

_FIRST_LOOK: Final = 0.05
_LONGEST_PAUSE: Final = 0.5
_AGAIN: Final = "Open the connection and connect it again."


class TokenUnavailable(BridgeError):
    """There is no token at this moment: a later call may get one."""

    code = "token_unavailable"


class TokenLost(BridgeError):
    """The provider gives no token for this connection until a person agrees again."""

    code = "needs_consent"


class TokenNotForHost(BridgeError):
    """This connection's token is not sent to this host."""

    code = "host_not_covered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token, alive for one call; ``version`` tells it from the one that follows."""

    access: str = field(repr=False)
    version: int


class TokenKeeper:
    """See the module; entered by ``boot`` so that what is under way ends before the database closes."""

    def __init__(self, shards: Shards, sealing: Sealing, provider: Provider, metrics: Metrics) -> None:
        """``provider`` calls out."""
        self._shards = shards
        self._sealing = sealing
        self._provider = provider
        self._metrics = metrics
        self._components = ComponentStore()
        self._flights: dict[ComponentId, asyncio.Task[Grant]] = {}

    async def close(self) -> None:
        """Let renewals end that are under way; each has a deadline."""
        while self._flights:
            await asyncio.wait(list(self._flights.values()))

    async def token(self, organization_id: OrganizationId, connection_id: ComponentId, *, url: str) -> Token:
        """Return a token for a call to ``url``.

        Raises TokenNotForHost, TokenLost, TokenUnavailable, and NotFound for a connection that has no grant.
        """
        grant = await self._read(organization_id, connection_id)
        if not covers(grant.hosts, url, plain_http=self._provider.limits.plain_http):
            raise TokenNotForHost(
                f"The token of the connection '{grant.name}' is not sent to this address: "
                f"its application names the hosts {', '.join(grant.hosts[:5])}."
            )
        _require_consent(grant)
        if grant.access_sealed is None or grant.is_due:
            grant = await self._renewed(organization_id, grant)
        return await self._opened(organization_id, grant)

    async def after_refusal(
        self, organization_id: OrganizationId, connection_id: ComponentId, refused: Token
    ) -> Token | None:
        """Return another token than the one a target refused, or None where there is none to be had.

        One that was got a moment ago is not renewed: a target that refuses every token would have each call ask for
        one. Raises as ``token`` does.
        """
        grant = await self._read(organization_id, connection_id)
        _require_consent(grant)
        if grant.version == refused.version:
            if grant.kind == "authorization_code" and grant.refresh_sealed is None:
                return None
            if grant.age < self._provider.limits.refusal_pause_seconds:
                return None
            grant = await self._share(organization_id, grant)
        return await self._opened(organization_id, grant)

    async def renew_idle(self, organization_id: OrganizationId, connection_id: ComponentId, version: int) -> bool:
        """Renew tokens that nobody uses; False where others stand there by now. Raises as ``token`` does."""
        grant = await self._read(organization_id, connection_id)
        if grant.version != version or grant.state != "active" or grant.refresh_sealed is None:
            return False
        await self._share(organization_id, grant)
        return True

    async def _read(self, organization_id: OrganizationId, connection_id: ComponentId) -> Grant:
        shard = await self._shards.of(organization_id)
        return await shard.ask(organization_id, lambda tx: grants_store.get(tx, organization_id, connection_id))

    async def _opened(self, organization_id: OrganizationId, grant: Grant) -> Token:
        _require_consent(grant)
        if grant.access_sealed is None:
            raise TokenUnavailable(f"There is no token for the connection '{grant.name}' yet.")
        purpose = sealed.token(grant.connection_id, "access")
        opened = await self._sealing.open(organization_id, purpose, grant.access_sealed)
        return Token(access=opened.decode(), version=grant.version)

    async def _renewed(self, organization_id: OrganizationId, grant: Grant) -> Grant:
        """Renew what is due; what is not over yet goes on being used where that does not succeed."""
        is_usable = grant.access_sealed is not None and not grant.is_over
        if grant.kind == "authorization_code" and grant.refresh_sealed is None:
            if is_usable:
                return grant
            raise TokenLost(f"The token of the connection '{grant.name}' has run out and cannot be renewed. {_AGAIN}")
        try:
            return await self._share(organization_id, grant)
        except TokenUnavailable:
            if is_usable:
                return grant
            raise

    async def _share(self, organization_id: OrganizationId, grant: Grant) -> Grant:
        """Renew in the task that all who want it share; it goes on when who waits for it is cancelled."""
        task = self._flights.get(grant.connection_id)
        if task is None:
            task = asyncio.create_task(self._renew(organization_id, grant), name=f"renew-{grant.connection_id}")
            self._flights[grant.connection_id] = task
            task.add_done_callback(lambda done: self._landed(grant.connection_id, done))
        return await asyncio.shield(task)

    def _landed(self, connection_id: ComponentId, task: asyncio.Task[Grant]) -> None:
        del self._flights[connection_id]
        if not task.cancelled():
            # Looked at here, because everybody who waited may be gone.
            task.exception()

    async def _renew(self, organization_id: OrganizationId, seen: Grant) -> Grant:
        """Ask, or wait for whoever asks; return the grant with tokens that follow those seen."""
        loop = asyncio.get_running_loop()
        limits = self._provider.limits
        deadline, pause = loop.time() + limits.lease_seconds + limits.call_seconds, _FIRST_LOOK
        while True:
            fence = await self._take(organization_id, seen)
            if fence is not None:
                return await self._ask(organization_id, seen, fence)
            grant = await self._read(organization_id, seen.connection_id)
            if grant.version != seen.version:
                _require_consent(grant)
                return grant
            if loop.time() > deadline:
                raise TokenUnavailable("Somebody else is renewing the token of this connection and has not ended yet.")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def _take(self, organization_id: OrganizationId, seen: Grant) -> int | None:
        seconds = self._provider.limits.lease_seconds
        return await self._shards.write(
            organization_id,
            lambda tx: grants_store.take(tx, organization_id, seen.connection_id, seen.version, seconds),
        )

    async def _ask(self, organization_id: OrganizationId, seen: Grant, fence: int) -> Grant:
        """Make the one call, under the number taken, and write what came of it."""
        try:
            tokens = await self._call(organization_id, seen)
        except ProviderRefused as refusal:
            self._metrics.oauth.renewals["refused"].inc()
            if refusal.error == INVALID_GRANT:
                return await self._lose(organization_id, seen, fence)
            await self._leave(organization_id, seen, fence)
            raise TokenUnavailable(refusal.message) from refusal
        except ProviderUnclear as failure:
            self._metrics.oauth.renewals["unanswered"].inc()
            await self._leave(organization_id, seen, fence)
            raise TokenUnavailable(failure.message) from failure
        await self._keep(organization_id, seen, fence, tokens)
        self._metrics.oauth.renewals["renewed"].inc()
        return await self._read(organization_id, seen.connection_id)

    async def _call(self, organization_id: OrganizationId, seen: Grant) -> Tokens:
        shard = await self._shards.of(organization_id)
        stored = await shard.ask(organization_id, lambda tx: store.get(tx, organization_id, seen.application_id))
        client = await sealed.client_of(self._sealing, organization_id, stored)
        if seen.kind == "client_credentials":
            return await self._provider.by_itself(client)
        purpose = sealed.token(seen.connection_id, "refresh")
        opened = await self._sealing.open(organization_id, purpose, seen.refresh_sealed or "")
        return await self._provider.by_refresh_token(client, opened.decode())

    async def _keep(self, organization_id: OrganizationId, seen: Grant, fence: int, tokens: Tokens) -> None:
        limits = self._provider.limits
        kept = await sealed_tokens(self._sealing, limits, organization_id, seen.connection_id, tokens)
        await self._shards.write(
            organization_id, lambda tx: grants_store.keep(tx, organization_id, seen.connection_id, fence, kept)
        )

    async def _leave(self, organization_id: OrganizationId, seen: Grant, fence: int) -> None:
        """Let the next one ask; where even that fails, the lease ends by itself."""
        with suppress(BridgeError):
            await self._shards.write(
                organization_id, lambda tx: grants_store.leave(tx, organization_id, seen.connection_id, fence)
            )

    async def _lose(self, organization_id: OrganizationId, seen: Grant, fence: int) -> Grant:
        """Note that a person has to agree again, unless other tokens stand there by now: those are returned."""
        reason = "The provider takes the tokens of this connection no more."
        shard = await self._shards.of(organization_id)
        async with shard.write(organization_id) as tx:
            is_lost = await grants_store.lose(tx, organization_id, seen, fence, reason)
            if is_lost:
                await self._components.set_state(tx, organization_id, seen.connection_id, "needs_consent")
                work = UnitOfWork(tx, _system(organization_id, seen))
                subject = f"connection/{seen.connection_id}"
                work.touch(subject, reason=reason)
                event = ConnectionNeedsConsent(
                    connection_id=seen.connection_id, application_id=seen.application_id, reason=reason
                )
                work.emit(event, subject=subject)
                await work.write_record("shard", "oauth.consent.lose")
        grant = await self._read(organization_id, seen.connection_id)
        _require_consent(grant)
        return grant


def _require_consent(grant: Grant) -> None:
    """Raise TokenLost for a connection that nobody has agreed to, or not any more."""
    if grant.state == "needs_consent":
        raise TokenLost(f"The connection '{grant.name}' needs your consent again. {_AGAIN}")
    if grant.state != "active":
        raise TokenLost(f"Nobody has agreed to the connection '{grant.name}' yet. {_AGAIN}")


def _system(organization_id: OrganizationId, grant: Grant) -> Context:
    return Context(
        organization_id=organization_id,
        actor=Actor(kind=ActorKind.SYSTEM, reference="oauth"),
        permissions=frozenset(),
        request_id=f"renew-{grant.connection_id}-{grant.version}",
    )
