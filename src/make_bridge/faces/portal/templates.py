"""The templates of an organization: make, edit, publish, withdraw.

A customer sees the list of published ones. The draft with its blueprint is the integrator's (it may hold values a
customer is not meant to see), so it and every change need an administrator.
"""

from dataclasses import dataclass

from make_bridge.domain.templates.messages import (
    CreateTemplate,
    DeleteTemplate,
    EditTemplate,
    GetDraft,
    ListTemplates,
    PublishTemplate,
    Template,
)
from make_bridge.faces.edge.authentication import Credentials
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Access, CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.faces.portal.bodies import EditTemplateBody, NewTemplateBody
from make_bridge.faces.portal.dependencies import PortalDependencies
from make_bridge.faces.portal.operations import Operation, TemplatePath
from make_bridge.kernel.context import ActorKind

_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRoutes:
    """The routes below ``/templates``."""

    portal: PortalDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        bodies, tokens = self.portal.config.bodies, frozenset(Credentials)
        size = bodies.blueprint
        listing = Access(permission="templates:read", max_body=bodies.api, accepts=tokens)
        read = Access(permission="templates:read", max_body=bodies.api, accepts=tokens, administrators_only=True)
        write = Access(permission="templates:write", max_body=size, accepts=tokens, administrators_only=True)
        one = "/templates/{template_id}"
        return [
            Operation(method="GET", path="/templates", endpoint=self.list_templates, access=listing),
            Operation(
                method="POST",
                path="/templates",
                endpoint=self.create_template,
                access=write,
                body=NewTemplateBody,
                is_body_required=True,
            ),
            Operation(method="GET", path=one, endpoint=self.get_template, access=read),
            Operation(
                method="PATCH",
                path=one,
                endpoint=self.edit_template,
                access=write,
                body=EditTemplateBody,
                is_body_required=True,
            ),
            Operation(
                method="PUT",
                path=one,
                endpoint=self.replace_template,
                access=write,
                body=EditTemplateBody,
                is_body_required=True,
            ),
            Operation(method="DELETE", path=one, endpoint=self.delete_template, access=write),
            Operation(method="POST", path=f"{one}/publish", endpoint=self.publish_template, access=write),
        ]

    async def list_templates(self, call: CurrentCall) -> wire.TemplateList:
        """List the templates; a customer's token lists the published ones."""
        published_only = call.context.actor.kind is ActorKind.CUSTOMER
        found: list[Template] = []
        page: list[Template] = []
        while not found or len(page) == _PAGE:
            query = ListTemplates(published_only=published_only, after=found[-1].id if found else 0, limit=_PAGE)
            page = await self.portal.queries.ask(call.context, query)
            if not page:
                break
            found += page
        return wire.TemplateList(templates=[wire.template(template) for template in found])

    async def create_template(self, call: CurrentCall) -> wire.Template:
        """Make a template from a blueprint; without a controller a default one is derived."""
        body = parse_object(call.body, NewTemplateBody, max_depth=self.portal.config.json_depth)
        command = CreateTemplate(
            blueprint=body.blueprint,
            name=body.name,
            description=body.description,
            language=body.language_code or "en",
            visibility=body.visibility or "private",
            controller=body.controller,
            scheduling=body.scheduling,
        )
        return wire.template(await self.portal.commands.execute(call.context, command))

    async def get_template(self, template_id: TemplatePath, call: CurrentCall) -> wire.TemplateDraft:
        """Show a template's draft with its blueprint and controller."""
        return wire.template_draft(await self.portal.queries.ask(call.context, GetDraft(template_id=template_id)))

    async def edit_template(self, template_id: TemplatePath, call: CurrentCall) -> wire.Template:
        """Change a template's draft; what is absent stays, and published versions stay as they are."""
        body = parse_object(call.body, EditTemplateBody, max_depth=self.portal.config.json_depth)
        command = EditTemplate(
            template_id=template_id,
            blueprint=body.blueprint,
            controller=body.controller,
            name=body.name,
            description=body.description,
            scheduling=body.scheduling,
        )
        return wire.template(await self.portal.commands.execute(call.context, command))

    async def replace_template(self, template_id: TemplatePath, call: CurrentCall) -> wire.Template:
        """Change a template's draft, for clients that speak PUT; the same as PATCH."""
        return await self.edit_template(template_id, call)

    async def publish_template(self, template_id: TemplatePath, call: CurrentCall) -> wire.TemplatePublished:
        """Freeze the draft as a new version; ``publicVersionId`` is what ``init`` takes."""
        version = await self.portal.commands.execute(call.context, PublishTemplate(template_id=template_id))
        return wire.template_published(version)

    async def delete_template(self, template_id: TemplatePath, call: CurrentCall) -> wire.Done:
        """Withdraw a template; scenarios made from it keep going."""
        await self.portal.commands.execute(call.context, DeleteTemplate(template_id=template_id))
        return wire.Done(message="The template was withdrawn.")
