"""Authentication: from the Authorization header to an identity, by one verifier for every face that takes tokens.

A portal token is verified in full and then, only then, used up: the order decides that nobody can burn another's token
ids and that no token is accepted twice. The tenant comes from the key, the customer from the ``sub``, and what may be
done is the key's scope cut down by what the token claims. API tokens are long-lived and belong to the management
routes that say they accept them; a credential shown to the wrong surface is no credential there.

A refused token tells nothing: no token at all, an unknown key, a wrong signature, an expired or used one give the same
answer, the first ones after the same work. The official clients tell none of them apart, they sign afresh; what was
wrong stands in the log, under the request id of the answer.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

import structlog
from joserfc.jwk import OctKey, OKPKey, RSAKey

from make_bridge.domain.customers.messages import Customer
from make_bridge.domain.organizations.messages import PortalKey
from make_bridge.domain.organizations.model import ADMINISTRATOR_SUB, OWN_IDENTITY, ApiToken, permissions_of
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.context import Actor, ActorKind
from make_bridge.kernel.errors import ConfigurationError, Unauthenticated, Unavailable
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.security import portal_tokens
from make_bridge.platform.security.portal_tokens import (
    ExpectedClaims,
    PortalClaims,
    TokenFault,
    TokenRejected,
    UnverifiedToken,
)
from make_bridge.platform.security.secrets import is_api_token, new_secret

_log = structlog.get_logger(__name__)

_MOST_KEYS: Final = 10_000
_HEADER: Final = re.compile(r"(?P<scheme>[A-Za-z]+) (?P<secret>[!-~]+)")
_MISSING: Final = "This address needs credentials: send the header 'Authorization: Bearer <token>'."
_INVALID: Final = (
    "This token is not valid. Send 'Authorization: Bearer <token>' once, with a token signed afresh for every request: "
    "by a current secret with its key id as kid, for a sub, with a jti of its own and an exp at most 120 seconds ahead "
    "of the right time. The server's log says under the request id what was wrong."
)
_UNKNOWN: Final = "This API token is not known here, or has expired."
_CLOCK: Final = (
    "This server's clock is wrong, so it lets no token in: try again, another server may take it. Tell its operator."
)
_WRONG_KIND: Final = "This address does not take this kind of credentials."


class Credentials(StrEnum):
    """The kinds of credentials a route may accept."""

    PORTAL_TOKEN = "portal_token"  # noqa: S105 - the name of a kind
    API_TOKEN = "api_token"  # noqa: S105 - the name of a kind


class KeyFinder(Protocol):
    """Where portal keys are looked up."""

    async def find(self, kid: str) -> PortalKey | None:
        """Return the key with its secret, None for an id that no key has."""
        ...


class Ledger(Protocol):
    """Where tokens are used up; when it cannot say, nobody is let in."""

    async def consume(self, kid: str, jti: str, organization_id: OrganizationId, expires_at: datetime) -> bool:
        """Use a token; True for the first use only."""
        ...


class ApiTokenFinder(Protocol):
    """Where API tokens are looked up."""

    async def find(self, token: str) -> ApiToken | None:
        """Return whose token this is, None for an unknown or expired one."""
        ...


class CustomerResolver(Protocol):
    """Where a ``sub`` becomes a customer."""

    async def resolve(self, organization_id: OrganizationId, sub: str, *, request_id: str = "") -> Customer:
        """Return the customer, made at its first request."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who acts; ``team_id`` is a customer's own team, None for those who act for the whole organization.

    ``credential`` names the key or token that was shown, within its kind; it is no secret.
    """

    organization_id: OrganizationId
    actor: Actor
    permissions: frozenset[str]
    team_id: TeamId | None
    credential: str


class VerifyingKeys:
    """Stored keys in the form the verifier takes; reading one costs more than verifying with it, so they are kept."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ready: dict[str, tuple[PortalKey, portal_tokens.PortalKey]] = {}
        self._nobody_s = portal_tokens.shared_key(new_secret())

    def of(self, stored: PortalKey) -> portal_tokens.PortalKey:
        """Return a stored key, read again whenever the directory gave a new one."""
        known = self._ready.get(stored.kid)
        if known is not None and known[0] is stored:
            return known[1]
        if len(self._ready) >= _MOST_KEYS:
            self._ready.clear()
        key = _read_key(stored)
        self._ready[stored.kid] = (stored, key)
        return key

    def decoy(self, kid: str) -> portal_tokens.PortalKey:
        """Return a key nobody has: verifying with it costs a stranger's token what it costs a forged one."""
        return portal_tokens.PortalKey(
            key_id=kid, organization_id=OrganizationId(0), algorithm="HS256", material=self._nobody_s
        )


