"""A person agrees at the provider: from the ticket in their browser to tokens behind the connection.

Called by ``faces/oauth``. Nobody is authenticated there; what counts is what the browser carries. The ticket lets one
browser begin, once. The state it takes to the provider is 256 random bits, kept as a digest beside the digest of the
browser's cookie, and is taken away by whoever brings it back first, whatever comes of it: so neither a replay nor a
state of another browser gets anywhere. Then the issuer is checked (RFC 9207), and the code is exchanged outside of
every transaction. A consent that is given again has to be of the same account, where the provider says whose it is.
"""

import hmac
import secrets
from dataclasses import dataclass, field, replace
from typing import Final

from make_bridge.domain.connections.store import ComponentStore
from make_bridge.domain.oauth import attempts_store, grants_store, requests, sealed, store
from make_bridge.domain.oauth.answers import ProviderRefused, ProviderUnclear, Tokens
from make_bridge.domain.oauth.attempts_store import Attempt
from make_bridge.domain.oauth.endpoints import Provider
from make_bridge.domain.oauth.grants_store import Grant
from make_bridge.domain.oauth.handlers import Organizations
from make_bridge.domain.oauth.messages import ApplicationFacts, ApplicationId, ConnectionAuthorized
from make_bridge.domain.oauth.model import OAuthLimits
from make_bridge.domain.oauth.revoking import Revoking
from make_bridge.domain.oauth.sealed_tokens import sealed_tokens
from make_bridge.domain.oauth.store import StoredApplication
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import BridgeError, Unauthenticated
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.security.sealing import Sealing
from make_bridge.platform.security.secrets import digest_of, encode_organization, new_secret, read_organization

CALLBACK: Final = "/oauth/callback"
MAX_CODE: Final = 8192
_VERIFIER_BYTES: Final = 48
_PREFIX: Final = 11
_LENGTH: Final = _PREFIX + 43
_STALE: Final = (
    "This attempt to connect has ended or was used before. Close this window and begin again where you were."
)
_SENTENCES: Final = {
    "access_denied": "You did not agree, so nothing was connected.",
    "invalid_scope": "The provider does not know what this application asks for. Tell the people who offer it.",
    "unauthorized_client": "The provider does not let this application ask. Tell the people who offer it.",
    "invalid_request": "The provider did not understand what this application asks. Tell the people who offer it.",
    "temporarily_unavailable": "The provider is not available at this moment. Try again in a while.",
    "server_error": "The provider has a fault at this moment. Try again in a while.",
}


class ConsentFailed(BridgeError):
    """Nothing was connected."""

    code = "consent_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a browser is told: where it goes, and who asks for what."""

    address: str = field(repr=False)
    organization: str
    application: str
    connection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What a browser brings back from the provider; "" stands for what it does not bring."""

    application_id: int
    state: str = field(repr=False)
    browser: str = field(repr=False)
    code: str = field(default="", repr=False)
    error: str = ""
    issuer: str | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A consent that was given; ``return_to`` is the page the person came from, or "" where a window was opened."""

    connection: str
    return_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consents:
    """See the module."""

    shards: Shards
    sealing: Sealing
    provider: Provider
    organizations: Organizations
    revoking: Revoking
    origin: str
    limits: OAuthLimits = field(default_factory=OAuthLimits)
    components: ComponentStore = field(default_factory=ComponentStore)

    def redirect_uri(self, application_id: ApplicationId) -> str:
        """Return where a provider sends browsers back: one address for each application, made of the settings alone."""
        return f"{self.origin}{CALLBACK}/{application_id}"

    async def start(self, ticket: str, browser: str) -> Begun:
        """Let the browser that has the ticket go to the provider; raises Unauthenticated for a ticket that is none."""
        organization_id = _organization_of(ticket)
        organization = await self.organizations.get(organization_id)
        shard = await self.shards.of(organization_id)
        state = encode_organization(organization_id) + new_secret()
        verifier = secrets.token_urlsafe(_VERIFIER_BYTES)
        async with shard.write(organization_id) as tx:
            attempt = await attempts_store.lock(tx, organization_id, digest_of(ticket))
            if attempt is None:
                raise _stale()
            box = await self.sealing.seal(organization_id, sealed.verifier(attempt.connection_id), verifier.encode())
            begun = (digest_of(state), digest_of(browser), box)
            seconds = self.limits.attempt_seconds
            await attempts_store.begin(tx, organization_id, digest_of(ticket), begun, seconds)
            application = (await store.get(tx, organization_id, attempt.application_id)).application
            grant = await grants_store.get(tx, organization_id, attempt.connection_id)
        address = requests.authorize_address(
            application.facts,
            redirect_uri=self.redirect_uri(application.id),
            state=state,
            verifier=verifier,
            more_scopes=attempt.more_scopes,
        )
        return Begun(
            address=address, organization=organization.name, application=application.facts.name, connection=grant.name
        )

    async def finish(self, returned: Returned) -> Connected:
        """Check what came back, get the tokens and keep them.

        Raises Unauthenticated for a state that is none, was used, is over or belongs to another browser, and
        ConsentFailed with a sentence for whatever else keeps the connection from being made.
        """
        organization_id = _organization_of(returned.state)
        attempt, stored, grant = await self._end(organization_id, returned.state)
        # Beyond the commit: whatever is wrong, the state is used up.
        if not _is_right(attempt, returned):
            raise _stale()
        _require_issuer(stored.application.facts, returned.issuer)
        _require_code(returned)
        opened = await self.sealing.open(
            organization_id, sealed.verifier(attempt.connection_id), attempt.verifier_sealed
        )
        client = await sealed.client_of(self.sealing, organization_id, stored)
        redirect_uri = self.redirect_uri(attempt.application_id)
        try:
            tokens = await self.provider.by_code(client, returned.code, opened.decode(), redirect_uri)
        except (ProviderRefused, ProviderUnclear) as failure:
            raise ConsentFailed(f"{failure.message} Nothing was connected: begin again where you were.") from failure
        if attempt.more_scopes and tokens.scope is None:
            # A provider that says nothing has granted what it was asked for (RFC 6749 §5.1).
            asked = (*stored.application.facts.scopes, *attempt.more_scopes)
            tokens = replace(tokens, scope=" ".join(dict.fromkeys(asked)))
        await self._keep(organization_id, replace(grant, more_scopes=tuple(attempt.more_scopes)), tokens, returned)
        return Connected(connection=grant.name, return_to=attempt.return_to)

    async def _end(self, organization_id: OrganizationId, state: str) -> tuple[Attempt, StoredApplication, Grant]:
        """Take the attempt of a state away; raises Unauthenticated where there is none."""
        shard = await self.shards.of(organization_id)
        async with shard.write(organization_id) as tx:
            attempt = await attempts_store.end(tx, organization_id, digest_of(state))
            if attempt is None:
                raise _stale()
            stored = await store.get(tx, organization_id, attempt.application_id)
            return attempt, stored, await grants_store.get(tx, organization_id, attempt.connection_id)

    async def _keep(self, organization_id: OrganizationId, seen: Grant, tokens: Tokens, returned: Returned) -> None:
        """Write the tokens over whatever is there; those of another account are given back instead."""
        kept = await sealed_tokens(self.sealing, self.limits, organization_id, seen.connection_id, tokens)
        shard = await self.shards.of(organization_id)
        async with shard.write(organization_id) as tx:
            fence = await grants_store.next_fence(tx, organization_id, seen.connection_id)
            grant = await grants_store.get(tx, organization_id, seen.connection_id)
            is_other = bool(grant.subject and tokens.subject and grant.subject != tokens.subject)
            if is_other:
                await self._give_back(tx, organization_id, grant, tokens)
            else:
                subject = tokens.subject or grant.subject
                await grants_store.begin_anew(tx, organization_id, grant.connection_id, subject, seen.more_scopes)
                await grants_store.keep(tx, organization_id, grant.connection_id, fence, kept)
                await self.components.set_state(tx, organization_id, grant.connection_id, "active")
                await _tell(tx, organization_id, grant, tokens, returned.request_id)
        if is_other:
            raise ConsentFailed(
                "You agreed with another account than the one this connection was made with. Nothing was changed: "
                "begin again with the same account, or make a new connection.",
                code="other_account",
            )

    async def _give_back(self, tx: WriteTx, organization_id: OrganizationId, grant: Grant, tokens: Tokens) -> None:
        is_pair = tokens.refresh is not None
        token = (tokens.refresh or tokens.access).encode()
        await self.revoking.enqueue_token(tx, organization_id, grant, (token, "refresh" if is_pair else "access"))


