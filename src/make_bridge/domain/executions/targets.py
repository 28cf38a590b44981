"""Finding what a webhook address leads to.

The token says its organization, the organization its shard, the digest the hook. Only calls that
may run are cached, for two seconds; a change in this process drops its entry at once, one in another
as soon as its event comes by. Many at the same moment share one look-up; an unknown or switched-off
address is looked up each time, so that switching on is felt at once. A hook that learns is found
before any scenario runs behind it.
"""

from dataclasses import dataclass

from make_bridge.domain.executions.senders import Signed, opened
from make_bridge.domain.executions.trigger import HookSettings, decode_settings
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.inbound import DedupeRule, decode_inbound
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import BridgeError, Conflict, Gone, NotFound
from make_bridge.kernel.ids import HookId, OrganizationId, ScenarioId, TeamId
from make_bridge.platform.cache.near import CacheNumbers, NearLookUp, Traits
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import Row
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
    only_learns: bool = False
    """No scenario runs behind it: a call is learned from, and stored nowhere."""
    refusal: BridgeError | None = None
    """What the caller of one that only learns is told, if it has a scenario: that it is switched off."""


class Targets:
    """A short-lived near cache over the hook look-up."""

    def __init__(self, shards: Shards, clock: Clock, sealing: Sealing) -> None:
        """Begin empty; ``sealing`` opens the secrets of signed senders."""
        self._shards = shards
        self._sealing = sealing
        self._finder: NearLookUp[str, Target] = NearLookUp(
            clock,
            self._look_up,
            seconds=_SECONDS,
            most=_ENTRIES,
            traits=Traits(tag_of=lambda target: target.scenario_id, is_kept=lambda target: not target.only_learns),
        )

    async def find(self, token: str) -> Target:
        """Return the target of an address; raises NotFound, Gone or Conflict with the reason."""
        known = self._finder.known(token)
        if known is not None:
            return known
        target = await self._finder.find(token)
        if target is None:
            raise NotFound(_UNKNOWN)
        return target

    def drop(self, scenario_id: ScenarioId) -> None:
        """Forget the addresses of a scenario that has changed, and what is being looked up meanwhile."""
        self._finder.forget_tag(scenario_id)

    def numbers(self) -> CacheNumbers:
        """Return what became of the reads of addresses."""
        return self._finder.numbers()

    async def _look_up(self, token: str) -> Target:
        organization_id = opaque_token_organization(token)
        if organization_id is None:
            raise NotFound(_UNKNOWN)
        shard = await self._shards.of(OrganizationId(organization_id))
        owner, digest = OrganizationId(organization_id), opaque_token_digest(token)
        row = await shard.ask(owner, lambda tx: scenario_store.find_target(tx, owner, digest))
        if row is None:
            raise NotFound(_UNKNOWN)
        settings = bytes(row["settings"])
        presented, refusal = decode_settings(settings), _refusal(row)
        if refusal is not None and not (presented.learning and row["enabled"]):
            raise refusal
        rules = decode_inbound(settings)
        signature = rules.signature
        return Target(
            hook_id=row["hook_id"],
            organization_id=OrganizationId(organization_id),
            team_id=row["team_id"],
            scenario_id=row["scenario_id"] or ScenarioId(0),
            blueprint_version=row["blueprint_version"] or 0,
            settings=presented,
            signature=None
            if signature is None
            else await opened(self._sealing, OrganizationId(organization_id), row["hook_id"], signature),
            dedupe=rules.dedupe,
            ordering=row["ordering_key"],
            only_learns=refusal is not None,
            refusal=None if row["scenario_id"] is None else refusal,
        )


def _refusal(row: Row) -> BridgeError | None:
    """Return why nothing runs behind a hook, None when something does."""
    if not row["enabled"] or row["scenario_id"] is None:
        message = "This webhook is not attached to a scenario any more."
        return Gone(message, code="hook_detached")
    if row["state"] != "active" or row["is_paused"]:
        message = "The scenario behind this webhook is switched off. Nothing was stored."
        return Conflict(message, code="scenario_inactive")
    return None


_UNKNOWN = "There is no webhook at this address."
