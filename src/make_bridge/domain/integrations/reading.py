"""Reading a flow with everything its page needs; used by the views and after every command."""

from dataclasses import dataclass
from typing import Protocol

from make_bridge.domain.connections.messages import Component
from make_bridge.domain.connections.store import ComponentStore
from make_bridge.domain.integrations import store
from make_bridge.domain.integrations.messages import FlowState
from make_bridge.domain.integrations.model import FlowDocument, FlowPhase, decode_document
from make_bridge.domain.integrations.walk import Surroundings, Walk, describe
from make_bridge.domain.oauth import store as oauth_store
from make_bridge.domain.oauth.messages import OAuthApplication
from make_bridge.domain.oauth.model import CONNECTION_TYPE
from make_bridge.domain.organizations.messages import Organization
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.templates.messages import TemplateVersion
from make_bridge.domain.templates.store import TemplateStore
from make_bridge.kernel.ids import HookId, OrganizationId, TeamId, TemplateVersionId
from make_bridge.platform.database.transactions import ReadTx
from make_bridge.platform.security.sealing import Sealing


class Organizations(Protocol):
    """Knows an organization's name and origins."""

    async def get(self, organization_id: OrganizationId) -> Organization:
        """Return it; raises NotFound."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowReader:
    """Puts a flow's state together."""

    organizations: Organizations
    sealing: Sealing
    templates: TemplateStore
    connections: ComponentStore

    async def version(
        self, tx: ReadTx, organization_id: OrganizationId, version_id: TemplateVersionId
    ) -> TemplateVersion:
        """Return a published version; raises NotFound, also for another organization's."""
        return await self.templates.version(tx, organization_id, version_id)

    async def components(self, tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> tuple[Component, ...]:
        """Return a team's connections and keys."""
        return tuple(await self.connections.list(tx, organization_id, team_id))

    async def state(
        self, tx: ReadTx, organization_id: OrganizationId, flow_id: str, team_id: TeamId | None = None
    ) -> FlowState:
        """Return a flow's state; raises NotFound."""
        row = await store.get(tx, organization_id, flow_id, team_id)
        document = decode_document(bytes(row["document"]))
        version = await self.version(tx, organization_id, row["template_version_id"])
        walk = Walk.over(version, document)
        scenario = await store.scenario_facts(tx, organization_id, row["scenario_id"] or document.changes)
        around = Surroundings(
            integrator=(await self.organizations.get(organization_id)).name,
            components=await self.components(tx, organization_id, row["team_id"]),
            hook_tokens=await self._hook_tokens(tx, organization_id, walk, document),
            scenario_id=row["scenario_id"],
            scenario_name=scenario["name"] if scenario else None,
            scenario_active=scenario is not None and scenario["state"] == "active",
            providers=await self._providers(tx, organization_id, walk),
        )
        shown = describe(walk, document, flow_id, around)
        expired = row["expired"] and document.phase is not FlowPhase.DONE
        return FlowState(
            flow_id=flow_id,
            status_id=5 if expired else shown["flow"]["statusId"],
            status_message="This link has expired." if expired else shown["flow"]["statusMessage"],
            is_completed=document.phase is FlowPhase.DONE,
            scenario_id=row["scenario_id"],
            scenario_name=around.scenario_name,
            document=shown,
        )

    async def _providers(self, tx: ReadTx, organization_id: OrganizationId, walk: Walk) -> tuple[OAuthApplication, ...]:
        """Return where people can agree, where the form asks for such a connection."""
        needs = (field.component for step in walk.form.steps for field in step.fields)
        if not any(need is not None and need.type == CONNECTION_TYPE for need in needs):
            return ()
        found = await oauth_store.list_all(tx, organization_id)
        return tuple(application for application in found if application.facts.authorize_url)

    async def _hook_tokens(
        self, tx: ReadTx, organization_id: OrganizationId, walk: Walk, document: FlowDocument
    ) -> dict[int, str]:
        tokens: dict[int, str] = {}
        for step in walk.form.steps:
            for field in walk.hook_fields(step.id):
                hook_id = document.answers.get(field.uuid)
                row = await scenario_store.get_hook(tx, organization_id, HookId(hook_id)) if hook_id else None
                if row is not None:
                    sealed = row["token_sealed"]
                    token = await self.sealing.open(organization_id, ("hook", row["id"], "token"), sealed)
                    tokens[row["id"]] = token.decode()
        return tokens
