"""Portal tokens: how an integrator's backend says for which customer it speaks.

The edge reads the bearer, looks the key up by ``kid``, verifies here and then, only then, consumes
the ``jti``; ``cli`` and the demo mint. Everything here is pure: the time and the key come in, so one
verifier serves every process. The order is from cheap to dear, and nothing of the token is believed
before its signature: shape, key, signature, claims.

The official sample sends ``sub``, ``jti``, ``iat`` and ``exp``. ``iat``, ``nbf``, ``iss`` and ``aud``
are therefore not required, but strict when they are there: a token that says it is for, or from,
somebody nobody expects is a token gone astray. All faults look the same from outside;
``TokenRejected.fault`` is for the log.
"""

import re
import unicodedata
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import OctKey, OKPKey, RSAKey

from make_bridge.kernel import json
from make_bridge.kernel.errors import ConfigurationError, Unauthenticated
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security import encoding

Algorithm = Literal["HS256", "RS256", "EdDSA"]

MAX_TOKEN_LENGTH: Final = 4096
MAX_LIFETIME: Final = 120
LEEWAY: Final = 10
# A used jti must outlive its token on the slowest clock.
_REMEMBERED_AFTER: Final = LEEWAY + 60
LONGEST_REMEMBERED: Final = timedelta(seconds=MAX_LIFETIME + LEEWAY + _REMEMBERED_AFTER)
"""For how long at most the use of a token that is accepted now has to be remembered."""

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_TOKEN_ID: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")
_PERMISSION: Final = re.compile(r"[a-z0-9_.:*-]{1,64}")
_BEARER: Final = re.compile(r"bearer ([!-~]+)", re.IGNORECASE)
_MAX_SUBJECT: Final = 255
_MAX_PERMISSIONS: Final = 64
_MAX_AUDIENCES: Final = 16
_MAX_DEPTH: Final = 8
_MIN_SECRET_BYTES: Final = 32
_MIN_RSA_BITS: Final = 2048
# A longer key costs each verification more than it gives.
_MAX_RSA_BITS: Final = 4096
# What else a header may say (jku, jwk, x5u, crit, b64, zip, cty) asks the verifier to trust or do more.
_HEADERS: Final = frozenset({"alg", "kid", "typ"})
_HEADERS_KEPT: Final = 256
_TIMES: Final[tuple[str, ...]] = ("exp", "iat", "nbf")
_EVERYTHING: Final = "*"
# Categories of characters no identifier needs and logs and pages suffer from.
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


class TokenFault(StrEnum):
    """Why a token was rejected: for the log and the metric, never for the answer."""

    NO_BEARER = "no_bearer"
    SHAPE = "shape"
    HEADER = "header"
    UNKNOWN_KEY = "unknown_key"
    RETIRED_KEY = "retired_key"
    ALGORITHM = "algorithm"
    SIGNATURE = "signature"
    PAYLOAD = "payload"
    SUBJECT = "subject"
    TOKEN_ID = "token_id"  # noqa: S105 - the name of a fault
    TIME = "time"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    LIFETIME_TOO_LONG = "lifetime_too_long"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    PERMISSIONS = "permissions"


class TokenRejected(Unauthenticated):
    """The portal token is missing, not valid, expired or used before."""

    def __init__(self, fault: TokenFault) -> None:
        """Keep the message and the code the same for every fault."""
        super().__init__()
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedToken:
    """A token of the right shape; only its ``kid`` may be used, and only to find the key."""

    key_id: str
    algorithm: str
    signed: str = field(repr=False)
    payload: str = field(repr=False)
    signature: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalKey:
    """A key as looked up: whose it is, the one algorithm it is for, and what it may grant at most."""

    key_id: str
    organization_id: OrganizationId
    algorithm: Algorithm
    material: OctKey | RSAKey | OKPKey = field(repr=False)
    permissions: frozenset[str] = frozenset({_EVERYTHING})
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedClaims:
    """Who may be named as ``iss`` and ``aud``: anyone else is refused. Where nobody is, any text of fair length may."""

    issuers: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalClaims:
    """What a verified token says; the organization comes from the key, never from the token."""

    organization_id: OrganizationId
    key_id: str
    subject: str
    token_id: str
    expires_at: datetime
    remember_until: datetime
    permissions: frozenset[str]


def read_bearer(values: Collection[str]) -> str:
    """Return the token of the one Authorization header, which must be ``Bearer`` and nothing else."""
    bearer = _BEARER.fullmatch(next(iter(values))) if len(values) == 1 else None
    if bearer is None:
        raise TokenRejected(TokenFault.NO_BEARER)
    return bearer[1]


