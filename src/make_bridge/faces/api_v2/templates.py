"""Templates: the organization's own, and the public ones that anybody in it may begin with.

An organization's templates belong to all its teams, so ``teamId`` narrows nothing and is shown as null. Public is what
the organization has published, and what comes with the server; nobody has to approve anything. A public template is
named by its address, ``13-orders-to-the-shop``, of which only the number counts: names change.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.scenarios.model import interface_of
from make_bridge.domain.templates.messages import (
    CreateTemplate,
    DeleteTemplate,
    EditTemplate,
    GetDraft,
    GetPublicTemplate,
    GetTemplate,
    GetTemplateVersion,
    ListPublicTemplates,
    ListTemplates,
    PublicTemplate,
    PublishTemplate,
    Template,
)
from make_bridge.faces.api_v2.blueprints import next_module_id
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import (
    JsonObject,
    Operation,
    access,
    require_confirmation,
    respond,
    row_id,
)
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, Page, narrowed, part_of
from make_bridge.faces.api_v2.parameters import CONFIRMED, Parameter, text
from make_bridge.faces.api_v2.scenario_bodies import NewTemplateBody, TemplateChangesBody
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.faces.portal.wire import instant
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import MAX_ID, TeamId, TemplateId

_MOST: Final = 10_000
_MOST_APPS: Final = 50
_LONGEST_SLUG: Final = 80
_ADDRESS: Final = re.compile(r"([1-9][0-9]{0,15})(?:-.{0,200})?", re.DOTALL)
_NAME: Final = text("name", "Those with this in their name.", longest=120)
_USED_APPS: Final = Parameter(
    name="usedApps[]",
    description="Those that use all of these apps.",
    schema={"type": "array", "items": {"type": "string", "maxLength": 100}, "maxItems": _MOST_APPS},
)
_INCLUDE_ENGLISH: Final = Parameter(
    name="includeEn",
    description="Taken and of no effect: templates of every language are listed.",
    schema={"type": "boolean"},
)
_FOR_USE: Final = Parameter(
    name="forUse", description="`true`: the version published last, not the draft.", schema={"type": "boolean"}
)
_PUBLIC_SORTABLE: Final = frozenset({"id", "name", "url", "usage"})
_SORTABLE: Final = frozenset({"id", "name", "language", "lastEdit"})


def _read_address(address: object) -> TemplateId:
    found = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if found is None or int(found[1]) > MAX_ID:
        raise NotFound("There is no such public template: its address begins with its number.")
    return TemplateId(int(found[1]))


TemplatePath = Annotated[TemplateId, row_id("template")]
AddressPath = Annotated[TemplateId, BeforeValidator(_read_address)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRoutes:
    """The routes of ``/templates``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table; the public ones stand before the ids they would be taken for."""
        bodies = self.api.bodies
        read, write = access("templates:read", bodies.api), access("templates:write", bodies.api)
        save = access("templates:write", bodies.blueprint)
        every, one, public = "/templates", "/templates/{template_id}", "/templates/public"
        listed = (_NAME, _USED_APPS, _INCLUDE_ENGLISH)
        address, chosen = f"{public}/{{template_url}}", (_FOR_USE,)
        show = self.get_template_blueprint
        return [
            Operation(method="GET", path=public, endpoint=self.list_public_templates, access=read, query=listed),
            Operation(method="GET", path=address, endpoint=self.get_public_template, access=read),
            Operation(method="GET", path=f"{address}/blueprint", endpoint=self.get_public_blueprint, access=read),
            Operation(method="GET", path=every, endpoint=self.list_templates, access=read, query=(_NAME, _USED_APPS)),
            Operation(method="POST", path=every, endpoint=self.create_template, access=save, body=NewTemplateBody),
            Operation(method="GET", path=one, endpoint=self.get_template, access=read),
            Operation(method="PATCH", path=one, endpoint=self.update_template, access=save, body=TemplateChangesBody),
            Operation(method="DELETE", path=one, endpoint=self.delete_template, access=write, query=(CONFIRMED,)),
            Operation(method="GET", path=f"{one}/blueprint", endpoint=show, access=read, query=chosen),
            Operation(method="POST", path=f"{one}/publish", endpoint=self.publish_template, access=write),
        ]

    async def list_public_templates(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List the public templates, those used most first."""
        found = await self.api.queries.ask(call.context, ListPublicTemplates())
        if page.sort_by is None and page.direction is None:
            page = page.newest_first()
        chosen = [_public(each) for each in found if _is_asked_for(request, each.name, each.used_packages)]
        told = page.describe(limit=MAX_LIMIT, sort_by="usage")
        shown = part_of(chosen, page, sort_by="usage", sortable=_PUBLIC_SORTABLE)
        return respond({"templatesPublic": shown, "pg": told})

    async def get_public_template(self, template_url: AddressPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Show one public template."""
        found = await self.api.queries.ask(call.context, GetPublicTemplate(template_id=template_url))
        return respond({"templatePublic": narrowed(_public(found.template), page)})

    async def get_public_blueprint(self, template_url: AddressPath, call: CurrentCall) -> Response:
        """Show what a public template makes a scenario of."""
        found = await self.api.queries.ask(call.context, GetPublicTemplate(template_id=template_url))
        shown = found.template
        return respond(_blueprint(shown.name, shown.language, found.blueprint, found.controller, found.scheduling))

    async def list_templates(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List the organization's templates, published or not."""
        found = await self.api.queries.ask(call.context, ListTemplates(limit=_MOST))
        chosen = [_template(each) for each in found if _is_asked_for(request, each.name, each.used_packages)]
        shown = part_of(chosen, page, sort_by="id", sortable=_SORTABLE)
        return respond({"templates": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="id")})

    async def create_template(self, call: CurrentCall, page: CurrentPage) -> Response:
        """Make a template of a blueprint; without a controller one is derived, and so is one of Make's own format."""
        body = parse_object(call.body, NewTemplateBody, max_depth=self.api.json_depth)
        if body.team_id is not None:
            await self._require_team(call, TeamId(body.team_id))
        command = CreateTemplate(
            blueprint=body.blueprint,
            name=body.name,
            description=body.description,
            language=body.language or "en",
            controller=body.controller,
            scheduling=body.scheduling,
        )
        return _show(await self.api.commands.execute(call.context, command), page)

    async def get_template(self, template_id: TemplatePath, call: CurrentCall, page: CurrentPage) -> Response:
        """Show one template."""
        return _show(await self.api.queries.ask(call.context, GetTemplate(template_id=template_id)), page)

    async def update_template(self, template_id: TemplatePath, call: CurrentCall, page: CurrentPage) -> Response:
        """Change a template's draft; what is absent stays, and what was published stays as it is."""
        body = parse_object(call.body, TemplateChangesBody, max_depth=self.api.json_depth)
        command = EditTemplate(
            template_id=template_id,
            blueprint=body.blueprint,
            controller=body.controller,
            name=body.name,
            description=body.description,
            scheduling=body.scheduling,
        )
        return _show(await self.api.commands.execute(call.context, command), page)

    async def delete_template(self, template_id: TemplatePath, request: Request, call: CurrentCall) -> Response:
        """Withdraw a template; scenarios made from it keep going."""
        require_confirmation(request)
        await self.api.commands.execute(call.context, DeleteTemplate(template_id=template_id))
        return respond({"template": template_id})

    async def get_template_blueprint(self, template_id: TemplatePath, request: Request, call: CurrentCall) -> Response:
        """Show a template's draft with its controller, or with ``forUse=true`` what was published last."""
        if request.query_params.get("forUse") == "true":
            template = await self.api.queries.ask(call.context, GetTemplate(template_id=template_id))
            if template.published_version_id is None:
                raise NotFound("This template was never published.")
            query = GetTemplateVersion(version_id=template.published_version_id)
            shown = await self.api.queries.ask(call.context, query)
        else:
            shown = await self.api.queries.ask(call.context, GetDraft(template_id=template_id))
        return respond(_blueprint(shown.name, shown.language, shown.blueprint, shown.controller, shown.scheduling))

    async def publish_template(self, template_id: TemplatePath, call: CurrentCall, page: CurrentPage) -> Response:
        """Freeze the draft as a new version: it is public, and ``publishedId`` is what flows begin with."""
        await self.api.commands.execute(call.context, PublishTemplate(template_id=template_id))
        return await self.get_template(template_id, call, page)

    async def _require_team(self, call: Call, team_id: TeamId) -> None:
        if not await self.api.teams.has_team(call.context.organization_id, team_id):
            raise NotFound("There is no such team.")


