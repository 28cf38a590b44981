"""The signed internal context: what a gateway tells another process of ours about a request that it has let in.

Credentials are verified once, at the edge; what is forwarded carries, in one header, who acts for whom, until when
somebody waits, and for which request, body and role this was written. It is signed with a key that follows from the
root key, which every process of an installation holds and nobody else. From outside such a header is a forgery:
``faces/edge/request_head`` takes it away on every surface; only a listener between processes may read it, here.

A context is good for a minute at most, for one role, one method and target, and one body. Within that time it may be
shown again, as a gateway does that repeats a call; the request id says that it is the same. Pure: keys and time come
in, so that one reader serves every process.

The form is ``v1.key name.payload.signature``. The signature covers all that stands before it, and is checked before
anything of the payload is believed. All faults look the same from outside; ``fault`` is for the log.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import ConfigurationError, Unauthenticated
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.security import encoding
from make_bridge.platform.security.root_key import RootKey

HEADER: Final = "x-make-bridge-context"
MOST_SECONDS: Final = 60
MOST_BYTES: Final = 8 * 1024
MOST_WAIT_SECONDS: Final = 900
# Clocks of one installation differ by a little; a context from further ahead was written by nobody of ours.
LEEWAY_SECONDS: Final = 5

_ASK_AGAIN_MS: Final = 1000
_VERSION: Final = "v1"
_PURPOSE: Final = b"internal context v1"
_FORM: Final = re.compile(r"(v1\.([0-9a-f]{1,64})\.([A-Za-z0-9_-]+))\.([A-Za-z0-9_-]{43})")


class ContextFault(StrEnum):
    """Why a context was refused: for the log and the metric, never for the answer."""

    MISSING = "missing"
    REPEATED = "repeated"
    TOO_LONG = "too_long"
    SHAPE = "shape"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    PAYLOAD = "payload"
    LIFETIME = "lifetime"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    AUDIENCE = "audience"
    REQUEST = "request"
    BODY = "body"


class InternalContextRefused(Unauthenticated):
    """This call does not come from a process of this installation."""

    def __init__(self, fault: ContextFault) -> None:
        """Keep the message and the code the same for every fault."""
        super().__init__()
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedCall:
    """The request that a context is written for; ``target`` is path and query as they are sent."""

    audience: str
    method: str
    target: str
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """What is handed over: who acts, until when somebody waits for the answer, and the trace it belongs to.

    ``home`` is the team that new things belong to: the context's own, or the root team of who sees all teams.
    """

    context: Context
    home: TeamId
    deadline: datetime
    trace: str = ""


class _Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The payload. Moments are whole milliseconds since 1970; every member is always there."""

    audience: str
    method: str
    target: str
    body: str
    issued: int
    expires: int
    deadline: int
    trace: str
    organization: int
    team: int | None
    home: int
    actor: ActorKind
    reference: str
    permissions: list[str]
    request: str
    idempotency: str | None
    repetition: str | None
    address: str


