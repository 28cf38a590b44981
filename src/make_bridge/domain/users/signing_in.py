"""Signing in: from an e-mail address and a password to a new session.

Attempts are counted before the password is looked at: a few of one e-mail from one address, more of one address in
all. So guessing stops, and no stranger locks anybody out, because nobody else comes from the stranger's address. An
e-mail nobody has, a wrong password and a disabled person cost the same work and get the same answer.

The session is new whatever the browser sent; the one it came with ends. Its row is written only if the password is
still the one that was checked, so a password changed meanwhile lets nobody in with the one before.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Final

import structlog

from make_bridge.domain.users import store
from make_bridge.domain.users.messages import Account, Session, SignedIn, SignInAttempt
from make_bridge.domain.users.model import (
    LONGEST_PASSWORD,
    SessionLimits,
    SignInLimits,
    normalized_email,
    normalized_password,
    shown_address,
    shown_user_agent,
)
from make_bridge.domain.users.roles import Role
from make_bridge.domain.users.sessions import Sessions
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import LimitExceeded, RateLimited, Unauthenticated, Unavailable
from make_bridge.kernel.ids import OrganizationId, SessionId, UserId
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.limits.local import LocalRateLimit
from make_bridge.platform.limits.port import Rate
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.security.passwords import Passwords
from make_bridge.platform.security.secrets import digest_of, new_secret

_log = structlog.get_logger(__name__)

_REFUSED: Final = "This e-mail address and password do not belong together here. Check both and try again."
_POLICY: Final = "sign_in"
# Failures that are written into the audit, of one person in an hour: many addresses must not fill it.
_RECORDED: Final = Rate(name="sign_in_record", most=20, seconds=3600.0)
_MOST_PEOPLE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """What the attempts of one e-mail from one address are counted under, and those of the address."""

    pair: bytes
    address: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningIn:
    """Lets people in; ``sessions`` are what this process remembers."""

    directory: Directory
    sessions: Sessions
    passwords: Passwords
    clock: Clock
    limits: SignInLimits
    session_limits: SessionLimits
    metrics: Metrics
    _recorded: LocalRateLimit = field(init=False, repr=False)
    _recording: set[asyncio.Task[None]] = field(init=False, repr=False, default_factory=set)

    def __post_init__(self) -> None:
        """Begin with no failure recorded."""
        object.__setattr__(self, "_recorded", LocalRateLimit(_RECORDED, self.clock, keys=_MOST_PEOPLE))

    async def sign_in(self, attempt: SignInAttempt) -> SignedIn:
        """Begin a session; raises Unauthenticated for whatever is wrong, RateLimited, LimitExceeded when many come."""
        counted = self.metrics.sign_ins.by_result
        try:
            signed_in = await self._sign_in(attempt)
        except Unauthenticated:
            counted["refused"].inc()
            raise
        except RateLimited:
            counted["blocked"].inc()
            raise
        except LimitExceeded:
            counted["busy"].inc()
            raise
        counted["success"].inc()
        return signed_in

    async def _sign_in(self, attempt: SignInAttempt) -> SignedIn:
        email = normalized_email(attempt.email)
        places = _places_of(email, attempt.address)
        await self._count(places)
        found = await self.directory.ask(lambda tx: store.by_email(tx, email))
        # A longer one is nobody's password, and normalizing it costs what its sender likes.
        password = normalized_password(attempt.password) if len(attempt.password) <= LONGEST_PASSWORD else ""
        is_right = await self.passwords.verify(found.password if found else None, password)
        if found is None or not is_right or found.is_disabled:
            self._note_failure(found, attempt)
            raise Unauthenticated(_REFUSED, code="sign_in_failed")
        return await self._begin(found, attempt, places)

    async def _count(self, places: _Places) -> None:
        """Count an attempt; raises RateLimited after the commit that blocks."""
        counted = (
            ("person", places.pair, self.limits.attempts),
            ("address", places.address, self.limits.address_attempts),
        )
        async with self.directory.write() as tx:
            for of, place, most in counted:
                wait = await store.count_attempt(tx, place, most, self.limits)
                if wait:
                    blocked = self.metrics.sign_ins.blocked[of]
                    refusal = RateLimited(policy=_POLICY, most=most, seconds=self.limits.seconds, wait=wait)
                    break
            else:
                return
        blocked.inc()
        raise refusal

    async def _begin(self, found: Account, attempt: SignInAttempt, places: _Places) -> SignedIn:
        secret = new_secret()
        before = digest_of(attempt.before) if attempt.before is not None else None
        async with self.directory.write() as tx:
            held = await store.hold(tx, found.email)
            if held is None or held.password != found.password or held.is_disabled:
                raise Unauthenticated(_REFUSED, code="sign_in_failed")
            user_id = held.id
            organization_id, role = _place_for(await store.memberships(tx, user_id), attempt.organization_id)
            if before is not None:
                await store.end_shown(tx, before)
            values: dict[str, object] = {
                "digest": digest_of(secret),
                "user_id": user_id,
                "organization_id": organization_id,
                "address": shown_address(attempt.address),
                "user_agent": shown_user_agent(attempt.user_agent),
            }
            row, gone = await store.begin_session(tx, values, self.session_limits)
            await store.clear_attempts(tx, places.pair, places.address)
            await _record(tx, user_id, organization_id, "session.begin", f"session/{row['id']}", attempt)
        for digest in (*gone, *([before] if before else [])):
            self.sessions.forget(digest)
        session = Session(
            id=SessionId(row["id"]),
            user_id=user_id,
            email=held.email,
            organization_id=organization_id,
            role=role,
            ends_at=row["ends_at"],
        )
        return SignedIn(session=session, secret=secret)

    async def close(self) -> None:
        """Finish what is being recorded."""
        await asyncio.gather(*self._recording)

    def _note_failure(self, found: Account | None, attempt: SignInAttempt) -> None:
        """Have a failed attempt at a person's account recorded, so many an hour.

        Beside the answer: one that waited for the record would tell by its time that somebody has this address.
        """
        if found is None or self._recorded.take(found.id):
            return
        task = asyncio.create_task(self._record_failure(found.id, attempt))
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def _record_failure(self, user_id: UserId, attempt: SignInAttempt) -> None:
        try:
            async with self.directory.write() as tx:
                for organization_id in await store.memberships(tx, user_id):
                    await _record(tx, user_id, organization_id, "session.refused", f"user/{user_id}", attempt)
        except Unavailable as error:
            _log.warning("sign_in_unrecorded", user_id=user_id, error=error.message)


def _place_for(memberships: dict[OrganizationId, Role], asked: OrganizationId | None) -> tuple[OrganizationId, Role]:
    """Return where somebody signs in: the organization they ask for, or their first; one they are not in is none."""
    organization_id = asked if asked is not None else next(iter(memberships), None)
    if organization_id is None or organization_id not in memberships:
        raise Unauthenticated(_REFUSED, code="sign_in_failed")
    return organization_id, memberships[organization_id]


def _places_of(email: str, address: str) -> _Places:
    return _Places(pair=_digest("pair", email, address), address=_digest("address", address))


def _digest(*parts: str) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode(errors="surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()


async def _record(
    tx: WriteTx,
    user_id: UserId,
    organization_id: OrganizationId,
    action: str,
    subject: str,
    attempt: SignInAttempt,
) -> None:
    context = Context(
        organization_id=organization_id,
        actor=Actor(kind=ActorKind.USER, reference=str(user_id)),
        permissions=frozenset(),
        request_id=attempt.request_id,
    )
    work = UnitOfWork(tx, context)
    work.touch(subject, address=shown_address(attempt.address), user_agent=shown_user_agent(attempt.user_agent))
    await work.write_record("directory", action)
