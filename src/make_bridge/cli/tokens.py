"""``make-bridge tokens``: an organization's API tokens. Works beside servers that run."""

from datetime import timedelta
from typing import Annotated

import typer

from make_bridge.cli.operations import domain, operator
from make_bridge.cli.options import Config, DataDir, Json, Organization
from make_bridge.cli.output import as_facts, as_json, as_table, command, say
from make_bridge.domain.organizations.credential_messages import (
    ApiTokenFacts,
    CreateApiToken,
    ListApiTokens,
    RevokeApiToken,
)


@command
async def list_tokens(
    *, organization: Organization, data_dir: DataDir = None, config: Config = None, as_json_: Json = False
) -> None:
    """List API tokens with their last use."""
    async with domain(data_dir, config) as opened:
        found = await opened.queries.ask(operator(organization), ListApiTokens())
    if as_json_:
        as_json([_facts(token) for token in found])
        return
    rows = [
        (token.id, token.label, ", ".join(sorted(token.permissions)), token.last_used_at, token.expires_at)
        for token in found
    ]
    as_table(("id", "label", "scopes", "last used", "ends"), rows)


@command
async def create_token(
    label: Annotated[str, typer.Argument(help="What it is for.")],
    *,
    organization: Organization,
    scope: Annotated[list[str], typer.Option("--scope", help="What it may do, such as scenarios:read; repeatable.")],
    days: Annotated[int | None, typer.Option("--days", min=1, max=3650, help="Until it ends. Without: never.")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Make an API token with scopes. It is shown this once."""
    async with domain(data_dir, config) as opened:
        ends = None if days is None else opened.clock.now() + timedelta(days=days)
        create = CreateApiToken(label=label, permissions=frozenset(scope), expires_at=ends)
        made = await opened.commands.execute(operator(organization), create)
    facts = _facts(made.facts) | {"token": made.token}
    if as_json_:
        as_json(facts)
        return
    as_facts(facts.items())
    say("\nKeep the token: it is not shown again.")


@command
async def revoke_token(
    token_id: Annotated[int, typer.Argument(help="The token's id.")],
    *,
    organization: Organization,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Remove an API token: refused everywhere in 5 seconds."""
    async with domain(data_dir, config) as opened:
        await opened.commands.execute(operator(organization), RevokeApiToken(token_id=token_id))
    if as_json_:
        as_json({"id": token_id})
    else:
        say("Removed.")


def _facts(token: ApiTokenFacts) -> dict[str, object]:
    return {
        "id": token.id,
        "label": token.label,
        "permissions": sorted(token.permissions),
        "createdAt": token.created_at.isoformat(),
        "lastUsedAt": None if token.last_used_at is None else token.last_used_at.isoformat(),
        "expiresAt": None if token.expires_at is None else token.expires_at.isoformat(),
    }
