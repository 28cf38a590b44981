"""Events as they stand in a stream: CloudEvents in JSON, and beside them the proof that this installation wrote them.

`redis_streams.py` writes and reads it. A message holds as many events as were stamped together, up to ``MOST_TOGETHER``
and about ``MESSAGE_BYTES``: a message costs more than an event. Whoever else may write to that Redis can add to a
stream; without the proof, a keyed digest over the stream's name and the events, a message is nobody's: it is dropped
before it is read, whatever it holds. So a made-up position never lets a process believe that it was told what it was
not.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.events import SPECIFICATION, Envelope

EVENT: Final = b"events"
PROOF: Final = b"proof"
DIGEST_BYTES: Final = 16
MOST_TOGETHER: Final = 100
MESSAGE_BYTES: Final = 65_536
ENVELOPE_BYTES: Final = 4096
"""What an envelope may take beside its data."""
_SOURCE: Final = "urn:make-bridge:organization:"
Entries = Sequence[tuple[bytes, Mapping[bytes, bytes] | None]]
"""Numbers and fields, as they are read of a stream; of an entry that is gone only the number."""
Streams = Sequence[tuple[bytes, Entries]]
Complaint = Literal["foreign", "unreadable", "too_large"]


class StreamedEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A CloudEvent with its position; without data where that is too large to travel."""

    specversion: str = SPECIFICATION
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: str = "application/json"
    tenant: str
    position: int
    trace: str | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class StreamWire:
    """Writes and reads the events of one stream."""

    def __init__(self, secret: bytes, stream: str, *, payload_bytes: int) -> None:
        """``secret`` is the same in all processes of an installation, ``stream`` the name it stands under."""
        self._digest = hashlib.blake2b(stream.encode(), key=secret, digest_size=DIGEST_BYTES)
        self._most = MOST_TOGETHER * ENVELOPE_BYTES + MESSAGE_BYTES + payload_bytes

    def write(self, envelopes: Sequence[Envelope]) -> list[dict[bytes, bytes]]:
        """Return the fields of as many messages as it takes."""
        messages: list[dict[bytes, bytes]] = []
        together: list[StreamedEvent] = []
        size = 0
        for envelope in envelopes:
            together.append(_streamed(envelope))
            size += len(envelope.data)
            if len(together) == MOST_TOGETHER or size >= MESSAGE_BYTES // 2:
                messages.append(self._message(together))
                together, size = [], 0
        return [*messages, self._message(together)] if together else messages

    def read(self, fields: Mapping[bytes, bytes]) -> list[Envelope] | Complaint:
        """Return the events of a message, or why it is none of this installation's."""
        event, proof = fields.get(EVENT), fields.get(PROOF)
        if event is None or proof is None:
            return "foreign"
        if len(event) > self._most:
            return "too_large"
        if not hmac.compare_digest(proof, self._prove(event)):
            return "foreign"
        try:
            return [_enveloped(told) for told in msgspec.json.decode(event, type=list[StreamedEvent])]
        except (msgspec.DecodeError, ValueError):
            return "unreadable"

    def _message(self, together: Sequence[StreamedEvent]) -> dict[bytes, bytes]:
        events = msgspec.json.encode(together)
        return {EVENT: events, PROOF: self._prove(events)}

    def _prove(self, event: bytes) -> bytes:
        digest = self._digest.copy()
        digest.update(event)
        return digest.digest()


def _streamed(envelope: Envelope) -> StreamedEvent:
    return StreamedEvent(
        id=envelope.id,
        source=f"{_SOURCE}{envelope.organization_id}",
        type=envelope.type,
        subject=envelope.subject,
        time=envelope.time,
        tenant=str(envelope.organization_id),
        position=envelope.position,
        trace=envelope.trace,
        data=msgspec.Raw(envelope.data) if envelope.data else msgspec.UNSET,
    )


def _enveloped(told: StreamedEvent) -> Envelope:
    return Envelope(
        id=told.id,
        position=told.position,
        organization_id=OrganizationId(int(told.tenant)),
        type=told.type,
        subject=told.subject,
        time=told.time,
        data=b"" if told.data is msgspec.UNSET else bytes(told.data),
        trace=told.trace,
    )
