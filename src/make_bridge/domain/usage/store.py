"""Every statement on usage and limits: sums for people, looks of the watch, runs put off and let go.

Sums and limits are read by tenants; looks act as ``bridge_engine`` over all organizations, one at a time.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

import msgspec
from psycopg.rows import DictRow

from make_bridge.domain.usage.messages import Limits, ScenarioMonth, UsedDay
from make_bridge.domain.usage.model import Measured, Scope, Standing, State, worst
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.kernel.messages import Event
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_OWN: Final = """
    (%(team)s::bigint IS NULL OR u.scenario_id IN (
        SELECT s.id FROM shard.scenarios s WHERE s.organization_id = %(organization)s AND s.team_id = %(team)s
        UNION ALL
        SELECT p.scenario_id FROM shard.past_scenarios p
        WHERE p.organization_id = %(organization)s AND p.team_id = %(team)s))
"""
_DAYS: Final = (
    """
SELECT d.day::date AS date, coalesce(sum(u.executions), 0)::bigint AS executions,
       coalesce(sum(u.operations), 0)::bigint AS operations,
       coalesce(sum(u.data_transfer), 0)::bigint AS data_transfer
FROM generate_series(%(first)s::date, %(last)s::date, '1 day') d(day)
LEFT JOIN shard.usage_daily u ON u.organization_id = %(organization)s AND u.day = d.day::date
    AND u.day BETWEEN %(first)s::date AND %(last)s::date AND """
    + _OWN
    + "GROUP BY d.day ORDER BY d.day"
)
_MONTH: Final = (
    """
SELECT m.first AS first_day, (m.first + interval '1 month') AT TIME ZONE 'UTC' AS until,
       coalesce(sum(u.executions), 0)::bigint AS executions, coalesce(sum(u.operations), 0)::bigint AS operations,
       coalesce(sum(u.data_transfer), 0)::bigint AS data_transfer
FROM (SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date AS first) m
LEFT JOIN shard.usage_daily u ON u.organization_id = %(organization)s AND u.day >= m.first
    AND u.day < (m.first + interval '1 month') AND """
    + _OWN
    + "GROUP BY m.first"
)
_SCENARIOS: Final = (
    """
SELECT u.scenario_id, sum(u.operations)::bigint AS operations, sum(u.data_transfer)::bigint AS data_transfer
FROM shard.usage_daily u
WHERE u.organization_id = %(organization)s AND u.day >= date_trunc('month', %(today)s::date) AND u.day <= %(today)s
    AND """
    + _OWN
    + "GROUP BY u.scenario_id ORDER BY u.scenario_id LIMIT %(limit)s"
)
_TODAY: Final = "SELECT (now() AT TIME ZONE 'UTC')::date AS today"
_WAITING: Final = """
SELECT count(*) AS waiting FROM (
    SELECT FROM shard.queue WHERE class = 3 AND organization_id = %(organization)s
      AND (%(team)s::bigint IS NULL OR team_id = %(team)s::bigint) LIMIT 1000000) q
"""
_LIMITS: Final = "SELECT operations, executions, data_transfer FROM shard.usage_limits WHERE organization_id = %s"
_SET_LIMITS: Final = """
INSERT INTO shard.usage_limits (organization_id, operations, executions, data_transfer) VALUES (%s, %s, %s, %s)
ON CONFLICT (organization_id) DO UPDATE SET operations = excluded.operations, executions = excluded.executions,
    data_transfer = excluded.data_transfer, updated_at = now()
