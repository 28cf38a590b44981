"""How the sources of all organizations stand, for the operator: ``make-bridge gaps``."""

from typing import Final

from make_bridge.domain.gaps import store
from make_bridge.domain.gaps.messages import Gap
from make_bridge.domain.gaps.model import GapRules
from make_bridge.domain.gaps.views import gap_of_hook, gap_of_schedule
from make_bridge.kernel.ids import HookId, OrganizationId
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.sharding.scatter import scatter

_SECONDS: Final = 30.0
_MISSED: Final = ("silent", "late")


async def gaps_of(
    shards: Shards, rules: GapRules, *, organization_id: OrganizationId | None, whole: bool, most: int
) -> tuple[list[Gap], dict[int, str]]:
    """Return sources of all organizations or of one, and why shards do not answer.

    Those that are missed, or with ``whole`` all of them; at most so many of each shard.
    """

    async def look(shard: Shard) -> list[Gap]:
        async with shard.engine_statement() as tx:
            looked_at = await store.looked_at(tx)
        async with shard.engine_statement() as tx:
            outages = await store.outages(tx)
        async with shard.engine_statement() as tx:
            late = await store.told_late(tx, rules.late, most)
        found = [gap_of_schedule(row, looked_at, outages) for row in late]
        after: HookId | None = HookId(0)
        while after is not None and len(found) < most:
            async with shard.engine_statement() as tx:
                hooks = await store.hooks(tx, after, rules.batch)
            found += [gap_of_hook(hook, looked_at, outages, rules) for hook in hooks]
            found = [gap for gap in found if _is_asked_for(gap)]
            after = hooks[-1].hook_id if len(hooks) == rules.batch else None
        return found[:most]

    def _is_asked_for(gap: Gap) -> bool:
        is_whose = organization_id is None or gap.organization_id == organization_id
        return is_whose and (whole or gap.state in _MISSED)

    answers = await scatter(shards.all(), look, seconds=_SECONDS)
    return [gap for number in sorted(answers.answers) for gap in answers.answers[number]], dict(answers.silent)
