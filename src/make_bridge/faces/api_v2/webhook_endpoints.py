"""Webhook endpoints (``/webhook-endpoints``): where an organization is told of its events. An extension."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.deliveries.messages import (
    Attempt,
    CreateEndpoint,
    DeleteEndpoint,
    Endpoint,
    EndpointId,
    EndpointWithSecret,
    GetEndpoint,
    GetMessage,
    ListEndpoints,
    ListMessages,
    Message,
    MessageId,
    PauseEndpoint,
    PingEndpoint,
    ReplayFailedMessages,
    ReplayMessage,
    ResumeEndpoint,
    RotateEndpointSecret,
    UpdateEndpoint,
)
from make_bridge.domain.deliveries.model import MessageState, read_message_id, shown_id
from make_bridge.domain.deliveries.views import MOST
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.execution_bodies import (
    NewWebhookEndpointBody,
    ReplayFailedBody,
    WebhookEndpointChangesBody,
)
from make_bridge.faces.api_v2.operations import Operation, access, require_confirmation, respond, row_id
from make_bridge.faces.api_v2.paging import CurrentPage, narrowed
from make_bridge.faces.api_v2.parameters import CONFIRMED, one_of
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.kernel.errors import InvalidInput

_USUAL: Final = 100
_STATES: Final = frozenset(state.value for state in MessageState)
_STATE: Final = one_of("state", "Messages in one state.", *_STATES)
JsonObject = dict[str, Any]
EndpointPath = Annotated[EndpointId, row_id("webhook endpoint")]
MessagePath = Annotated[MessageId, BeforeValidator(read_message_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpointRoutes:
    """The routes of ``/webhook-endpoints``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        size = self.api.bodies.api
        read, write = access("webhooks:read", size), access("webhooks:write", size)
        every, one = "/webhook-endpoints", "/webhook-endpoints/{endpoint_id}"
        message = f"{one}/messages/{{message_id}}"
        new, changes, since = NewWebhookEndpointBody, WebhookEndpointChangesBody, ReplayFailedBody
        return [
            Operation(method="GET", path=every, endpoint=self.list_webhook_endpoints, access=read),
            Operation(method="POST", path=every, endpoint=self.create_webhook_endpoint, access=write, body=new),
            Operation(method="GET", path=one, endpoint=self.get_webhook_endpoint, access=read),
            Operation(method="PATCH", path=one, endpoint=self.update_webhook_endpoint, access=write, body=changes),
            Operation(
                method="DELETE", path=one, endpoint=self.delete_webhook_endpoint, access=write, query=(CONFIRMED,)
            ),
            Operation(method="POST", path=f"{one}/rotate-secret", endpoint=self.rotate_webhook_secret, access=write),
            Operation(method="POST", path=f"{one}/pause", endpoint=self.pause_webhook_endpoint, access=write),
            Operation(method="POST", path=f"{one}/resume", endpoint=self.resume_webhook_endpoint, access=write),
            Operation(method="POST", path=f"{one}/ping", endpoint=self.ping_webhook_endpoint, access=write),
            Operation(
                method="POST", path=f"{one}/replay", endpoint=self.replay_failed_messages, access=write, body=since
            ),
            Operation(
                method="GET", path=f"{one}/messages", endpoint=self.list_webhook_messages, access=read, query=(_STATE,)
            ),
            Operation(method="GET", path=message, endpoint=self.get_webhook_message, access=read),
            Operation(method="POST", path=f"{message}/replay", endpoint=self.replay_webhook_message, access=write),
        ]

    async def list_webhook_endpoints(self, call: CurrentCall, page: CurrentPage) -> Response:
        """List the organization's webhook endpoints."""
        found = await self.api.queries.ask(call.context, ListEndpoints())
        return respond({"webhookEndpoints": [narrowed(_endpoint(endpoint), page) for endpoint in found]})

    async def create_webhook_endpoint(self, call: CurrentCall) -> Response:
        """Make a webhook endpoint; its secret is shown this once."""
        body = parse_object(call.body, NewWebhookEndpointBody, max_depth=self.api.json_depth)
        command = CreateEndpoint(url=body.url, description=body.description, events=tuple(body.events))
        return _with_secret(await self.api.commands.execute(call.context, command))

    async def get_webhook_endpoint(self, endpoint_id: EndpointPath, call: CurrentCall) -> Response:
        """Show a webhook endpoint."""
        return _shown(await self.api.queries.ask(call.context, GetEndpoint(endpoint_id=endpoint_id)))

    async def update_webhook_endpoint(self, endpoint_id: EndpointPath, call: CurrentCall) -> Response:
        """Change URL, description or events."""
        body = parse_object(call.body, WebhookEndpointChangesBody, max_depth=self.api.json_depth)
        command = UpdateEndpoint(
            endpoint_id=endpoint_id,
            url=body.url,
            description=body.description,
            events=None if body.events is None else tuple(body.events),
        )
        return _shown(await self.api.commands.execute(call.context, command))

    async def delete_webhook_endpoint(self, endpoint_id: EndpointPath, request: Request, call: CurrentCall) -> Response:
        """Delete a webhook endpoint with all messages to it."""
        require_confirmation(request)
        await self.api.commands.execute(call.context, DeleteEndpoint(endpoint_id=endpoint_id))
        return respond({"webhookEndpoint": endpoint_id})

    async def rotate_webhook_secret(self, endpoint_id: EndpointPath, call: CurrentCall) -> Response:
        """Make a new secret, shown this once; the one before signs beside it for a while."""
        return _with_secret(
            await self.api.commands.execute(call.context, RotateEndpointSecret(endpoint_id=endpoint_id))
        )

    async def pause_webhook_endpoint(self, endpoint_id: EndpointPath, call: CurrentCall) -> Response:
        """Keep messages until the endpoint is resumed."""
        return _shown(await self.api.commands.execute(call.context, PauseEndpoint(endpoint_id=endpoint_id)))

    async def resume_webhook_endpoint(self, endpoint_id: EndpointPath, call: CurrentCall) -> Response:
        """Send to a paused or disabled endpoint again, what a pause has kept first."""
        return _shown(await self.api.commands.execute(call.context, ResumeEndpoint(endpoint_id=endpoint_id)))

    async def ping_webhook_endpoint(self, endpoint_id: EndpointPath, call: CurrentCall) -> Response:
        """Send a test event."""
        message_id = await self.api.commands.execute(call.context, PingEndpoint(endpoint_id=endpoint_id))
        return _queued(message_id)

    async def replay_failed_messages(self, endpoint_id: EndpointPath, call: CurrentCall) -> Response:
        """Send all messages again that failed since a moment, as one batch of jobs."""
        body = parse_object(call.body, ReplayFailedBody, max_depth=self.api.json_depth)
        command = ReplayFailedMessages(endpoint_id=endpoint_id, since=body.since)
        done = await self.api.commands.execute(call.context, command)
        return respond({"batchId": done.batch_id, "messages": done.messages, "more": done.more})

    async def list_webhook_messages(
        self, endpoint_id: EndpointPath, request: Request, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """List the messages to an endpoint, the newest first, of a ``state``."""
        state = request.query_params.get("state")
        if state is not None and state not in _STATES:
            raise InvalidInput(f"state is one of {', '.join(sorted(_STATES))}.", code="invalid_page")
        if page.sort_by not in {None, "createdAt"} or page.direction == "asc":
            raise InvalidInput("Messages are sorted by createdAt, the newest first.", code="invalid_page")
        limit = _USUAL if page.limit is None else min(page.limit, MOST)
        query = ListMessages(endpoint_id=endpoint_id, state=state, limit=limit, offset=page.offset)
        found = await self.api.queries.ask(call.context, query)
        pg = {"sortBy": "createdAt", "sortDir": "desc", "limit": limit, "offset": page.offset}
        return respond({"messages": [narrowed(_message(message), page) for message in found], "pg": pg})

    async def get_webhook_message(
        self, endpoint_id: EndpointPath, message_id: MessagePath, call: CurrentCall
    ) -> Response:
        """Show one message with its body and its attempts."""
        query = GetMessage(endpoint_id=endpoint_id, message_id=message_id)
        found = await self.api.queries.ask(call.context, query)
        log = [_attempt(attempt) for attempt in found.log]
        return respond({"message": {**_message(found.message), "body": found.body, "log": log}})

    async def replay_webhook_message(
        self, endpoint_id: EndpointPath, message_id: MessagePath, call: CurrentCall
    ) -> Response:
        """Send one message again, under its own id."""
        command = ReplayMessage(endpoint_id=endpoint_id, message_id=message_id)
        return _queued(await self.api.commands.execute(call.context, command))


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else wire.instant(moment)


def _shown(endpoint: Endpoint) -> Response:
    return respond({"webhookEndpoint": _endpoint(endpoint)})


def _with_secret(made: EndpointWithSecret) -> Response:
    return respond({"webhookEndpoint": {**_endpoint(made.endpoint), "secret": made.secret}})


def _queued(message_id: MessageId) -> Response:
    return respond({"message": {"id": shown_id(message_id)}})


def _endpoint(endpoint: Endpoint) -> JsonObject:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": list(endpoint.events),
        "state": endpoint.state,
        "disabledReason": endpoint.disabled_reason or None,
        "disabledAt": _instant(endpoint.disabled_at),
        "previousSecretUntil": _instant(endpoint.previous_secret_until),
        "lastSuccessAt": _instant(endpoint.last_success_at),
        "failingSince": _instant(endpoint.failing_since),
        "failures": endpoint.failures,
        "dropped": endpoint.dropped,
        "createdAt": wire.instant(endpoint.created_at),
    }


def _message(message: Message) -> JsonObject:
    return {
        "id": shown_id(message.id),
        "endpointId": message.endpoint_id,
        "eventId": message.event_id,
        "type": message.type,
        "state": message.state,
        "attempts": message.attempts,
        "error": message.error or None,
        "createdAt": wire.instant(message.created_at),
        "finishedAt": _instant(message.finished_at),
        "nextAttemptAt": _instant(message.next_attempt_at),
    }


def _attempt(attempt: Attempt) -> JsonObject:
    return {
        "number": attempt.number,
        "at": wire.instant(attempt.at),
        "status": attempt.status,
        "failure": attempt.failure or None,
        "durationMs": attempt.duration_ms,
        "answer": attempt.answer,
        "nextAttemptAt": _instant(attempt.next_at),
    }
