"""What can be read of templates. A customer sees what is published, never a draft."""

from typing import Any, Final

from make_bridge.domain.templates.messages import (
    GetDraft,
    GetTemplateVersion,
    ListTemplates,
    Template,
    TemplateVersion,
)
from make_bridge.domain.templates.store import TemplateStore
from make_bridge.kernel.context import ActorKind, Context
from make_bridge.kernel.errors import NotFound
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx

_MOST: Final = 1000
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
        raise NotFound("There is no such template.")
    return await _store.get_draft(tx, context.organization_id, query.template_id)


def _is_customer(context: Context) -> bool:
    return context.actor.kind in {ActorKind.CUSTOMER, ActorKind.FLOW}


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    read = "templates:read"
    return [
        QueryRegistration(query=ListTemplates, view=list_templates, permission=read),
        QueryRegistration(query=GetTemplateVersion, view=get_version, permission=read),
        QueryRegistration(query=GetDraft, view=get_draft, permission=read),
    ]
