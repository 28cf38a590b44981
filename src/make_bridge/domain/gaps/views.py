"""How sources stand, as of the last look: the answer to ``ListGaps``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.gaps import store
from make_bridge.domain.gaps.messages import Gap, ListGaps, Mode
from make_bridge.domain.gaps.model import Expected, GapRules, Outage, counted_seconds, is_young, patience, silence
from make_bridge.domain.gaps.store import KnownHook, ToldLate
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import InvalidInput
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx

MOST_LISTED: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GapViews:
    """The view; ``rules`` are those the look goes by."""

    rules: GapRules

    async def list_gaps(self, tx: ReadTx, context: Context, query: ListGaps) -> list[Gap]:
        """Answer ListGaps; raises NotFound for a team that the caller may not see, InvalidInput."""
        if not 1 <= query.limit <= MOST_LISTED:
            raise InvalidInput(f"1 to {MOST_LISTED} sources are listed at a time.")
        team_id = query.team_id if query.team_id is not None else context.team_id
        if team_id is not None:
            require_sight(context, team_id)
        late = await store.list_late(tx, context.organization_id, team_id, query.limit)
        hooks = await store.list_hooks(tx, context.organization_id, team_id, query.limit)
        looked_at, outages = await store.looked_at(tx), await store.outages(tx)
        gaps = [gap_of_schedule(row, looked_at, outages) for row in late]
        gaps += [gap_of_hook(hook, looked_at, outages, self.rules) for hook in hooks]
        return gaps[: query.limit]

    def queries(self) -> list[QueryRegistration[Any, Any]]:
        """Return the slice's queries for the composition root."""
        return [QueryRegistration(query=ListGaps, view=self.list_gaps, permission="scenarios:read")]


def gap_of_hook(hook: KnownHook, now: datetime, outages: Sequence[Outage], rules: GapRules) -> Gap:
    """Return how a webhook stands."""
    rhythm = hook.rhythm
    most, gone_by = patience(rhythm, hook.expected, rules), silence(rhythm, hook.expected, now, outages)
    return Gap(
        kind="hook",
        organization_id=hook.organization_id,
        team_id=hook.team_id,
        scenario_id=hook.scenario_id,
        hook_id=hook.hook_id,
        name=hook.name,
        state=_state(hook, rules),
        mode=_mode(hook.expected),
        heard_at=rhythm.heard if rhythm is not None and rhythm.times else None,
        silent_seconds=None if gone_by is None or not hook.is_on else round(gone_by),
        patience_seconds=None if most is None else round(most),
    )


def gap_of_schedule(row: ToldLate, now: datetime, outages: Sequence[Outage]) -> Gap:
    """Return how a schedule stands that was told to be late."""
    return Gap(
        kind="schedule",
        organization_id=row.organization_id,
        team_id=row.team_id,
        scenario_id=row.scenario_id,
        hook_id=None,
        name=row.name,
        state="late",
        mode="expected",
        heard_at=None,
        silent_seconds=round(counted_seconds(row.due_at, now, outages)),
        patience_seconds=None,
    )


def _mode(expected: Expected | None) -> Mode:
    if expected is None:
        return "learned"
    return "ignored" if expected.seconds is None else "expected"


def _state(hook: KnownHook, rules: GapRules) -> str:
    rhythm = hook.rhythm
    if not hook.is_on:
        return "off"
    if _mode(hook.expected) == "ignored":
        return "ignored"
    if rhythm is not None and rhythm.silent_at is not None:
        return "silent"
    if hook.expected is None and (rhythm is None or is_young(rhythm, rules)):
        return "young"
    return "heard"