def _read_key(stored: PortalKey) -> portal_tokens.PortalKey:
    text = stored.secret.decode()
    match stored.algorithm:
        case "HS256" as algorithm:
            material: OctKey | RSAKey | OKPKey = portal_tokens.shared_key(text)
        case "RS256" | "EdDSA" as algorithm:
            material = portal_tokens.public_key(algorithm, text)
        case _:
            raise ConfigurationError(f"The portal key {stored.kid} is for an algorithm this version does not know.")
    return portal_tokens.PortalKey(
        key_id=stored.kid,
        organization_id=stored.organization_id,
        algorithm=algorithm,
        material=material,
        permissions=stored.permissions,
        not_after=stored.not_after,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """Turns credentials into an identity, or raises Unauthenticated; a token over ``max_token_bytes`` stays unread."""

    portal_keys: KeyFinder
    api_tokens: ApiTokenFinder
    ledger: Ledger
    customers: CustomerResolver
    clock: Clock
    max_token_bytes: int
    expected: ExpectedClaims
    clock_is_off: Callable[[], bool] = lambda: False
    """Whether this machine's clock is too wrong to judge a token by it."""
    _verifying: VerifyingKeys = field(init=False, repr=False, default_factory=VerifyingKeys)

    async def authenticate(
        self, headers: Sequence[str], accepts: frozenset[Credentials], *, request_id: str
    ) -> Identity:
        """Return who sent a request, given its Authorization headers and what the route accepts."""
        if not headers:
            raise Unauthenticated(_MISSING, code="token_missing")
        found = _HEADER.fullmatch(headers[0]) if len(headers) == 1 else None
        if found is None or len(found["secret"]) > self.max_token_bytes:
            raise self._refused("form", _INVALID, "token_invalid")
        scheme, secret = found["scheme"].lower(), found["secret"]
        if scheme == "token" or (scheme == "bearer" and is_api_token(secret)):
            if Credentials.API_TOKEN not in accepts:
                raise self._refused("kind", _WRONG_KIND, "token_kind")
            return await self._by_api_token(secret)
        if scheme != "bearer":
            raise self._refused("scheme", _INVALID, "token_invalid")
        if Credentials.PORTAL_TOKEN not in accepts:
            raise self._refused("kind", _WRONG_KIND, "token_kind")
        return await self._by_portal_token(secret, request_id)

    async def _by_portal_token(self, compact: str, request_id: str) -> Identity:
        if self.clock_is_off():
            # By a slow clock a token would still be good whose use was forgotten long ago.
            raise Unavailable(_CLOCK, code="clock_skew")
        facts: dict[str, object] = {}
        try:
            token = portal_tokens.read_token(compact)
            facts["key_id"] = token.key_id
            stored = await self.portal_keys.find(token.key_id)
            if stored is not None:
                facts["organization_id"] = stored.organization_id
            claims = self._verified(token, stored)
        except TokenRejected as error:
            raise self._refused(error.fault.value, _INVALID, "token_invalid", **facts) from None
        is_first = await self.ledger.consume(
            claims.key_id, claims.token_id, claims.organization_id, claims.remember_until
        )
        if not is_first:
            raise self._refused("used", _INVALID, "token_invalid", **facts)
        return await self._identity(claims, request_id)

    def _verified(self, token: UnverifiedToken, stored: PortalKey | None) -> PortalClaims:
        """Verify a token with the key it names; raises TokenRejected."""
        if stored is not None:
            return portal_tokens.verify_token(token, self._verifying.of(stored), self.clock.now(), self.expected)
        with suppress(TokenRejected):
            portal_tokens.verify_token(token, self._verifying.decoy(token.key_id), self.clock.now(), self.expected)
        raise TokenRejected(TokenFault.UNKNOWN_KEY)

    async def _identity(self, claims: PortalClaims, request_id: str) -> Identity:
        permissions = permissions_of(claims.permissions, claims.subject)
        if claims.subject == ADMINISTRATOR_SUB:
            actor = Actor(kind=ActorKind.ADMINISTRATOR, reference=ADMINISTRATOR_SUB)
            return Identity(
                organization_id=claims.organization_id,
                actor=actor,
                permissions=permissions,
                team_id=None,
                credential=claims.key_id,
            )
        customer = await self.customers.resolve(claims.organization_id, claims.subject, request_id=request_id)
        return Identity(
            organization_id=claims.organization_id,
            actor=Actor(kind=ActorKind.CUSTOMER, reference=claims.subject),
            permissions=permissions,
            team_id=customer.team_id,
            credential=claims.key_id,
        )

    async def _by_api_token(self, secret: str) -> Identity:
        found = await self.api_tokens.find(secret)
        if found is None:
            raise self._refused("unknown_api_token", _UNKNOWN, "token_invalid")
        return Identity(
            organization_id=found.organization_id,
            actor=Actor(kind=ActorKind.API_TOKEN, reference=str(found.id)),
            permissions=found.permissions | {OWN_IDENTITY},
            team_id=None,
            credential=f"token {found.id}",
        )

    def _refused(self, fault: str, message: str, code: str, **facts: object) -> Unauthenticated:
        _log.info("credentials_refused", fault=fault, **facts)
        return Unauthenticated(message, code=code)
