#!/usr/bin/env bash
# Ask the advisories about everything the locks name, or write bills of materials. Called by `make audit`, `make sbom`
# and `make check`; the two programs for it live in an environment of their own, .venv/audit.
set -euo pipefail
cd "$(dirname "$0")/.."

env=.venv/audit
wanted=$(sha256sum <requirements/audit.txt)
if [ "$(cat "$env/.lock" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$env"
    .venv/bin/python -m venv --without-pip "$env"
    if ! .venv/bin/uv pip sync --quiet --python "$env/bin/python" --require-hashes requirements/audit.txt 2>/dev/null; then
        # uv does not read pip's configuration; see tools/bootstrap.sh.
        .venv/bin/python -m pip --python "$env/bin/python" install --quiet --disable-pip-version-check \
            --require-hashes --requirement requirements/audit.txt 2>/dev/null
    fi
    echo "$wanted" >"$env/.lock"
fi
exec .venv/bin/python tools/audit.py "$@"
