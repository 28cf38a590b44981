#!/bin/bash
# The standby's entry point: the first time it copies the server, afterwards it follows it. It takes over when somebody
# says so (pg_ctl promote), never by itself: two servers that both write would be worse than none.
set -euo pipefail

umask 077
printf 'postgres:5432:*:replication:%s\n' "$(cat /run/secrets/replication.password)" >/tmp/pgpass
export PGPASSFILE=/tmp/pgpass PGDATA=${PGDATA:-/var/lib/postgresql/data}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # A copy that broke off is done again from the start.
    find "$PGDATA" -mindepth 1 -delete
    pg_basebackup --host=postgres --username=replication --no-password --pgdata="$PGDATA" --slot=standby \
        --wal-method=stream --write-recovery-conf --checkpoint=fast
fi
exec postgres -c hot_standby=on -c max_connections=200 \
    -c primary_conninfo="host=postgres user=replication passfile=$PGPASSFILE application_name=standby"
