"""What can be done with endpoints and the messages to them, what can be asked, and what is told of them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, NewType

from make_bridge.kernel.ids import BatchId
from make_bridge.kernel.messages import Command, Event, Query, message

EndpointId = NewType("EndpointId", int)
MessageId = NewType("MessageId", str)
"""32 hexadecimal characters; receivers see it with ``msg_`` before it, the same in every attempt."""


@message
class Endpoint:
    """Where an organization wants to be told of events."""

    id: EndpointId
    url: str
    description: str
    events: tuple[str, ...]
    state: str
    disabled_reason: str
    disabled_at: datetime | None
    previous_secret_until: datetime | None
    last_success_at: datetime | None
    failing_since: datetime | None
    failures: int
    dropped: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointWithSecret:
    """An endpoint whose secret was just made; it is shown this once."""

    endpoint: Endpoint
    secret: str = field(repr=False)


@message
class Attempt:
    """One attempt to deliver: its status, or what kind of failure there was instead of an answer."""

    number: int
    at: datetime
    status: int | None
    failure: str
    duration_ms: int
    answer: str
    next_at: datetime | None


@message
class Message:
    """One event for one endpoint, and how far it came."""

    id: MessageId
    endpoint_id: EndpointId
    event_id: str
    type: str
    state: str
    attempts: int
    error: str
    created_at: datetime
    finished_at: datetime | None
    next_attempt_at: datetime | None


@message
class MessageWithLog:
    """A message with its body and the latest of its attempts, oldest first."""

    message: Message
    body: str
    log: tuple[Attempt, ...]


@message
class ReplayedMessages:
    """Messages that are sent again, as one batch of jobs; ``more`` says that others wait for another call."""

    batch_id: BatchId | None
    messages: int
    more: bool


@message
class CreateEndpoint(Command[EndpointWithSecret]):
    """Tell events at a URL from now on."""

    url: str
    description: str = ""
    events: tuple[str, ...] = ()


@message
class UpdateEndpoint(Command[Endpoint]):
    """Change an endpoint; None leaves as it is."""

    endpoint_id: EndpointId
    url: str | None = None
    description: str | None = None
    events: tuple[str, ...] | None = None


@message
class DeleteEndpoint(Command[None]):
    """Tell nothing there any more; what waits is not sent."""

    endpoint_id: EndpointId


@message
class RotateEndpointSecret(Command[EndpointWithSecret]):
    """Make a new secret; the one before signs beside it for a while."""

    endpoint_id: EndpointId


@message
class PauseEndpoint(Command[Endpoint]):
    """Keep messages until the endpoint is resumed."""

    endpoint_id: EndpointId


@message
class ResumeEndpoint(Command[Endpoint]):
    """Send again to a paused or disabled endpoint, what was kept first."""

    endpoint_id: EndpointId


@message
class PingEndpoint(Command[MessageId]):
    """Send a test event, whatever the endpoint listens to."""

    endpoint_id: EndpointId


@message
class ReplayMessage(Command[MessageId]):
    """Send a message again, under its own id, with all its tries."""

    endpoint_id: EndpointId
    message_id: MessageId


@message
class ReplayFailedMessages(Command[ReplayedMessages]):
    """Send again what failed since a moment, the oldest first."""

    endpoint_id: EndpointId
    since: datetime


@message
class GetEndpoint(Query[Endpoint]):
    """One endpoint."""

    endpoint_id: EndpointId


@message
class ListEndpoints(Query[list[Endpoint]]):
    """All endpoints of the organization."""


@message
class ListMessages(Query[list[Message]]):
    """The messages to an endpoint, the newest first."""

    endpoint_id: EndpointId
    state: str | None = None
    limit: int = 100
    offset: int = 0


@message
class GetMessage(Query[MessageWithLog]):
    """One message with its attempts."""

    endpoint_id: EndpointId
    message_id: MessageId


@message
class EndpointDisabled(Event):
    """Nothing is sent to a webhook endpoint any more: it said that it is gone, or failed for days."""

    wire_name: ClassVar[str] = "endpoint.disabled.v1"
    endpoint_id: int
    reason: str
    failures: int
