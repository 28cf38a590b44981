"""What can be read of flows and of the catalogue."""

from dataclasses import dataclass
from typing import Any

import msgspec

from make_bridge.domain.integrations import store
from make_bridge.domain.integrations.messages import FlowState, GetFlow, Integration, ListIntegrations
from make_bridge.domain.integrations.reading import FlowReader
from make_bridge.kernel.context import Context
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowViews:
    """Views that need the reader."""

    reader: FlowReader

    async def get_flow(self, tx: ReadTx, context: Context, query: GetFlow) -> FlowState:
        """Answer GetFlow."""
        return await self.reader.state(tx, context.organization_id, query.flow_id, query.team_id)


async def list_integrations(tx: ReadTx, context: Context, query: ListIntegrations) -> list[Integration]:
    """Answer ListIntegrations: every published template with the team's newest scenario made from it."""
    cards = []
    for row in await store.catalogue(tx, context.organization_id, query.team_id):
        connected = row["scenario_id"] is not None
        scheduling = row["scenario_scheduling"] if connected else row["scheduling"]
        cards.append(
            Integration(
                version_id=row["version_id"],
                name=row["scenario_name"] if connected else row["name"],
                used_packages=tuple(row["scenario_packages"] if connected else row["used_packages"]),
                scheduling=msgspec.json.decode(bytes(scheduling), type=dict[str, Any]),
                scenario_id=row["scenario_id"],
                scenario_active=row["state"] == "active",
            )
        )
    return cards


def queries(reader: FlowReader) -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    return [
        QueryRegistration(query=GetFlow, view=FlowViews(reader=reader).get_flow, permission="integrations:read"),
        QueryRegistration(query=ListIntegrations, view=list_integrations, permission="integrations:read", may_lag=True),
    ]