"""
_DROP_LIMITS: Final = "DELETE FROM shard.usage_limits WHERE organization_id = %s"
_TEAM_LIMIT: Final = """
SELECT min(l.operations) AS operations, min(l.data_transfer) AS data_transfer FROM (
    SELECT operations_limit AS operations, NULL::bigint AS data_transfer FROM shard.customers
    WHERE organization_id = %(organization)s AND team_id = %(team)s
    UNION ALL
    SELECT operations_limit, transfer_limit FROM shard.teams WHERE organization_id = %(organization)s AND id = %(team)s
) l
"""
_REACHED_NOW: Final = """
SELECT organization_id, team_id, first_day, until, state, measure, used, most FROM shard.usage_states
WHERE organization_id = %s AND team_id IN (0, %s) AND state = 2 AND until > now()
"""

_IS_LIMITED: Final = "SELECT shard.is_usage_limited() AS is_limited"
_TAKE_TURN: Final = """
WITH turn AS (
    SELECT single FROM shard.usage_looks WHERE looked_at <= now() - make_interval(secs => %s) FOR UPDATE SKIP LOCKED
)
UPDATE shard.usage_looks l SET looked_at = clock_timestamp() FROM turn t WHERE l.single = t.single RETURNING 1 AS mine
"""
_WAIT_FOR_TURN: Final = "UPDATE shard.usage_looks SET looked_at = clock_timestamp()"
_LOOK: Final = "SELECT * FROM shard.limited_usage()"
_FORGET: Final = """
DELETE FROM shard.usage_states s WHERE NOT EXISTS (
    SELECT FROM unnest(%(organizations)s::bigint[], %(teams)s::bigint[]) AS t(organization_id, team_id)
    WHERE t.organization_id = s.organization_id AND t.team_id = s.team_id)
"""
_TOLD: Final = "SELECT organization_id, team_id, first_day, told FROM shard.usage_states"
_NOTE: Final = """
INSERT INTO shard.usage_states AS s
    (organization_id, team_id, first_day, until, state, measure, used, most, told)
SELECT * FROM unnest(%(organizations)s::bigint[], %(teams)s::bigint[], %(firsts)s::date[], %(untils)s::timestamptz[],
                     %(states)s::smallint[], %(measures)s::text[], %(used)s::bigint[], %(mosts)s::bigint[],
                     %(told)s::smallint[])
ON CONFLICT (organization_id, team_id) DO UPDATE SET first_day = excluded.first_day, until = excluded.until,
    state = excluded.state, measure = excluded.measure, used = excluded.used, most = excluded.most,
    told = excluded.told
WHERE (s.first_day, s.until, s.state, s.measure, s.used, s.most, s.told)
    IS DISTINCT FROM (excluded.first_day, excluded.until, excluded.state, excluded.measure, excluded.used,
                      excluded.most, excluded.told)
"""
_TELL: Final = """
INSERT INTO shard.outbox (organization_id, type, subject, payload)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bytea[])
"""
_REACHED: Final = """
SELECT organization_id, team_id, first_day, until, state, measure, used, most FROM shard.usage_states WHERE state = 2
"""
# What has not begun waits; what was begun by somebody, by hand or by another scenario (class 0), goes on.
_PUT_OFF: Final = """
WITH waiting AS (
    SELECT q.id, s.until
    FROM shard.usage_states s
    CROSS JOIN LATERAL (
        SELECT s.team_id AS id WHERE s.team_id > 0
        UNION ALL SELECT o FROM shard.teams_of(s.organization_id) o WHERE s.team_id = 0
    ) team
    CROSS JOIN LATERAL (
        SELECT w.id FROM shard.queue w WHERE w.class = 1 AND w.team_id = team.id AND w.ordering_key IS NULL
          AND w.lease_until IS NULL AND w.kind = 'scenario.execute' AND w.attempts = 0
        UNION ALL
        SELECT w.id FROM shard.queue w WHERE w.class = 1 AND w.team_id = team.id AND w.ordering_key IS NOT NULL
          AND w.lease_until IS NULL AND w.kind = 'scenario.execute' AND w.attempts = 0
    ) q
    WHERE s.state = 2 AND s.until > now() LIMIT %(most)s
), held AS (
    SELECT q.id, w.until FROM waiting w JOIN shard.queue q ON q.id = w.id
    WHERE q.lease_until IS NULL AND q.attempts = 0 FOR UPDATE OF q SKIP LOCKED
)
UPDATE shard.queue q SET class = 3, ready_at = h.until FROM held h WHERE q.id = h.id
"""
# From team to team by index, however many rows each has; what it has under way counts against what is left.
_DEFERRED_TEAMS: Final = """
WITH RECURSIVE team AS (
    (SELECT organization_id, team_id FROM shard.queue WHERE class = 3 ORDER BY organization_id, team_id LIMIT 1)
    UNION ALL
    SELECT n.organization_id, n.team_id FROM team t CROSS JOIN LATERAL (
        SELECT q.organization_id, q.team_id FROM shard.queue q
        WHERE q.class = 3 AND (q.organization_id, q.team_id) > (t.organization_id, t.team_id)
        ORDER BY q.organization_id, q.team_id LIMIT 1) n
)
SELECT t.organization_id, t.team_id,
       (SELECT count(*) FROM (SELECT FROM shard.queue q WHERE q.team_id = t.team_id AND q.lease_until IS NOT NULL
                              LIMIT %(most)s) h)
       + (SELECT count(*) FROM (SELECT FROM shard.queue q WHERE q.class = 1 AND q.team_id = t.team_id
            AND q.lease_until IS NULL AND q.ordering_key IS NULL AND q.kind <> 'incomplete.retry' LIMIT %(most)s) w)
       + (SELECT count(*) FROM (SELECT FROM shard.queue q WHERE q.class = 1 AND q.team_id = t.team_id
            AND q.lease_until IS NULL AND q.ordering_key IS NOT NULL LIMIT %(most)s) l) AS under_way
