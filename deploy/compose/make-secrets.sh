#!/usr/bin/env bash
# Write every secret of compose.yaml into ./secrets, once: files that are there are left alone. Called by hand before the
# first start, as root, because each file belongs to the one user inside its container who may read it.
#
# A certificate is not made here: put tls.crt (with those it was signed by) and tls.key beside the others first.
set -euo pipefail
umask 077
folder=${1:-$(cd "$(dirname "$0")" && pwd)/secrets}
mkdir -p "$folder"
cd "$folder"

fail() { echo "✗ $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || fail "Run this as root: the files have to belong to the users inside the containers."
command -v openssl >/dev/null || fail "openssl is missing. Install it (Debian: apt-get install openssl) and repeat."

random() { [ -s "$1" ] || openssl rand -hex 32 >"$1"; } # random FILE
made() { # made FILE: whole or not at all
    cat >"$1.new"
    mv "$1.new" "$1"
}

for file in root.key metrics.token postgres.password owner.password serving.password replication.password \
    redis.password redis-health.password grafana.password; do
    random "$file"
done
# The same token, for the one user of Prometheus to read.
cp --no-preserve=all metrics.token prometheus.token

digest() { printf %s "$(cat "$1")" | openssl dgst -sha256 -r | cut -d' ' -f1; }
[ -s redis.acl ] || made redis.acl <<END
user default off
user health on #$(digest redis-health.password) resetkeys resetchannels -@all +ping
user bridge on #$(digest redis.password) ~make-bridge:* resetchannels +@all -@admin -@dangerous +info
END
[ -s bridge.toml ] || made bridge.toml <<END
database_url = "postgresql://bridge:$(cat serving.password)@postgres:5432/bridge"
redis_url = "redis://bridge:$(cat redis.password)@redis:6379/0"
root_key_file = "/run/secrets/root.key"
END
[ -s migrate.toml ] || made migrate.toml <<END
database_url = "postgresql://bridge_owner:$(cat owner.password)@postgres:5432/bridge"
root_key_file = "/run/secrets/root.key"
END

# Containers see a file as it lies here: its owner is the user who reads it there, and nobody else reads it.
own() { # own UID FILE…
    local user=$1 file
    shift
    for file; do
        if [ -e "$file" ]; then chown "$user:$user" "$file" && chmod 0400 "$file"; fi
    done
}
own 10001 bridge.toml migrate.toml root.key metrics.token
own 999 postgres.password owner.password serving.password replication.password redis.acl redis-health.password
own 101 tls.crt tls.key
own 65534 prometheus.token
own 472 grafana.password
own 0 redis.password
for file in tls.crt tls.key; do
    [ -s "$file" ] || echo "· $folder/$file is still missing: put your certificate there and run this again"
done
echo "· the secrets are in $folder; keep a copy of root.key apart from the backups"
