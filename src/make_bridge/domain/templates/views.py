"""What can be read of templates. A customer sees what is published, never a draft."""

from dataclasses import dataclass, field
from typing import Any, Final

from make_bridge.domain.templates.messages import (
    GetDraft,
    GetPublicTemplate,
    GetTemplate,
    GetTemplateVersion,
    ListPublicTemplates,
    ListTemplates,
    PublicBlueprint,
    PublicTemplate,
    Template,
    TemplateVersion,
)
from make_bridge.domain.templates.ready_made import ready_made
from make_bridge.domain.templates.store import TemplateStore
from make_bridge.kernel.context import ActorKind, Context
from make_bridge.kernel.errors import NotFound
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.cache.layers import RememberedAnswers
from make_bridge.platform.database.transactions import ReadTx

_MOST: Final = 10_000
_UNKNOWN: Final = "There is no such template."
_store: Final = TemplateStore()


async def list_templates(tx: ReadTx, context: Context, query: ListTemplates) -> list[Template]:
    """Answer ListTemplates."""
    return await _store.list_page(
        tx,
        context.organization_id,
        published_only=query.published_only or _is_customer(context),
        after=query.after,
        limit=min(max(query.limit, 1), _MOST),
    )


async def get_version(tx: ReadTx, context: Context, query: GetTemplateVersion) -> TemplateVersion:
    """Answer GetTemplateVersion; a withdrawn template's versions are gone for new flows."""
    return await _store.offered_version(tx, context.organization_id, query.version_id)


async def get_draft(tx: ReadTx, context: Context, query: GetDraft) -> TemplateVersion:
    """Answer GetDraft."""
    if _is_customer(context):
        raise NotFound(_UNKNOWN)
    return await _store.get_draft(tx, context.organization_id, query.template_id)


async def get_template(tx: ReadTx, context: Context, query: GetTemplate) -> Template:
    """Answer GetTemplate."""
    if _is_customer(context):
        raise NotFound(_UNKNOWN)
    return await _store.get(tx, context.organization_id, query.template_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicViews:
    """The public templates: what comes with the server, read once, and what the organization has published."""

    ready_made: dict[int, PublicBlueprint] = field(
        default_factory=lambda: {each.template.id: each for each in ready_made()}
    )

    async def list_public(self, tx: ReadTx, context: Context, query: ListPublicTemplates) -> tuple[PublicTemplate, ...]:
        """Answer ListPublicTemplates: the same for all of an organization, since it is remembered for them."""
        del query
        own = await _store.list_public(tx, context.organization_id, limit=_MOST)
        return (*(each.template for each in self.ready_made.values()), *own)

    async def get_public(self, tx: ReadTx, context: Context, query: GetPublicTemplate) -> PublicBlueprint:
        """Answer GetPublicTemplate."""
        if _is_customer(context):
            raise NotFound(_UNKNOWN)
        known = self.ready_made.get(query.template_id)
        return known or await _store.get_public(tx, context.organization_id, query.template_id)


def _is_customer(context: Context) -> bool:
    return context.actor.kind in {ActorKind.CUSTOMER, ActorKind.FLOW}


def queries(
    catalogue: RememberedAnswers[tuple[PublicTemplate, ...]] | None = None,
) -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root; ``catalogue`` remembers the public templates."""
    read, public = "templates:read", PublicViews()
    return [
        QueryRegistration(query=ListTemplates, view=list_templates, permission=read, may_lag=True),
        QueryRegistration(query=GetTemplateVersion, view=get_version, permission=read),
        QueryRegistration(query=GetDraft, view=get_draft, permission=read),
        QueryRegistration(query=GetTemplate, view=get_template, permission=read),
        QueryRegistration(query=ListPublicTemplates, view=public.list_public, permission=read, kept=catalogue),
        QueryRegistration(query=GetPublicTemplate, view=public.get_public, permission=read),
    ]
