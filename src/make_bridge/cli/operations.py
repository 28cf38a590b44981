"""Commands on a database: organizations, templates, tokens. They work beside a server that runs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from make_bridge.boot import open_domain
from make_bridge.cli.options import Config, DataDir, Json, Organization, read_json_file
from make_bridge.cli.output import as_facts, as_json, as_table, command, complain, say
from make_bridge.domain.organizations.messages import NewOrganization, OrganizationCreated
from make_bridge.domain.templates.messages import CreateTemplate, ListTemplates, PublishTemplate
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import OrganizationId, TemplateId
from make_bridge.platform.security.portal_tokens import mint_portal_token
from make_bridge.settings import load_settings
from make_bridge.wiring.domain import Domain


@asynccontextmanager
async def domain(data_dir: Path | None, config: Path | None) -> AsyncIterator[Domain]:
    """Open the domain for one command, joining a server that runs on the same data directory."""
    loaded = load_settings(config, {"data_dir": data_dir})
    for warning in loaded.warnings:
        complain(warning)
    async with AsyncExitStack() as stack:
        yield await open_domain(stack, loaded, complain, join=True)


def operator(organization_id: int) -> Context:
    """Return the context of somebody at the server's own prompt."""
    return Context(
        organization_id=OrganizationId(organization_id),
        actor=Actor(kind=ActorKind.SYSTEM, reference="command line"),
        permissions=frozenset({"*"}),
        request_id="command-line",
    )


def created_facts(created: OrganizationCreated) -> dict[str, object]:
    """Return what an integrator needs, by the names programs read."""
    return {
        "organizationId": created.organization_id,
        "teamId": created.team_id,
        "keyId": created.key_id,
        "secret": created.secret,
        "apiToken": created.api_token,
    }


@command
async def create_organization(
    name: Annotated[str, typer.Argument(help="The integrator's name, shown to its customers.")],
    *,
    origin: Annotated[
        list[str] | None, typer.Option("--origin", help="An origin of its pages, https://app.example.com; repeatable.")
    ] = None,
    timezone: Annotated[str, typer.Option("--timezone", help="An IANA time zone.")] = "UTC",
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Create an organization and print what the integrator needs. The secret and the token are shown this once."""
    async with domain(data_dir, config) as opened:
        created = await opened.service.create(
            NewOrganization(name=name, origins=tuple(origin or ()), timezone=timezone)
        )
    if as_json_:
        as_json(created_facts(created))
        return
    as_facts(created_facts(created).items())
    say("\nKeep the secret and the token: they are not shown again.")


@command
async def import_template(
    file: Annotated[Path, typer.Argument(help="A blueprint, as exported.")],
    *,
    organization: Organization,
    controller: Annotated[Path | None, typer.Option("--controller", help="Which fields the wizard asks.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Instead of the blueprint's own name.")] = None,
    description: Annotated[str | None, typer.Option("--description")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Import a blueprint as a template (a draft: publish it to offer it)."""
    create = CreateTemplate(
        blueprint=read_json_file(file),
        controller=read_json_file(controller) if controller else None,
        name=name,
        description=description,
    )
    async with domain(data_dir, config) as opened:
        template = await opened.commands.execute(operator(organization), create)
    facts = {"templateId": template.id, "name": template.name, "usedPackages": list(template.used_packages)}
    if as_json_:
        as_json(facts)
    else:
        as_facts(facts.items())


@command
async def publish_template(
    template_id: Annotated[int, typer.Argument(help="The template's id.")],
    *,
    organization: Organization,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Publish the draft as an immutable version; its id is what init takes."""
    async with domain(data_dir, config) as opened:
        publish = PublishTemplate(template_id=TemplateId(template_id))
        version = await opened.commands.execute(operator(organization), publish)
    facts = {"templateId": template_id, "versionId": version.id, "instanceableId": version.id, "number": version.number}
    if as_json_:
        as_json(facts)
    else:
        as_facts(facts.items())


@command
async def list_templates(
    *, organization: Organization, data_dir: DataDir = None, config: Config = None, as_json_: Json = False
) -> None:
    """List the organization's templates."""
    async with domain(data_dir, config) as opened:
        found = await opened.queries.ask(operator(organization), ListTemplates())
    rows = [(t.id, t.name, t.published_version_id, ", ".join(t.used_packages)) for t in found]
    if as_json_:
        as_json([{"templateId": r[0], "name": r[1], "publishedVersionId": r[2]} for r in rows])
    else:
        as_table(("id", "name", "published version", "apps"), rows)


@command
async def mint_token(
    key_id: Annotated[str, typer.Argument(help="The Key ID.")],
    *,
    sub: Annotated[str, typer.Option("--sub", help="The customer; * is the administrator.")],
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Mint a portal token from a stored key: valid once, for two minutes. For trying things out."""
    async with domain(data_dir, config) as opened:
        key = await opened.portal_keys.find(key_id)
        if key is None:
            message = f"There is no key {key_id}."
            raise InvalidInput(message)
        if key.algorithm != "HS256":
            message = f"The key {key_id} is for {key.algorithm}: its private half, which signs, is not here."
            raise InvalidInput(message)
        await opened.service.note_minted(key.organization_id, key_id, sub)
        token = mint_portal_token(key_id, key.secret.decode(), sub, opened.clock.now())
    if as_json_:
        as_json({"token": token})
    else:
        typer.echo(token)