def read_token(compact: str) -> UnverifiedToken:
    """Check the shape and the header, which costs little, and return what finds the key."""
    parts = _COMPACT.fullmatch(compact) if len(compact) <= MAX_TOKEN_LENGTH else None
    if parts is None:
        raise TokenRejected(TokenFault.SHAPE)
    key_id, algorithm = _read_header(parts[1])
    return UnverifiedToken(
        key_id=key_id,
        algorithm=algorithm,
        signed=compact[: parts.end(2)],
        payload=parts[2],
        signature=parts[3],
    )


@lru_cache(maxsize=_HEADERS_KEPT)
def _read_header(segment: str) -> tuple[str, str]:
    """Return the key and the algorithm that a header names. All tokens of a key have the same one."""
    header = _read_object(segment, TokenFault.HEADER)
    key_id, algorithm, kind = header.get("kid"), header.get("alg"), header.get("typ", "JWT")
    if not header.keys() <= _HEADERS or not isinstance(kind, str) or kind.upper() != "JWT":
        raise TokenRejected(TokenFault.HEADER)
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id) or not isinstance(algorithm, str):
        raise TokenRejected(TokenFault.HEADER)
    return key_id, algorithm


def verify_token(
    token: UnverifiedToken, key: PortalKey | None, now: datetime, expected: ExpectedClaims
) -> PortalClaims:
    """Return the claims of a token, or raise ``TokenRejected``. The caller consumes the ``jti`` after this."""
    if key is None or key.key_id != token.key_id:
        raise TokenRejected(TokenFault.UNKNOWN_KEY)
    if key.not_after is not None and key.not_after <= now:
        raise TokenRejected(TokenFault.RETIRED_KEY)
    if token.algorithm != key.algorithm:
        raise TokenRejected(TokenFault.ALGORITHM)
    claims = _verified_payload(token, key)
    subject, token_id = _read_names(claims)
    expires_at = _read_times(claims, int(now.timestamp()))
    _check_parties(claims, expected)
    return PortalClaims(
        organization_id=key.organization_id,
        key_id=key.key_id,
        subject=subject,
        token_id=token_id,
        expires_at=datetime.fromtimestamp(expires_at, UTC),
        remember_until=datetime.fromtimestamp(expires_at + _REMEMBERED_AFTER, UTC),
        permissions=_granted(claims, key.permissions),
    )


def shared_key(secret: str) -> OctKey:
    """Return the material of an HS256 key: the text's own bytes, as in the official sample.

    Making it costs as much as several verifications, so a looked-up ``PortalKey`` is worth keeping.
    """
    octets = secret.encode()
    if len(octets) < _MIN_SECRET_BYTES or b"-----BEGIN " in octets:
        raise ConfigurationError(f"The secret of a portal key is a text of at least {_MIN_SECRET_BYTES} bytes.")
    try:
        return OctKey.import_key(octets)
    except ValueError:
        raise ConfigurationError("This is a public key. Register it as one; everybody may know it.") from None


