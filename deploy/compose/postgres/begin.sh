#!/bin/bash
# Called once by the PostgreSQL image, when it has made an empty server: the roles, their passwords, the database, and who
# may follow as a standby. Passwords come from files and go in through standard input, never through arguments.
set -euo pipefail

secret() { cat "${SECRETS:-/run/secrets}/$1.password"; }
{
    cat "${ROLES:-/docker-entrypoint-roles}/roles.sql"
    printf "ALTER ROLE bridge_owner PASSWORD '%s';\n" "$(secret owner)"
    printf "ALTER ROLE bridge PASSWORD '%s';\n" "$(secret serving)"
    printf "CREATE ROLE replication LOGIN REPLICATION PASSWORD '%s';\n" "$(secret replication)"
    echo "SELECT pg_create_physical_replication_slot('standby');"
    echo "CREATE DATABASE bridge OWNER bridge_owner TEMPLATE template0 ENCODING 'UTF8';"
} | psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username postgres --dbname postgres --output /dev/null
echo "host replication replication all scram-sha-256" >>"$PGDATA/pg_hba.conf"
