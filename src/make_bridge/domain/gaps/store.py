"""Every statement on silent webhooks and late schedules.

A look acts as ``bridge_engine``, in one transaction for each batch of webhooks, under the leader's fence: what it finds
and what it tells commit together. It writes a row for a webhook that was called since the last look, and nothing for
one that was not.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from make_bridge.domain.gaps.messages import Mode
from make_bridge.domain.gaps.model import Expected, Outage, Rhythm
from make_bridge.kernel.ids import HookId, OrganizationId, Retention, ScenarioId, TeamId, execution_id_floor
from make_bridge.kernel.messages import Event
from make_bridge.platform.database.transactions import ReadTx, Row, WriteTx

MOST_OUTAGES: Final = 1000
_LATE_COMMITS: Final = timedelta(seconds=60)
_LONGEST_LOOK_BACK: Final = timedelta(hours=1)
_KEPT: Final = timedelta(days=90)
_LOOK: Final = """
WITH before AS MATERIALIZED (SELECT looked_at FROM shard.gap_looks FOR UPDATE),
moment AS MATERIALIZED (SELECT clock_timestamp() AS at FROM before),
moved AS (UPDATE shard.gap_looks SET looked_at = m.at FROM moment m),
told AS (
    INSERT INTO shard.gap_outages (began_at, ended_at)
    SELECT b.looked_at, m.at FROM before b, moment m WHERE m.at - b.looked_at > make_interval(secs => %(outage)s)
    ON CONFLICT DO NOTHING RETURNING began_at
), gone AS (DELETE FROM shard.gap_outages WHERE ended_at < now() - %(kept)s)
SELECT m.at, b.looked_at AS before, (SELECT count(*) FROM told) AS outages FROM moment m, before b
"""
# One range of the runs' own index, whatever the statistics say: what was accepted since the last look, and a little
# before it, since who was accepted then may have been committed after it.
_BY_INDEX: Final = "SET LOCAL enable_seqscan = off"
_CALLED: Final = """
SELECT scenario_id, max(created_at) AS called_at FROM shard.executions
WHERE retention = 1 AND id > %s::uuid AND origin = 'webhook' GROUP BY scenario_id
"""
_OUTAGES: Final = "SELECT began_at, ended_at FROM shard.gap_outages ORDER BY began_at DESC LIMIT %s"
_HOOKS: Final = "SELECT * FROM shard.heard_hooks(%s, %s)"
_KEEP: Final = """
INSERT INTO shard.hook_rhythms AS r
    (hook_id, organization_id, since, first_heard_at, heard_at, times, pause_seconds, is_off, silent_at)
SELECT * FROM unnest(%(hooks)s::bigint[], %(organizations)s::bigint[], %(since)s::timestamptz[],
                     %(first)s::timestamptz[], %(heard)s::timestamptz[], %(times)s::bigint[], %(pauses)s::float8[],
                     %(off)s::boolean[], %(silent)s::timestamptz[])
ON CONFLICT (hook_id) DO UPDATE SET since = excluded.since, first_heard_at = excluded.first_heard_at,
    heard_at = excluded.heard_at, times = excluded.times, pause_seconds = excluded.pause_seconds,
    is_off = excluded.is_off, silent_at = excluded.silent_at