class InternalContexts:
    """Writes contexts with one root key and reads those of any it was given."""

    def __init__(
        self,
        current: RootKey,
        previous: Iterable[RootKey] = (),
        *,
        seconds: int = MOST_SECONDS,
        more: Callable[[], Iterable[RootKey]] | None = None,
    ) -> None:
        """``previous`` are still read: while the root key is rotated, some processes write with the one before.

        ``more`` gives the keys that are there by now; it is asked, once a second at most, when a name is unknown.
        """
        self._more = more
        self._asked_at: int | None = None
        if not 1 <= seconds <= MOST_SECONDS:
            raise ConfigurationError(f"An internal context lives between 1 and {MOST_SECONDS} seconds.")
        self._name = current.name
        self._keys = {key.name: key.derive(_PURPOSE) for key in (*previous, current)}
        self._life = timedelta(seconds=seconds)

    def write(self, forwarded: Forwarded, call: ForwardedCall, now: datetime) -> str:
        """Return the header's value for one call; raises ConfigurationError for what no reader would take."""
        claims = _claims_of(forwarded, call, now, now + self._life)
        signed = f"{_VERSION}.{self._name}.{encoding.encode(msgspec.json.encode(claims))}"
        value = f"{signed}.{encoding.encode(self._signature(self._name, signed))}"
        if len(value) > MOST_BYTES or not _is_bounded(claims):
            raise ConfigurationError("This context is too large to be handed over, or waits too long.")
        return value

    def read(self, values: Collection[str], call: ForwardedCall, now: datetime) -> Forwarded:
        """Return what the one header of this call says; raises InternalContextRefused.

        ``call`` is the request as it arrived, and the role that reads it.
        """
        claims = self._verified(_only(values), _moment(now))
        _check_times(claims, _moment(now))
        if claims.audience != call.audience:
            raise InternalContextRefused(ContextFault.AUDIENCE)
        if (claims.method, claims.target) != (call.method, call.target):
            raise InternalContextRefused(ContextFault.REQUEST)
        if not hmac.compare_digest(claims.body.encode(), _digest(call.body).encode()):
            raise InternalContextRefused(ContextFault.BODY)
        return _forwarded(claims)

    def _knows(self, name: str, now: int) -> bool:
        is_due = self._asked_at is None or abs(now - self._asked_at) >= _ASK_AGAIN_MS
        if name not in self._keys and self._more is not None and is_due:
            self._asked_at = now
            self._keys |= {key.name: key.derive(_PURPOSE) for key in self._more()}
        return name in self._keys

    def _verified(self, value: str, now: int) -> _Claims:
        parts = _FORM.fullmatch(value)
        if parts is None:
            raise InternalContextRefused(ContextFault.SHAPE)
        signed, name, payload, signature = parts.groups()
        if not self._knows(name, now):
            raise InternalContextRefused(ContextFault.UNKNOWN_KEY)
        if not hmac.compare_digest(encoding.encode(self._signature(name, signed)), signature):
            raise InternalContextRefused(ContextFault.SIGNATURE)
        try:
            return msgspec.json.decode(encoding.decode(payload), type=_Claims)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise InternalContextRefused(ContextFault.PAYLOAD) from None

    def _signature(self, name: str, signed: str) -> bytes:
        return hmac.digest(self._keys[name], signed.encode(), "sha256")


def _only(values: Collection[str]) -> str:
    """Return the one value there is; two headers are two opinions of who acts."""
    if not values:
        raise InternalContextRefused(ContextFault.MISSING)
    if len(values) > 1:
        raise InternalContextRefused(ContextFault.REPEATED)
    value = next(iter(values))
    if len(value) > MOST_BYTES:
        raise InternalContextRefused(ContextFault.TOO_LONG)
    return value


def _check_times(claims: _Claims, now: int) -> None:
    leeway = LEEWAY_SECONDS * 1000
    if not _is_bounded(claims):
        raise InternalContextRefused(ContextFault.LIFETIME)
    if claims.issued > now + leeway:
        raise InternalContextRefused(ContextFault.NOT_YET_VALID)
    if claims.expires <= now - leeway:
        raise InternalContextRefused(ContextFault.EXPIRED)


def _is_bounded(claims: _Claims) -> bool:
    life, wait = claims.expires - claims.issued, claims.deadline - claims.issued
    return 0 < life <= MOST_SECONDS * 1000 and wait <= MOST_WAIT_SECONDS * 1000


def _claims_of(forwarded: Forwarded, call: ForwardedCall, issued: datetime, expires: datetime) -> _Claims:
    context = forwarded.context
    return _Claims(
        audience=call.audience,
        method=call.method,
        target=call.target,
        body=_digest(call.body),
        issued=_moment(issued),
        expires=_moment(expires),
        deadline=_moment(forwarded.deadline),
        trace=forwarded.trace,
        organization=context.organization_id,
        team=context.team_id,
        home=forwarded.home,
        actor=context.actor.kind,
        reference=context.actor.reference,
        permissions=sorted(context.permissions),
        request=context.request_id,
        idempotency=context.idempotency_key,
        repetition=None if context.body_digest is None else context.body_digest.hex(),
        address=context.address,
    )


def _forwarded(claims: _Claims) -> Forwarded:
    try:
        repetition = None if claims.repetition is None else bytes.fromhex(claims.repetition)
        deadline = datetime.fromtimestamp(claims.deadline / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise InternalContextRefused(ContextFault.PAYLOAD) from None
    context = Context(
        organization_id=OrganizationId(claims.organization),
        actor=Actor(kind=claims.actor, reference=claims.reference),
        permissions=frozenset(claims.permissions),
        request_id=claims.request,
        team_id=None if claims.team is None else TeamId(claims.team),
        idempotency_key=claims.idempotency,
        body_digest=repetition,
        address=claims.address,
    )
    return Forwarded(context=context, home=TeamId(claims.home), deadline=deadline, trace=claims.trace)


def _moment(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
