"""Finding what a webhook address leads to.

The token says its organization, the organization its shard, the digest the hook. Only calls that
may run are cached, for two seconds; a change in this process drops its entry at once, one in another
as soon as its event comes by. Many at the same moment share one look-up; an unknown or switched-off
address is looked up each time, so that switching on is felt at once.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from make_bridge.domain.executions.senders import Signed, opened
from make_bridge.domain.executions.trigger import HookSettings, decode_settings
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.inbound import DedupeRule, decode_inbound
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import Conflict, Gone, NotFound
from make_bridge.kernel.ids import HookId, OrganizationId, ScenarioId, TeamId
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.security.sealing import Sealing
from make_bridge.platform.security.secrets import opaque_token_digest, opaque_token_organization

_SECONDS = 2.0
_ENTRIES = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A hook with the scenario it starts."""

    hook_id: HookId
    organization_id: OrganizationId
    team_id: TeamId
    scenario_id: ScenarioId
    blueprint_version: int
    settings: HookSettings
    signature: Signed | None = None
    dedupe: DedupeRule | None = None
    ordering: str | None = None
    """The expression whose text orders the scenario's runs."""


class Targets:
    """A short-lived near cache over the hook look-up."""

    def __init__(self, shards: Shards, clock: Clock, sealing: Sealing) -> None:
        """Begin empty; ``sealing`` opens the secrets of signed senders."""
        self._shards = shards
        self._sealing = sealing
        self._clock = clock
        self._known: OrderedDict[str, tuple[Target, float]] = OrderedDict()
        self._of_scenario: dict[ScenarioId, set[str]] = {}
        self._looking: dict[str, asyncio.Task[Target]] = {}

    async def find(self, token: str) -> Target:
        """Return the target of an address; raises NotFound, Gone or Conflict with the reason."""
        known = self._known.get(token)
        if known is not None and known[1] > self._clock.monotonic():
            return known[0]
        looking = self._looking.get(token)
        if looking is None:
            looking = asyncio.create_task(self._look_up(token))
            self._looking[token] = looking
            looking.add_done_callback(lambda task: self._found(token, task))
        return await asyncio.shield(looking)

    def drop(self, scenario_id: ScenarioId) -> None:
        """Forget the addresses of a scenario that has changed, and what is being looked up meanwhile."""
        self._looking.clear()
        for token in self._of_scenario.pop(scenario_id, ()):
            del self._known[token]

    def _found(self, token: str, task: asyncio.Task[Target]) -> None:
        """Remember what one look-up found for all who waited for it."""
        if self._looking.get(token) is not task:
            return
        del self._looking[token]
        if task.cancelled() or task.exception() is not None:
            return
        self._forget(token)
        target = task.result()
        self._known[token] = (target, self._clock.monotonic() + _SECONDS)
        self._of_scenario.setdefault(target.scenario_id, set()).add(token)
        if len(self._known) > _ENTRIES:
            self._forget(next(iter(self._known)))

    def _forget(self, token: str) -> None:
        """Drop one address. Those of a scenario are found by it: every change anywhere comes by here."""
        known = self._known.pop(token, None)
        if known is None:
            return
        scenario_id = known[0].scenario_id
        tokens = self._of_scenario[scenario_id]
        tokens.discard(token)
        if not tokens:
            del self._of_scenario[scenario_id]

    async def _look_up(self, token: str) -> Target:
        organization_id = opaque_token_organization(token)
        if organization_id is None:
            raise NotFound(_UNKNOWN)
        shard = await self._shards.of(OrganizationId(organization_id))
        owner, digest = OrganizationId(organization_id), opaque_token_digest(token)
        row = await shard.ask(owner, lambda tx: scenario_store.find_target(tx, owner, digest))
        if row is None:
            raise NotFound(_UNKNOWN)
        if not row["enabled"] or row["scenario_id"] is None:
            message = "This webhook is not attached to a scenario any more."
            raise Gone(message, code="hook_detached")
        if row["state"] != "active" or row["is_paused"]:
            message = "The scenario behind this webhook is switched off. Nothing was stored."
            raise Conflict(message, code="scenario_inactive")
        settings = bytes(row["settings"])
        rules = decode_inbound(settings)
        signature = rules.signature
        return Target(
            hook_id=row["hook_id"],
            organization_id=OrganizationId(organization_id),
            team_id=row["team_id"],
            scenario_id=row["scenario_id"],
            blueprint_version=row["blueprint_version"],
            settings=decode_settings(settings),
            signature=None
            if signature is None
            else await opened(self._sealing, OrganizationId(organization_id), row["hook_id"], signature),
            dedupe=rules.dedupe,
            ordering=row["ordering_key"],
        )


_UNKNOWN = "There is no webhook at this address."