FROM team t
"""
_LET_GO: Final = """
WITH chosen AS (
    SELECT q.id FROM unnest(%(organizations)s::bigint[], %(teams)s::bigint[], %(counts)s::integer[])
        AS t(organization_id, team_id, most)
    CROSS JOIN LATERAL (
        SELECT d.id FROM shard.queue d WHERE d.class = 3 AND d.organization_id = t.organization_id
          AND d.team_id = t.team_id AND d.lease_until IS NULL ORDER BY d.id LIMIT t.most FOR UPDATE SKIP LOCKED) q
)
UPDATE shard.queue q SET class = 1, ready_at = now() FROM chosen c WHERE q.id = c.id
"""
_MOST_PUT_OFF: Final = 5000


def measures_of(row: Mapping[str, int | None], limits: Limits) -> tuple[Measured, ...]:
    """Put together what was used and what may be."""
    return (
        Measured(measure="operations", used=row["operations"] or 0, most=limits.operations),
        Measured(measure="executions", used=row["executions"] or 0, most=limits.executions),
        Measured(measure="dataTransfer", used=row["data_transfer"] or 0, most=limits.data_transfer),
    )


async def today(tx: ReadTx) -> date:
    """Return the day that settling counts for now."""
    row = await tx.one(_TODAY)
    assert row is not None  # noqa: S101 - a row without a table is there
    day: date = row["today"]
    return day


async def days(
    tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, first: date, last: date
) -> list[UsedDay]:
    """Return usage by day, oldest first, every day present."""
    parameters = {"organization": organization_id, "team": team_id, "first": first, "last": last}
    return [UsedDay(**row) for row in await tx.all(_DAYS, parameters)]


async def scenarios(
    tx: ReadTx, organization_id: OrganizationId, team_id: TeamId, today: date, *, limit: int
) -> list[ScenarioMonth]:
    """Return what each scenario of a team has used in the month of a day."""
    parameters = {"organization": organization_id, "team": team_id, "today": today, "limit": limit}
    return [ScenarioMonth(**row) for row in await tx.all(_SCENARIOS, parameters)]


async def month(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None) -> DictRow:
    """Return this month's bounds and sums."""
    [row] = await tx.all(_MONTH, {"organization": organization_id, "team": team_id})
    return row


async def waiting(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None) -> int:
    """Return how many runs wait for a limit."""
    row = await tx.one(_WAITING, {"organization": organization_id, "team": team_id})
    return 0 if row is None else int(row["waiting"])


async def limits_of(tx: ReadTx, organization_id: OrganizationId) -> Limits:
    """Return an organization's limits."""
    row = await tx.one(_LIMITS, (organization_id,))
    return Limits() if row is None else Limits(**row)