def _show(template: Template, page: Page) -> Response:
    return respond({"template": narrowed(_template(template), page)})


def _template(template: Template) -> JsonObject:
    is_published = template.published_version_id is not None
    return {
        "id": template.id,
        "name": template.name,
        "teamId": None,
        "description": template.description or None,
        "language": template.language,
        "usedApps": list(template.used_packages),
        "scheduling": template.scheduling,
        "public": is_published,
        "published": is_published,
        "approved": is_published,
        "requestedApproval": False,
        "publishedId": template.published_version_id,
        "approvedId": template.published_version_id,
        "publicUrl": address_of(template.id, template.name) if is_published else None,
        "lastEdit": instant(template.updated_at),
    }


def _public(template: PublicTemplate) -> JsonObject:
    return {
        "id": template.id,
        "name": template.name,
        "description": template.description or None,
        "url": address_of(template.id, template.name),
        "usedApps": list(template.used_packages),
        "usage": template.usage,
    }


def _blueprint(
    name: str, language: str, blueprint: JsonObject, controller: JsonObject, scheduling: JsonObject
) -> JsonObject:
    declared = interface_of(blueprint)
    return {
        "blueprint": {key: member for key, member in blueprint.items() if key != "scheduling"},
        "controller": {"name": name, "modules": {}, "idSequence": next_module_id(blueprint), **controller},
        "scheduling": scheduling,
        "language": language,
        "metadata": {"input_spec": declared["input"] or [], "output_spec": declared["output"] or []},
    }


def address_of(number: int, name: str) -> str:
    """Return what a public template is found by: its number, and of its name what people can read."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:_LONGEST_SLUG].strip("-")
    return f"{number}-{slug}" if slug else str(number)


def _is_asked_for(request: Request, name: str, apps: tuple[str, ...]) -> bool:
    """Hold a template against the filters of a list."""
    part, wanted = request.query_params.get("name", ""), request.query_params.getlist("usedApps[]")
    if len(wanted) > _MOST_APPS:
        raise InvalidInput(f"usedApps[] names at most {_MOST_APPS} apps.", code="invalid_page")
    return part.casefold() in name.casefold() and set(wanted) <= set(apps)
