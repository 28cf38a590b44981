"""The rules of endpoints: what may be saved, which event goes where, what an answer means. Pure."""

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

import msgspec

from make_bridge.domain.deliveries.messages import EndpointId, MessageId
from make_bridge.kernel.errors import InvalidInput, NotFound

PING: Final = "endpoint.ping.v1"
SEND: Final = "webhook.send"
RELEASE: Final = "webhook.release"
MOST_PATTERNS: Final = 50
MOST_DESCRIPTION: Final = 500
MOST_URL: Final = 2048
LONGEST_RETRY_AFTER: Final = 24 * 3600.0
SHOWN_ANSWER: Final = 1024
GONE: Final = 410
_ASKS_TO_WAIT: Final = frozenset({429, 503})
_SUCCESS: Final = range(200, 300)
_OWN: Final = "endpoint."
_LONGEST_BUSY: Final = 60.0
_ID: Final = re.compile(r"(?:msg_)?([0-9a-f]{32})")
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_VERSION: Final = re.compile(r"\.v[0-9]+")
# Told live, up to once a second for each job: nothing that an endpoint should be called for.
_NEVER: Final = frozenset({"job.progress.v1"})


class EndpointState(StrEnum):
    """Whether messages are sent, kept, or put down as failed."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class MessageState(StrEnum):
    """How far a message is."""

    WAITING = "waiting"
    HELD = "held"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLimits:
    """Every number of outbound webhooks; settings name them ``webhook_endpoint_…``."""

    endpoints: int = 16
    seconds: float = 15.0
    in_flight: int = 5
    unfinished: int = 10_000
    logged_attempts: int = 50
    retention_days: int = 30
    disable_days: int = 5
    disable_attempts: int = 10
    overlap_hours: int = 24
    body_bytes: int = 262_144
    plain_http: bool = False
    known_types: frozenset[str] = field(default=frozenset(), repr=False)


def checked_description(text: str) -> str:
    """Return a description, or raise InvalidInput."""
    if len(text) > MOST_DESCRIPTION or any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in text):
        message = f"A description has at most {MOST_DESCRIPTION} characters and no control characters."
        raise InvalidInput(message, fields={"description": message})
    return text.strip()


def checked_patterns(patterns: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """Return which events an endpoint listens to; raises InvalidInput for what no event can ever match."""
    if len(patterns) > MOST_PATTERNS:
        raise _unfit(f"An endpoint names at most {MOST_PATTERNS} types of events.")
    offered = sorted(name for name in known if name not in _NEVER)
    for pattern in patterns:
        if not any(matches(pattern, name) for name in offered):
            near = difflib.get_close_matches(pattern, [*offered, *(name[:-3] for name in offered)], n=1)
            hint = f" The nearest is {near[0]}." if near else " The types stand in the reference of events."
            raise _unfit(f"No event is of the type {pattern[:80]!r}.{hint}")
    return tuple(dict.fromkeys(patterns))


def _unfit(message: str) -> InvalidInput:
    return InvalidInput(message, fields={"events": message})


def matches(pattern: str, name: str) -> bool:
    """Say whether a pattern means an event: its wire name, the same without its version, or a prefix with ``.*``."""
    if pattern.endswith(".*"):
        return name.startswith(pattern[:-1])
    return name == pattern or (name.startswith(pattern) and _VERSION.fullmatch(name[len(pattern) :]) is not None)


def is_told(patterns: Sequence[str], endpoint_id: EndpointId, name: str, data: bytes) -> bool:
    """Say whether an endpoint is told of an event.

    Here stands the guard against deliveries that cause deliveries: no endpoint hears of itself, and none hears of the
    jobs that send. What is left of this slice's own events comes once, when another endpoint is disabled.
    """
    if name in _NEVER or name == PING or _is_about(endpoint_id, name, data):
        return False
    return not patterns or any(matches(pattern, name) for pattern in patterns)


class _Subject(msgspec.Struct):
    endpoint_id: int | None = None
    type: str = ""


def _is_about(endpoint_id: EndpointId, name: str, data: bytes) -> bool:
    if not name.startswith((_OWN, "job.")):
        return False
    subject = msgspec.json.decode(data, type=_Subject)
    return subject.endpoint_id == endpoint_id if name.startswith(_OWN) else subject.type in {SEND, RELEASE}


def message_id_for(event_id: str, endpoint_id: EndpointId) -> MessageId:
    """Return the id of an event's message to an endpoint: always the same."""
    return MessageId(hashlib.sha256(f"{event_id}/{endpoint_id}".encode()).hexdigest()[:32])


def shown_id(message_id: MessageId) -> str:
    """Return the id as receivers and callers of the API see it."""
    return f"msg_{message_id}"


def read_message_id(text: str) -> MessageId:
    """Read an id as it is shown, or bare; raises NotFound for what is none."""
    found = _ID.fullmatch(text)
    if found is None:
        raise NotFound("There is no such message: its id is msg_ and 32 hexadecimal characters.")
    return MessageId(found[1])


class Meaning(StrEnum):
    """What an attempt came to."""

    DELIVERED = "delivered"
    GONE = "gone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one attempt ended; ``wait`` is what the receiver asked for, in seconds."""

    at: datetime
    duration_ms: int
    status: int | None = None
    failure: str = ""
    sentence: str = ""
    answer: str = ""
    wait: float | None = None

    @property
    def meaning(self) -> Meaning:
        """Say what follows: only a status of 2xx is a delivery, and only 410 says never again."""
        if self.status is None:
            return Meaning.FAILED
        if self.status in _SUCCESS:
            return Meaning.DELIVERED
        return Meaning.GONE if self.status == GONE else Meaning.FAILED

    @property
    def why(self) -> str:
        """Return one sentence for a failed attempt."""
        return self.sentence if self.status is None else f"It answered with status {self.status}."


def asked_to_wait(status: int, retry_after: str | None, now: datetime) -> float | None:
    """Read Retry-After of an answer that may ask for it, within 0 s and 24 h; None where it asks for nothing."""
    if status not in _ASKS_TO_WAIT or retry_after is None:
        return None
    text = retry_after.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER)


def shown_answer(body: bytes) -> str:
    """Return the beginning of an answer as text that can be stored and shown."""
    text = body[:SHOWN_ANSWER].decode("utf-8", "replace")
    return "".join(" " if unicodedata.category(sign) in {"Cc", "Cs"} else sign for sign in text)


def busy_pause(waiting: int, places: int) -> float:
    """Return how long a message steps back while all places of its endpoint are taken: longer, the more wait."""
    return min(1.0 + waiting / (4 * places), _LONGEST_BUSY)