async def limits_of_team(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> Limits:
    """Return what a team may use: the smallest of its own limits and its customers'."""
    row = await tx.one(_TEAM_LIMIT, {"organization": organization_id, "team": team_id})
    return Limits() if row is None else Limits(operations=row["operations"], data_transfer=row["data_transfer"])


async def set_limits(tx: WriteTx, organization_id: OrganizationId, limits: Limits) -> None:
    """Write an organization's limits."""
    if limits == Limits():
        await tx.execute(_DROP_LIMITS, (organization_id,))
        return
    await tx.execute(_SET_LIMITS, (organization_id, limits.operations, limits.executions, limits.data_transfer))


async def reached_now(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> Standing | None:
    """Return a limit that keeps this team from running, as the last look found it."""
    rows = await tx.all(_REACHED_NOW, (organization_id, team_id))
    return _standing(rows[0]) if rows else None


async def is_limited(tx: ReadTx) -> bool:
    """Say whether anybody on the shard has a limit, or waits for one that is gone."""
    row = await tx.one(_IS_LIMITED)
    return row is not None and bool(row["is_limited"])


async def take_turn(tx: WriteTx, *, seconds: float, wait: bool) -> bool:
    """Become the one that looks; False when somebody else does, or did within ``seconds``."""
    if wait:
        return await tx.execute(_WAIT_FOR_TURN) > 0
    return bool(await tx.all(_TAKE_TURN, (seconds,)))


async def look(tx: ReadTx, near_percent: float) -> list[Standing]:
    """Sum up what was used this month of every limit there is."""
    return [_judged(row, near_percent) for row in await tx.all(_LOOK) if _has_limit(row)]


async def told(tx: ReadTx) -> dict[Scope, tuple[date, int]]:
    """Return which state was told of each limit, and for which month."""
    return {(row["organization_id"], row["team_id"]): (row["first_day"], row["told"]) for row in await tx.all(_TOLD)}


async def note(tx: WriteTx, standings: Sequence[Standing], told_states: Sequence[int]) -> None:
    """Write what a look found, for every process and for people; limits that are gone are forgotten."""
    parameters = {
        "organizations": [s.organization_id for s in standings],
        "teams": [s.team_id for s in standings],
        "firsts": [s.first_day for s in standings],
        "untils": [s.until for s in standings],
        "states": [int(s.state) for s in standings],
        "measures": [s.measure for s in standings],
        "used": [s.used for s in standings],
        "mosts": [s.most for s in standings],
        "told": list(told_states),
    }
    await tx.execute(_FORGET, {name: parameters[name] for name in ("organizations", "teams")})
    await tx.execute(_NOTE, parameters)


async def tell(tx: WriteTx, facts: Iterable[tuple[Scope, Event]]) -> None:
    """Write events into the outbox."""
    rows = [
        (
            organization_id,
            event.wire_name,
            f"team/{team_id}" if team_id else f"organization/{organization_id}",
            msgspec.json.encode(event),
        )
        for (organization_id, team_id), event in facts
    ]
    if rows:
        await tx.execute(_TELL, [list(column) for column in zip(*rows, strict=True)])


async def reached(tx: ReadTx) -> dict[Scope, Standing]:
    """Return every limit that is reached."""
    return {standing.scope: standing for standing in map(_standing, await tx.all(_REACHED))}


async def put_off(tx: WriteTx) -> int:
    """Let runs wait that were accepted before their limit was reached and have not begun; return how many."""
    return await tx.execute(_PUT_OFF, {"most": _MOST_PUT_OFF})


async def deferred_teams(tx: ReadTx, most: int) -> list[DictRow]:
    """Return the teams whose runs wait for a limit, each with what it has under way (up to a few times ``most``)."""
    return await tx.all(_DEFERRED_TEAMS, {"most": most})


async def let_go(tx: WriteTx, counts: Mapping[Scope, int]) -> int:
    """Make so many runs of each team ready, the first that came first; return how many there were."""
    parameters = {
        "organizations": [scope[0] for scope in counts],
        "teams": [scope[1] for scope in counts],
        "counts": list(counts.values()),
    }
    return await tx.execute(_LET_GO, parameters)


def _has_limit(row: DictRow) -> bool:
    return any(row[name] is not None for name in ("most_operations", "most_executions", "most_transfer"))


def _judged(row: DictRow, near_percent: float) -> Standing:
    limits = Limits(
        operations=row["most_operations"], executions=row["most_executions"], data_transfer=row["most_transfer"]
    )
    used = {"operations": row["operations"], "executions": row["executions"], "data_transfer": row["transfer"]}
    state, measured = worst(measures_of(used, limits), near_percent)
    return Standing(
        organization_id=row["organization_id"],
        team_id=row["team_id"],
        first_day=row["first_day"],
        until=row["until"],
        state=state,
        measure=measured.measure,
        used=measured.used,
        most=measured.most or 0,
    )


def _standing(row: DictRow) -> Standing:
    return Standing(**{**row, "state": State(row["state"])})
