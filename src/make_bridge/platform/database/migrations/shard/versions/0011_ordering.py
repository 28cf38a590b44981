"""Order per key: lanes of a scenario, one for each text its ordering expression gave, and what stops a lane.

A lane's rows stand by when they arrived by the database's clock, which is one for all nodes; ids of two nodes need not
be. Lanes stand by a hash of scenario and key, because a claim looks at a bounded number of a team's lanes and begins
anywhere: among keys as people write them ("customer-1", "customer-2", ...) no place to begin would be fair.

An incomplete execution keeps the key its run had, so that only the later runs of that key wait for it. The key of a
scenario that runs one at a time as a whole is the empty text.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

_TABLES = """
ALTER TABLE shard.scenarios ADD COLUMN ordering_key text;
GRANT SELECT (ordering_key) ON shard.scenarios TO bridge_engine;
ALTER TABLE shard.incomplete_executions ADD COLUMN ordering_key text COLLATE "C";
UPDATE shard.incomplete_executions SET ordering_key = '' WHERE sequential;
CREATE INDEX incomplete_lanes ON shard.incomplete_executions (scenario_id, ordering_key)
    WHERE NOT resolved AND ordering_key IS NOT NULL;
ALTER TABLE shard.queue ADD COLUMN lane bigint
    GENERATED ALWAYS AS (hashtextextended(ordering_key, scenario_id)) STORED;
DROP INDEX shard.queue_lanes;
CREATE INDEX queue_lanes ON shard.queue
    (team_id, lane, scenario_id, ordering_key, (kind <> 'scenario.retry'), created_at, id)
    WHERE ordering_key IS NOT NULL;