"""
_BEHIND: Final = "SELECT * FROM shard.schedules_behind(make_interval(secs => %s), %s)"
_TOLD_LATE: Final = "SELECT * FROM shard.schedules_told_late(make_interval(secs => %s), %s)"
_NOTE_LATE: Final = """
INSERT INTO shard.late_schedules (scenario_id, organization_id, due_at, late_at)
SELECT t.*, %(now)s FROM unnest(%(scenarios)s::bigint[], %(organizations)s::bigint[], %(due)s::timestamptz[]) AS t
ON CONFLICT DO NOTHING
"""
_FORGET_LATE: Final = "DELETE FROM shard.late_schedules WHERE scenario_id = ANY(%s::bigint[])"
_TELL: Final = """
INSERT INTO shard.outbox (organization_id, type, subject, payload)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bytea[])
"""

_EXPECT: Final = """
INSERT INTO shard.hook_expectations (hook_id, organization_id, seconds) VALUES (%s, %s, %s)
ON CONFLICT (hook_id) DO UPDATE SET seconds = excluded.seconds, set_at = now()
"""
_EXPECT_NO_MORE: Final = "DELETE FROM shard.hook_expectations WHERE organization_id = %s AND hook_id = %s"
_LIST: Final = """
SELECT h.id AS hook_id, h.organization_id, h.team_id, s.id AS scenario_id, h.name,
       h.enabled AND s.state = 'active' AND NOT s.is_paused AND NOT s.is_invalid AS is_on,
       x.seconds AS expected_seconds, x.hook_id IS NOT NULL AS is_expected, x.set_at AS expected_at, r.since,
       r.first_heard_at, r.heard_at, r.times, r.pause_seconds, coalesce(r.is_off, false) AS was_off, r.silent_at
FROM shard.hooks h JOIN shard.scenarios s ON s.id = h.scenario_id
LEFT JOIN shard.hook_expectations x ON x.hook_id = h.id
LEFT JOIN shard.hook_rhythms r ON r.hook_id = h.id
WHERE h.organization_id = %(organization)s AND (%(team)s::bigint IS NULL OR h.team_id = %(team)s)
ORDER BY r.silent_at IS NULL, h.id LIMIT %(limit)s
"""
_LIST_LATE: Final = """
SELECT l.scenario_id, l.organization_id, s.team_id, s.name, l.due_at, l.late_at
FROM shard.late_schedules l JOIN shard.scenarios s ON s.id = l.scenario_id
WHERE l.organization_id = %(organization)s AND (%(team)s::bigint IS NULL OR s.team_id = %(team)s)
ORDER BY l.late_at, l.scenario_id LIMIT %(limit)s
"""
_LOOKED_AT: Final = "SELECT looked_at FROM shard.gap_looks"


class KnownHook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook with what is known of it."""

    hook_id: HookId
    organization_id: OrganizationId
    team_id: TeamId
    scenario_id: ScenarioId
    name: str
    is_on: bool
    rhythm: Rhythm | None
    expected: Expected | None


class BehindSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario whose time came a while ago."""

    scenario_id: ScenarioId
    organization_id: OrganizationId
    team_id: TeamId
    due_at: datetime


class ToldLate(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario that was told to be late, and how it stands now."""

    scenario_id: ScenarioId
    organization_id: OrganizationId
    team_id: TeamId
    name: str
    due_at: datetime
    late_at: datetime
    is_on: bool = True
    is_behind: bool = True


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A look: its moment, when somebody looked before, and 1 outage when that was too long ago."""

    at: datetime
    before: datetime
    outages: int


async def look(tx: WriteTx, outage_seconds: float) -> Look:
    """Note that somebody looks."""
    [row] = await tx.all(_LOOK, {"outage": outage_seconds, "kept": _KEPT})
    return Look(**row)


async def called(tx: WriteTx, looked: Look) -> dict[ScenarioId, datetime]:
    """Return when scenarios were called last, of those that were called since the look before, an hour ago at most."""
    since = max(looked.before - _LATE_COMMITS, looked.at - _LONGEST_LOOK_BACK)
    await tx.execute(_BY_INDEX)
    rows = await tx.all(_CALLED, (execution_id_floor(since, Retention.STANDARD),))
    return {row["scenario_id"]: row["called_at"] for row in rows}


async def outages(tx: ReadTx) -> list[Outage]:
    """Return when nobody could hear anything, the latest first."""
    rows = await tx.all(_OUTAGES, (MOST_OUTAGES,))
    return [Outage(began=row["began_at"], ended=row["ended_at"]) for row in rows]


async def hooks(tx: ReadTx, after: HookId, most: int) -> list[KnownHook]:
    """Return the next webhooks of all organizations, by id."""
    return [_known(row) for row in await tx.all(_HOOKS, (after, most))]


async def keep(tx: WriteTx, changed: Sequence[tuple[KnownHook, Rhythm]]) -> None:
    """Write what is known of webhooks."""
    if not changed:
        return
    rhythms = [rhythm for _, rhythm in changed]
    parameters = {
        "hooks": [hook.hook_id for hook, _ in changed],
        "organizations": [hook.organization_id for hook, _ in changed],
        "since": [r.since for r in rhythms],
        "first": [r.first_heard for r in rhythms],
        "heard": [r.heard for r in rhythms],
        "times": [r.times for r in rhythms],
        "pauses": [r.pause for r in rhythms],
        "off": [r.is_off for r in rhythms],
        "silent": [r.silent_at for r in rhythms],
    }
    await tx.execute(_KEEP, parameters)


async def behind(tx: ReadTx, seconds: float, most: int) -> list[BehindSchedule]:
    """Return schedules that are behind by so much and were not told yet."""
    return [BehindSchedule(**row) for row in await tx.all(_BEHIND, (seconds, most))]


async def told_late(tx: ReadTx, seconds: float, most: int) -> list[ToldLate]:
    """Return schedules that were told to be late."""
    return [ToldLate(**row) for row in await tx.all(_TOLD_LATE, (seconds, most))]


async def note_late(tx: WriteTx, late: Sequence[BehindSchedule], now: datetime) -> None:
    """Note that schedules are told to be late."""
    parameters = {
        "scenarios": [schedule.scenario_id for schedule in late],
        "organizations": [schedule.organization_id for schedule in late],
        "due": [schedule.due_at for schedule in late],
        "now": now,
    }
    await tx.execute(_NOTE_LATE, parameters)


async def forget_late(tx: WriteTx, scenarios: Iterable[ScenarioId]) -> None:
    """Forget that schedules were late."""
    await tx.execute(_FORGET_LATE, (list(scenarios),))


async def tell(tx: WriteTx, facts: Sequence[tuple[OrganizationId, str, Event]]) -> None:
    """Write events into the outbox."""
    if facts:
        rows = [(owner, event.wire_name, subject, msgspec.json.encode(event)) for owner, subject, event in facts]
        await tx.execute(_TELL, [list(column) for column in zip(*rows, strict=True)])


async def expect(
    tx: WriteTx, organization_id: OrganizationId, hook_id: HookId, mode: Mode, seconds: int | None
) -> None:
    """Write what is expected of a webhook."""
    if mode == "learned":
        await tx.execute(_EXPECT_NO_MORE, (organization_id, hook_id))
    else:
        await tx.execute(_EXPECT, (hook_id, organization_id, seconds if mode == "expected" else None))


async def list_hooks(
    tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, limit: int
) -> list[KnownHook]:
    """Return an organization's webhooks, the silent ones first."""
    rows = await tx.all(_LIST, {"organization": organization_id, "team": team_id, "limit": limit})
    return [_known(row) for row in rows]


async def list_late(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, limit: int) -> list[ToldLate]:
    """Return an organization's late schedules, the longest late first."""
    rows = await tx.all(_LIST_LATE, {"organization": organization_id, "team": team_id, "limit": limit})
    return [ToldLate(**row) for row in rows]


async def looked_at(tx: ReadTx) -> datetime:
    """Return when somebody looked last."""
    [row] = await tx.all(_LOOKED_AT)
    moment: datetime = row["looked_at"]
    return moment


def _known(row: Row) -> KnownHook:
    rhythm = expected = None
    if row["since"] is not None:
        rhythm = Rhythm(
            since=row["since"],
            first_heard=row["first_heard_at"],
            heard=row["heard_at"],
            times=row["times"],
            pause=row["pause_seconds"],
            is_off=row["was_off"],
            silent_at=row["silent_at"],
        )
    if row["is_expected"]:
        expected = Expected(seconds=row["expected_seconds"], since=row["expected_at"])
    return KnownHook(
        hook_id=row["hook_id"],
        organization_id=row["organization_id"],
        team_id=row["team_id"],
        scenario_id=row["scenario_id"],
        name=row["name"],
        is_on=row["is_on"],
        rhythm=rhythm,
        expected=expected,
    )
