"""``make-bridge webhooks``: an organization's webhook endpoints. Works beside a server that runs, which then sends."""

from datetime import datetime
from typing import Annotated

import typer

from make_bridge.cli.operations import domain, operator
from make_bridge.cli.options import Config, DataDir, Json, Organization
from make_bridge.cli.output import as_facts, as_json, as_table, command, say
from make_bridge.domain.deliveries.messages import (
    CreateEndpoint,
    Endpoint,
    EndpointId,
    ListEndpoints,
    ListMessages,
    Message,
    PauseEndpoint,
    PingEndpoint,
    ReplayFailedMessages,
    ResumeEndpoint,
)
from make_bridge.domain.deliveries.model import MessageState, shown_id

Id = Annotated[int, typer.Argument(help="The endpoint's id.")]


@command
async def list_webhooks(
    *, organization: Organization, data_dir: DataDir = None, config: Config = None, as_json_: Json = False
) -> None:
    """List the organization's endpoints."""
    async with domain(data_dir, config) as opened:
        found = await opened.queries.ask(operator(organization), ListEndpoints())
    if as_json_:
        as_json([_facts(endpoint) for endpoint in found])
        return
    rows = [
        (each.id, each.state, ", ".join(each.events) or "all", each.failures, each.disabled_reason, each.url)
        for each in found
    ]
    as_table(("id", "state", "events", "failures", "reason", "url"), rows)


@command
async def create_webhook(
    url: Annotated[str, typer.Argument(help="Where events are sent.")],
    *,
    organization: Organization,
    events: Annotated[list[str] | None, typer.Option("--event", help="A type or a prefix.*; without any, all.")] = None,
    description: Annotated[str, typer.Option("--description", help="What it is for.")] = "",
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Make an endpoint and print its secret, this once."""
    wanted = CreateEndpoint(url=url, description=description, events=tuple(events or ()))
    async with domain(data_dir, config) as opened:
        made = await opened.commands.execute(operator(organization), wanted)
    facts = {**_facts(made.endpoint), "secret": made.secret}
    if as_json_:
        as_json(facts)
    else:
        as_facts(facts.items())


@command
async def pause_webhook(
    endpoint_id: Id, *, organization: Organization, data_dir: DataDir = None, config: Config = None
) -> None:
    """Keep messages until the endpoint is resumed."""
    async with domain(data_dir, config) as opened:
        await opened.commands.execute(operator(organization), PauseEndpoint(endpoint_id=EndpointId(endpoint_id)))
    say("Paused: messages are kept.")


@command
async def resume_webhook(
    endpoint_id: Id, *, organization: Organization, data_dir: DataDir = None, config: Config = None
) -> None:
    """Send to a paused or disabled endpoint again."""
    async with domain(data_dir, config) as opened:
        await opened.commands.execute(operator(organization), ResumeEndpoint(endpoint_id=EndpointId(endpoint_id)))
    say("Active: messages are sent.")


@command
async def ping_webhook(
    endpoint_id: Id, *, organization: Organization, data_dir: DataDir = None, config: Config = None
) -> None:
    """Send a test event."""
    wanted = PingEndpoint(endpoint_id=EndpointId(endpoint_id))
    async with domain(data_dir, config) as opened:
        message_id = await opened.commands.execute(operator(organization), wanted)
    say(f"Message {shown_id(message_id)} waits for a worker.")


@command
async def list_webhook_messages(
    endpoint_id: Id,
    *,
    organization: Organization,
    state: Annotated[MessageState | None, typer.Option("--state", help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 100,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """List the messages to an endpoint, the newest first."""
    query = ListMessages(endpoint_id=EndpointId(endpoint_id), state=None if state is None else state.value, limit=limit)
    async with domain(data_dir, config) as opened:
        found = await opened.queries.ask(operator(organization), query)
    if as_json_:
        as_json([_message(message) for message in found])
        return
    rows = [tuple(_message(message).values()) for message in found]
    as_table(("id", "type", "state", "attempts", "error", "created"), rows)


@command
async def replay_webhook_messages(
    endpoint_id: Id,
    *,
    organization: Organization,
    since: Annotated[datetime, typer.Option("--since", help="Those that were made since then.")],
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Send again what failed since a moment, up to a batch of jobs."""
    wanted = ReplayFailedMessages(endpoint_id=EndpointId(endpoint_id), since=since.astimezone())
    async with domain(data_dir, config) as opened:
        done = await opened.commands.execute(operator(organization), wanted)
    more = " More have failed: repeat this when these are sent." if done.more else ""
    say(f"{done.messages} messages wait for a worker.{more}")


def _facts(endpoint: Endpoint) -> dict[str, object]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": list(endpoint.events),
        "state": endpoint.state,
        "disabledReason": endpoint.disabled_reason,
        "failures": endpoint.failures,
        "dropped": endpoint.dropped,
        "createdAt": endpoint.created_at.isoformat(),
    }


def _message(message: Message) -> dict[str, object]:
    return {
        "id": shown_id(message.id),
        "type": message.type,
        "state": message.state,
        "attempts": message.attempts,
        "error": message.error,
        "createdAt": message.created_at.isoformat(),
    }
