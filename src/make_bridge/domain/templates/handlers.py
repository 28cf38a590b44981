"""What changes templates: create, edit, publish, withdraw."""

from dataclasses import dataclass, field
from typing import Any

from make_bridge.domain.templates.messages import (
    CreateTemplate,
    DeleteTemplate,
    EditTemplate,
    PublishTemplate,
    Template,
    TemplatePublished,
    TemplateVersion,
    TemplateWithdrawn,
)
from make_bridge.domain.templates.model import DraftParts, edited_draft, new_draft, require_publishable
from make_bridge.domain.templates.places import Catalogue
from make_bridge.domain.templates.store import TemplateStore
from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.schedule.shapes import SHORTEST_SECONDS
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateHandlers:
    """The handlers; ``catalogue`` explains the modules."""

    catalogue: Catalogue = field(default_factory=lambda: CATALOGUE)
    templates: TemplateStore = field(default_factory=TemplateStore)
    shortest_interval: int = SHORTEST_SECONDS

    async def create(self, work: UnitOfWork, command: CreateTemplate) -> Template:
        """Make a template. Unknown modules are kept in a draft; they only forbid publishing."""
        parts = DraftParts(
            blueprint=command.blueprint,
            controller=command.controller,
            name=command.name,
            description=command.description,
            scheduling=command.scheduling,
            shortest_interval=self.shortest_interval,
        )
        draft = new_draft(parts, self.catalogue, language=command.language, visibility=command.visibility)
        template = await self.templates.insert(work.tx, work.context.organization_id, draft)
        work.touch(f"template/{template.id}", name=template.name)
        return template

    async def edit(self, work: UnitOfWork, command: EditTemplate) -> Template:
        """Change the draft; raises NotFound."""
        organization_id = work.context.organization_id
        draft = await self.templates.lock_draft(work.tx, organization_id, command.template_id)
        parts = DraftParts(
            blueprint=command.blueprint,
            controller=command.controller,
            name=command.name,
            description=command.description,
            scheduling=command.scheduling,
            shortest_interval=self.shortest_interval,
        )
        edited = edited_draft(draft, parts, self.catalogue)
        template = await self.templates.update(work.tx, organization_id, command.template_id, edited)
        work.touch(f"template/{template.id}", name=template.name)
        work.change(before=draft, after=edited)
        return template

    async def publish(self, work: UnitOfWork, command: PublishTemplate) -> TemplateVersion:
        """Freeze the draft; raises Conflict that says what keeps it from running."""
        organization_id = work.context.organization_id
        draft = await self.templates.lock_draft(work.tx, organization_id, command.template_id)
        require_publishable(draft, self.catalogue)
        version = await self.templates.publish(work.tx, organization_id, command.template_id, draft)
        subject = f"template/{command.template_id}"
        work.touch(subject, version=version.id, number=version.number)
        published = TemplatePublished(
            organization_id=organization_id, template_id=command.template_id, version_id=version.id
        )
        work.emit(published, subject=subject)
        return version

    async def delete(self, work: UnitOfWork, command: DeleteTemplate) -> None:
        """Withdraw a template; its versions stay for the scenarios made from them."""
        organization_id, subject = work.context.organization_id, f"template/{command.template_id}"
        await self.templates.withdraw(work.tx, organization_id, command.template_id)
        work.touch(subject)
        withdrawn = TemplateWithdrawn(organization_id=organization_id, template_id=command.template_id)
        work.emit(withdrawn, subject=subject)


def commands(handlers: TemplateHandlers | None = None) -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    handlers = handlers or TemplateHandlers()
    write = "templates:write"
    return [
        CommandRegistration(
            command=CreateTemplate,
            handler=handlers.create,
            result=Template,
            permission=write,
            action="template.create",
        ),
        CommandRegistration(
            command=EditTemplate,
            handler=handlers.edit,
            result=Template,
            permission=write,
            action="template.edit",
            audited=frozenset({"name", "description", "language", "visibility", "scheduling"}),
        ),
        CommandRegistration(
            command=PublishTemplate,
            handler=handlers.publish,
            result=TemplateVersion,
            permission=write,
            action="template.publish",
        ),
        CommandRegistration(
            command=DeleteTemplate, handler=handlers.delete, result=None, permission=write, action="template.withdraw"
        ),
    ]