def public_key(algorithm: Algorithm, pem: str) -> RSAKey | OKPKey:
    """Return the material of an RS256 or EdDSA key from its public PEM."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if algorithm == "RS256" and isinstance(key, RSAPublicKey) and _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
        return RSAKey.import_key(key)
    if algorithm == "EdDSA" and isinstance(key, Ed25519PublicKey):
        return OKPKey.import_key(key)
    raise ConfigurationError(
        f"This is not a public key for {algorithm}: send PEM of an RSA key of {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits "
        "(RS256) or of an Ed25519 key (EdDSA), and keep its private half."
    )


def mint_portal_token(
    key_id: str,
    secret: str,
    subject: str,
    now: datetime,
    *,
    lifetime: int = MAX_LIFETIME,
    permissions: Iterable[str] | None = None,
) -> str:
    """Return a fresh HS256 token, as the official sample makes them."""
    issued = int(now.timestamp())
    claims = {"sub": subject, "jti": str(uuid.uuid4()), "iat": issued, "exp": issued + lifetime}
    if permissions is not None:
        claims["permissions"] = sorted(permissions)
    return jwt.encode({"alg": "HS256", "kid": key_id}, claims, shared_key(secret), algorithms=["HS256"])


# The algorithms alone: the token was read here, strictly, and a second reader might read something else.
_ALGORITHMS: Final[dict[Algorithm, JWSAlgModel]] = {
    name: jws.JWSRegistry.algorithms[name] for name in get_args(Algorithm)
}


def _verified_payload(token: UnverifiedToken, key: PortalKey) -> dict[str, object]:
    algorithm = _ALGORITHMS[key.algorithm]
    try:
        algorithm.check_key(key.material)
        is_signed = algorithm.verify(token.signed.encode(), encoding.decode(token.signature), key.material)
    except (JoseError, ValueError, TypeError):
        is_signed = False
    if not is_signed:
        raise TokenRejected(TokenFault.SIGNATURE)
    return _read_object(token.payload, TokenFault.PAYLOAD)


def _read_object(segment: str, fault: TokenFault) -> dict[str, object]:
    try:
        return _as_object(encoding.decode(segment), fault)
    except ValueError:
        raise TokenRejected(fault) from None


def _as_object(octets: bytes, fault: TokenFault) -> dict[str, object]:
    try:
        value = json.loads(octets, max_bytes=MAX_TOKEN_LENGTH, max_depth=_MAX_DEPTH)
    except json.InvalidJson:
        raise TokenRejected(fault) from None
    if not isinstance(value, dict):
        raise TokenRejected(fault)
    return value


def _read_names(claims: dict[str, object]) -> tuple[str, str]:
    subject, token_id = claims.get("sub"), claims.get("jti")
    if not isinstance(subject, str) or not _is_identifier(subject):
        raise TokenRejected(TokenFault.SUBJECT)
    if not isinstance(token_id, str) or not _TOKEN_ID.fullmatch(token_id):
        raise TokenRejected(TokenFault.TOKEN_ID)
    return subject, token_id


def _is_identifier(subject: str) -> bool:
    if not 0 < len(subject) <= _MAX_SUBJECT or subject.isspace():
        return False
    return subject.isprintable() or not any(unicodedata.category(character) in _UNPRINTABLE for character in subject)


def _read_times(claims: dict[str, object], now: int) -> int:
    """Check ``exp``, ``iat`` and ``nbf``, and return ``exp``."""
    expires, issued, begins = (_whole_seconds(claims[name]) if name in claims else None for name in _TIMES)
    if expires is None:
        raise TokenRejected(TokenFault.TIME)
    if expires <= now - LEEWAY:
        raise TokenRejected(TokenFault.EXPIRED)
    if any(moment is not None and moment > now + LEEWAY for moment in (issued, begins)):
        raise TokenRejected(TokenFault.NOT_YET_VALID)
    _check_lifetime(expires, issued, now)
    return expires


def _check_lifetime(expires: int, issued: int | None, now: int) -> None:
    """Hold the lifetime to its limit; without ``iat`` the token may end no later than a fresh one would.

    An ``iat`` too far back needs no test of its own: such a token has expired or lives too long.
    """
    if expires > now + MAX_LIFETIME + LEEWAY:
        raise TokenRejected(TokenFault.LIFETIME_TOO_LONG)
    if issued is None:
        return
    if expires - issued > MAX_LIFETIME:
        raise TokenRejected(TokenFault.LIFETIME_TOO_LONG)
    if expires <= issued:
        raise TokenRejected(TokenFault.TIME)


def _whole_seconds(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TokenRejected(TokenFault.TIME)
    return value


def _check_parties(claims: dict[str, object], expected: ExpectedClaims) -> None:
    if "iss" in claims and not _is_expected(claims["iss"], expected.issuers):
        raise TokenRejected(TokenFault.ISSUER)
    if "aud" in claims:
        audience = claims["aud"]
        named = audience if isinstance(audience, list) else [audience]
        if not 0 < len(named) <= _MAX_AUDIENCES or not all(_is_expected(name, expected.audiences) for name in named):
            raise TokenRejected(TokenFault.AUDIENCE)


def _is_expected(name: object, expected: frozenset[str]) -> bool:
    """Say whether a claim names a party that may be named; a list of several has to hold for each."""
    if not isinstance(name, str) or not _is_identifier(name):
        return False
    return not expected or name in expected


def _granted(claims: dict[str, object], scope: frozenset[str]) -> frozenset[str]:
    """Return what both the token asks for and the key may grant; a token that asks for nothing gets the key's."""
    if "permissions" not in claims:
        return scope
    asked = claims["permissions"]
    if not isinstance(asked, list) or len(asked) > _MAX_PERMISSIONS:
        raise TokenRejected(TokenFault.PERMISSIONS)
    if not all(isinstance(permission, str) and _PERMISSION.fullmatch(permission) for permission in asked):
        raise TokenRejected(TokenFault.PERMISSIONS)
    if _EVERYTHING in scope:
        return frozenset(asked)
    return scope if _EVERYTHING in asked else scope.intersection(asked)