def new_browser() -> str:
    """Return what a browser is recognised by: 256 random bits for its cookie."""
    return new_secret()


def _organization_of(token: str) -> OrganizationId:
    organization_id = read_organization(token[:_PREFIX]) if len(token) == _LENGTH else None
    if organization_id is None:
        raise _stale()
    return organization_id


def _stale() -> Unauthenticated:
    return Unauthenticated(_STALE, code="consent_stale")


def _is_right(attempt: Attempt, returned: Returned) -> bool:
    """Say whether a state came back in time, to the address of its application, in the browser it was given to."""
    is_same_browser = hmac.compare_digest(attempt.browser, digest_of(returned.browser))
    return is_same_browser and not attempt.is_over and attempt.application_id == returned.application_id


def _require_issuer(facts: ApplicationFacts, issuer: str | None) -> None:
    """Refuse the answer of another provider than the one that was asked (RFC 9207)."""
    if not facts.issuer or (issuer is None and not facts.sends_issuer):
        return
    if issuer != facts.issuer:
        raise ConsentFailed(
            "The answer does not come from the provider that was asked. Nothing was connected.", code="issuer_mismatch"
        )


def _require_code(returned: Returned) -> None:
    if returned.error:
        unknown = "The provider did not agree. Nothing was connected."
        raise ConsentFailed(_SENTENCES.get(returned.error, unknown), code="provider_error")
    if not 0 < len(returned.code) <= MAX_CODE or not returned.code.isprintable():
        raise ConsentFailed("The provider's answer holds no code. Nothing was connected.", code="code_missing")


async def _tell(tx: WriteTx, organization_id: OrganizationId, grant: Grant, tokens: Tokens, request_id: str) -> None:
    context = Context(
        organization_id=organization_id,
        actor=Actor(kind=ActorKind.SYSTEM, reference="oauth"),
        permissions=frozenset(),
        request_id=request_id,
    )
    subject = f"connection/{grant.connection_id}"
    work = UnitOfWork(tx, context)
    work.touch(subject, application=grant.application_id)
    event = ConnectionAuthorized(
        connection_id=grant.connection_id, application_id=grant.application_id, scope=tokens.scope or ""
    )
    work.emit(event, subject=subject)
    await work.write_record("shard", "oauth.consent.give")


async def forget_attempts(shards: Shards) -> int:
    """Drop attempts that nobody came back to, on every shard; return how many."""

    async def forget(shard: Shard) -> int:
        async with shard.engine_write() as tx:
            return await attempts_store.forget(tx)

    return await shards.everywhere("oauth_attempts_forgotten", forget)
