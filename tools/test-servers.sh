#!/usr/bin/env bash
# Bring the servers the tests talk to and the wheels do not carry. Called by `make test`; does nothing when all is there.
#
# It never fails: a test whose server is missing is skipped by name in the closing summary (tests/conftest.py), and
# only CI treats that as a failure. Packages are installed when this is Debian and we are root, within a few minutes.
set -uo pipefail

say() { echo "· $*"; }

# What counts as present must agree with SERVERS in tests/conftest.py.
has_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
has_nginx() { command -v nginx || test -x /usr/sbin/nginx; }
has_libfaketime() { ls /usr/lib/*/faketime/libfaketime.so.1; }
has_prometheus() { command -v prometheus && command -v promtool; }
has_redis() { command -v redis-server || command -v valkey-server; }
has_zookeeper() { test -x /usr/share/zookeeper/bin/zkServer.sh; }
has_postgresql_15() { test -x /usr/lib/postgresql/15/bin/postgres; }

missing=()
has_chromium >/dev/null || missing+=(chromium)
has_nginx >/dev/null || missing+=(nginx)
has_postgresql_15 || missing+=(postgresql-15)
has_prometheus >/dev/null || missing+=(prometheus)
has_redis >/dev/null || missing+=(redis-server)
has_libfaketime >/dev/null 2>&1 || missing+=(libfaketime)
has_zookeeper || missing+=(zookeeper)
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

say "missing for the tests: ${missing[*]}"
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    say "not root on a Debian machine: the tests that need them will be skipped by name"
    exit 0
fi

# The tests start servers of their own; the package must not start one, nor claim port 5432.
if [[ " ${missing[*]} " == *" postgresql-15 "* ]]; then
    configuration=/etc/postgresql-common/createcluster.conf
    mkdir -p "${configuration%/*}"
    touch "$configuration"
    sed -i '/^[# ]*create_main_cluster *=/d' "$configuration"
    echo 'create_main_cluster = false' >>"$configuration"
fi

# Nor may nginx, Prometheus or Redis be started by its package: one that is there already is left as it is.
policy=/usr/sbin/policy-rc.d
if [[ " ${missing[*]} " =~ " nginx "|" prometheus "|" redis-server " ]] && [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
patience=(-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=60)
say "apt-get update"
timeout 90 apt-get "${patience[@]}" -qq update || say "apt-get update did not finish; trying with what is known"
# One by one, so that a package this release does not have costs only its own tests.
for package in "${missing[@]}"; do
    say "apt-get install $package"
    if timeout 240 apt-get "${patience[@]}" -o Dpkg::Options::=--force-confold -qq install --yes \
        --no-install-recommends "$package" >/dev/null; then
        say "$package is there"
    else
        say "$package could not be installed: the tests that need it will be skipped by name"
    fi
done
exit 0
