"""Organizations move to other shards while they work: a guard, a log of changes, and events that were told elsewhere.

``movements`` has a row for each organization that leaves, has left or arrives; only the owner of the database reads it.
The two functions are called by triggers which the mover lays on the tables of a shard for these organizations alone
(``platform/sharding/moving_guard.py``): a shard that nobody leaves has no trigger, and none of its writes costs more.

A write takes the organization's row shared until it commits, and closing the organization changes that row: so it waits
for every write that is under way and lets none begin. What many processes do for all organizations at once (claims,
sweeps, stamps) passes such rows by; what one tenant's request or run writes is told that it is in the wrong place.

Events that were told before their organization came keep their positions, which its readers remember, and are told to
nobody here.
"""

from alembic import op

revision = "0027"
down_revision = "0026"

_TABLES = """
CREATE TABLE shard.movements (
    organization_id bigint PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('leaving', 'closed', 'left', 'arriving')),
    fence bigint NOT NULL,
    closed_until timestamptz,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE shard.movement_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id bigint NOT NULL,
    relation text NOT NULL,
    key text[] NOT NULL
);
CREATE INDEX movement_changes_organization ON shard.movement_changes (organization_id, id);
ALTER TABLE shard.movements ENABLE ROW LEVEL SECURITY;
ALTER TABLE shard.movement_changes ENABLE ROW LEVEL SECURITY;

ALTER TABLE shard.outbox ADD COLUMN is_history boolean NOT NULL DEFAULT false;
DROP INDEX shard.outbox_position;
CREATE UNIQUE INDEX outbox_position ON shard.outbox (position) WHERE position IS NOT NULL AND NOT is_history;
CREATE INDEX outbox_history ON shard.outbox (position) WHERE is_history;
"""

_GUARD = """
CREATE FUNCTION shard.moving_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
DECLARE
    owner bigint;
    movement record;
BEGIN
    IF TG_OP = 'INSERT' THEN owner := NEW.organization_id; ELSE owner := OLD.organization_id; END IF;
    IF current_setting('make_bridge.mover', true) = owner::text THEN
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        RETURN NEW;
    END IF;
    SELECT m.state, m.closed_until INTO movement FROM shard.movements m WHERE m.organization_id = owner FOR SHARE;
    IF NOT FOUND OR movement.state = 'leaving'
       OR (movement.state = 'closed' AND movement.closed_until <= clock_timestamp()) THEN
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        RETURN NEW;
    END IF;
    IF movement.state = 'arriving' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' AND TG_ARGV[0] = 'queue' THEN
        -- Claims, sweeps and what is handed back raise the fence; whoever holds the row has to learn where it went.
        IF NEW.fence <> OLD.fence THEN RETURN NULL; END IF;
    ELSIF TG_OP <> 'INSERT' AND TG_ARGV[0] <> 'queue' AND current_setting('role') = 'bridge_engine' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'MB001', MESSAGE = 'the organization lives on another shard, or moves there',
        DETAIL = owner::text;
END
$function$;
REVOKE ALL ON FUNCTION shard.moving_guard() FROM PUBLIC;

CREATE FUNCTION shard.moving_log() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
DECLARE
    owner bigint;
    key text[];
BEGIN
    IF TG_OP = 'DELETE' THEN
        owner := OLD.organization_id;
        EXECUTE 'SELECT ' || TG_ARGV[1] INTO key USING OLD;
    ELSE
        owner := NEW.organization_id;
        EXECUTE 'SELECT ' || TG_ARGV[1] INTO key USING NEW;
    END IF;
    IF current_setting('make_bridge.mover', true) = owner::text THEN
        RETURN NULL;
    END IF;
    INSERT INTO shard.movement_changes (organization_id, relation, key) VALUES (owner, TG_ARGV[0], key);
    RETURN NULL;
END
$function$;
REVOKE ALL ON FUNCTION shard.moving_log() FROM PUBLIC;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    op.execute(_GUARD)