"""

# The whole function of 0008; what differs is the part about lanes.
_CLAIM = """
CREATE OR REPLACE FUNCTION shard.claim(owner text, most integer, lease interval, cap integer, ageing interval)
RETURNS TABLE (id uuid, organization_id bigint, team_id bigint, scenario_id bigint, kind text, fence bigint,
               attempts smallint, reply_to text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS
$function$
#variable_conflict use_column
DECLARE
    window_teams constant integer := 200;
    window_lanes constant integer := 16;
    moment timestamptz;
    round bigint;
    latest bigint[];
    place bigint;
    wrapped boolean;
    scanned integer;
    room integer;
    seen record;
    head record;
    -- Teams with work that may begin, in the order of their turns.
    flow_team bigint[] := '{}';
    flow_stream integer[] := '{}';
    flow_step integer[] := '{}';
    flow_room integer[] := '{}';
    counts integer[] := '{0,0,0}';
    aged boolean[] := '{f,f,f}';
    last_seen bigint[] := '{-1,-1,-1,-1}';
    -- First rows of lanes.
    lane_id uuid[] := '{}';
    lane_team bigint[] := '{}';
    lane_stream integer[] := '{}';
    lane_room integer[] := '{}';
    lane_step integer[] := '{}';
    lane_ready timestamptz[] := '{}';
    lane_count integer;
    lane_place bigint;
    lane_scenario bigint;
    lane_key text;
    lane_start bigint;
    lane_wrapped boolean;
    chosen_ids uuid[];
    served bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('make_bridge.claim'));
    moment := clock_timestamp();
    SELECT t.turn, t.after INTO round, latest FROM shard.claim_turns t;

    FOR stream IN 0..2 LOOP
        place := latest[stream + 1];
        wrapped := false;
        scanned := 0;
        WHILE scanned < window_teams AND counts[stream + 1] < greatest(most, 32) LOOP
            SELECT q.team_id, q.ready_at INTO seen FROM shard.queue q
            WHERE q.class = stream AND q.team_id > place
              AND q.lease_until IS NULL AND q.ordering_key IS NULL AND q.kind <> 'incomplete.retry'
            ORDER BY q.class, q.team_id, q.ready_at, q.id LIMIT 1;
            IF NOT FOUND THEN
                EXIT WHEN wrapped OR latest[stream + 1] < 0;
                wrapped := true;
                place := -1;
                CONTINUE;
            END IF;
            EXIT WHEN wrapped AND seen.team_id > latest[stream + 1];
            place := seen.team_id;
            last_seen[stream + 1] := place;
            scanned := scanned + 1;
            CONTINUE WHEN seen.ready_at > moment;
            room := most;
            IF stream > 0 THEN
                SELECT cap - count(*) INTO room FROM (
                    SELECT FROM shard.queue q WHERE q.team_id = place AND q.lease_until IS NOT NULL LIMIT cap) held;
                CONTINUE WHEN room <= 0;
            END IF;
            flow_team := flow_team || place;
            flow_stream := flow_stream || stream;
            flow_step := flow_step || scanned;
            flow_room := flow_room || room;
            counts[stream + 1] := counts[stream + 1] + 1;
            aged[stream + 1] := aged[stream + 1] OR seen.ready_at + stream * ageing <= moment;
        END LOOP;
    END LOOP;

    place := latest[4];
    wrapped := false;
    scanned := 0;
    WHILE scanned < window_teams AND cardinality(lane_id) < greatest(most, 32) * 2 LOOP
        SELECT q.team_id INTO seen FROM shard.queue q
        WHERE q.ordering_key IS NOT NULL AND q.team_id > place
        ORDER BY q.team_id LIMIT 1;
        IF NOT FOUND THEN
            EXIT WHEN wrapped OR latest[4] < 0;
            wrapped := true;
            place := -1;
            CONTINUE;
        END IF;
        EXIT WHEN wrapped AND seen.team_id > latest[4];
        place := seen.team_id;
        last_seen[4] := place;
        scanned := scanned + 1;
        SELECT cap - count(*) INTO room FROM (
            SELECT FROM shard.queue q WHERE q.team_id = place AND q.lease_until IS NOT NULL LIMIT cap) held;
        -- A team with very many lanes is looked at from another place each time: none is forgotten behind blocked ones.
        -- Lanes stand in the order of a hash, so that the keys of one scenario are spread as evenly as scenarios are.
        lane_start := ((random() - 0.5) * 18446744073709549568.0)::bigint;
        lane_place := lane_start;
        lane_scenario := 0;
        lane_key := '';
        lane_wrapped := false;
        lane_count := 0;
        WHILE lane_count < window_lanes LOOP
            SELECT q.id, q.lane, q.scenario_id, q.ordering_key, q.class, q.ready_at, q.lease_until, q.kind INTO head
            FROM shard.queue q
            WHERE q.ordering_key IS NOT NULL AND q.team_id = place
              AND (q.lane, q.scenario_id, q.ordering_key) > (lane_place, lane_scenario, lane_key)
            ORDER BY q.team_id, q.lane, q.scenario_id, q.ordering_key, (q.kind <> 'scenario.retry'), q.created_at, q.id
            LIMIT 1;
            IF NOT FOUND THEN
                EXIT WHEN lane_wrapped;
                lane_wrapped := true;
                lane_place := -9223372036854775808;
                lane_scenario := 0;
                lane_key := '';
                CONTINUE;
            END IF;
            EXIT WHEN lane_wrapped AND head.lane >= lane_start;
            lane_place := head.lane;
            lane_scenario := head.scenario_id;
            lane_key := head.ordering_key;
            lane_count := lane_count + 1;
            CONTINUE WHEN head.lease_until IS NOT NULL OR head.ready_at > moment OR (head.class > 0 AND room <= 0);
            CONTINUE WHEN EXISTS (SELECT FROM shard.queue o WHERE o.scenario_id = head.scenario_id
                                  AND o.ordering_key = head.ordering_key AND o.holds_slot);
            -- In the order of a whole scenario any record stops it; in that of a key those of the key do.
            CONTINUE WHEN head.kind <> 'scenario.retry' AND head.ordering_key = '' AND EXISTS (
                SELECT FROM shard.incomplete_executions u WHERE u.scenario_id = head.scenario_id AND NOT u.resolved);
            CONTINUE WHEN head.kind <> 'scenario.retry' AND head.ordering_key <> '' AND EXISTS (
                SELECT FROM shard.incomplete_executions u
                WHERE u.scenario_id = head.scenario_id AND u.ordering_key = head.ordering_key AND NOT u.resolved);
            lane_id := lane_id || head.id;
            lane_team := lane_team || place;
            lane_stream := lane_stream || least(head.class, 2)::integer;
            lane_room := lane_room || room;
            lane_step := lane_step || scanned;
            lane_ready := lane_ready || head.ready_at;
        END LOOP;
    END LOOP;

    WITH candidate AS (
        SELECT first.id, f.team, f.stream, f.step, f.room, first.ready_at, true AS is_flow
        FROM unnest(flow_team, flow_stream, flow_step, flow_room) AS f(team, stream, step, room)
        CROSS JOIN LATERAL (
            SELECT q.id, q.ready_at FROM shard.queue q
            WHERE q.class = f.stream AND q.team_id = f.team AND q.ready_at <= moment
              AND q.lease_until IS NULL AND q.ordering_key IS NULL AND q.kind <> 'incomplete.retry'
            ORDER BY q.class, q.team_id, q.ready_at, q.id
            LIMIT least(f.room, (most + counts[f.stream + 1] - 1) / counts[f.stream + 1] * 2)) AS first
        UNION ALL
        SELECT l.id, l.team, l.stream, l.step, l.room, l.ready_at, false
        FROM unnest(lane_id, lane_team, lane_stream, lane_step, lane_room, lane_ready)
            AS l(id, team, stream, step, room, ready_at)
        UNION ALL
        (SELECT q.id, q.team_id, 2, 1, most, q.ready_at, false FROM shard.queue q
         WHERE q.lease_until IS NULL AND q.kind = 'incomplete.retry' AND q.ready_at <= moment
         ORDER BY q.ready_at, q.id LIMIT most)
    ), aged_ones AS (
        SELECT c.*, CASE WHEN c.ready_at + c.stream * ageing <= moment THEN 0 ELSE c.stream END AS level,
               c.ready_at + c.stream * ageing AS due
        FROM candidate c
    ), ranked AS (
        SELECT a.*, row_number() OVER (PARTITION BY team, level ORDER BY due, id) AS rank,
               row_number() OVER (PARTITION BY team, stream = 0 ORDER BY level, due, id) AS taken
        FROM aged_ones a
    ), turns AS (
        SELECT r.*, dense_rank() OVER (PARTITION BY level, stream, rank ORDER BY is_flow DESC, step) AS place
        FROM ranked r WHERE r.stream = 0 OR r.taken <= r.room
    ), chosen AS (
        SELECT t.*, row_number() OVER (ORDER BY level, rank, place, (stream + round) % 3, id) AS n
        FROM turns t ORDER BY level, rank, place, (stream + round) % 3, id LIMIT most
    )
    SELECT array_agg(c.id),
           ARRAY[(array_agg(c.team ORDER BY c.n DESC) FILTER (WHERE c.is_flow AND c.stream = 0))[1],
                 (array_agg(c.team ORDER BY c.n DESC) FILTER (WHERE c.is_flow AND c.stream = 1))[1],
                 (array_agg(c.team ORDER BY c.n DESC) FILTER (WHERE c.is_flow AND c.stream = 2))[1]]
    INTO chosen_ids, served FROM chosen c;

    -- A class that was not served goes on behind the teams it has shown, unless one of them has waited too long.
    FOR stream IN 0..2 LOOP
        IF served[stream + 1] IS NOT NULL THEN
            latest[stream + 1] := served[stream + 1];
        ELSIF last_seen[stream + 1] >= 0 AND NOT aged[stream + 1] THEN
            latest[stream + 1] := last_seen[stream + 1];
        END IF;
    END LOOP;
    IF last_seen[4] >= 0 THEN
        latest[4] := last_seen[4];
    END IF;
    IF chosen_ids IS NULL AND last_seen = '{-1,-1,-1,-1}' THEN
        RETURN;
    END IF;
    UPDATE shard.claim_turns t SET turn = t.turn + 1, after = latest;
    RETURN QUERY
    WITH locked AS MATERIALIZED (
        SELECT q.id FROM shard.queue q
        WHERE q.id = ANY(chosen_ids) AND q.lease_until IS NULL AND q.ready_at <= moment
        FOR UPDATE SKIP LOCKED
    )
    UPDATE shard.queue q
    SET lease_owner = claim.owner, lease_until = moment + lease, fence = q.fence + 1, attempts = q.attempts + 1,
        holds_slot = q.ordering_key IS NOT NULL
    FROM locked l WHERE q.id = l.id
    RETURNING q.id, q.organization_id, q.team_id, q.scenario_id, q.kind, q.fence, q.attempts, q.reply_to;
END
$function$;
"""


def upgrade() -> None:
    """Add the columns, exchange the index and the function."""
    op.execute(_TABLES)
    op.execute(_CLAIM)
