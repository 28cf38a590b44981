#!/usr/bin/env bash
# Make .venv hold exactly what the locks say, and the project itself. Called by `make setup`; safe to run again.
#
# pip brings uv, by hash; uv brings the rest, by hash. Where uv cannot reach an index that pip is set up for (pip reads
# its own configuration, uv does not), pip does the whole work, only slower.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/node.sh

venv=.venv
say() { echo "· $*"; }
fail() { echo "✗ $*" >&2; exit 1; }

# `python3.13` may be a shim that knows no 3.13, so each candidate has to run before it counts.
find_python() {
    local candidate
    for candidate in python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

make_environment() {
    local python
    python=$(find_python) || fail "No Python 3.11 or newer was found. Install one (Debian: apt-get install python3 python3-venv) and repeat."
    say "making $venv with $("$python" --version)"
    rm -rf "$venv"
    if "$python" -m venv "$venv" >/dev/null 2>&1; then return; fi
    rm -rf "$venv"
    if "$python" -m virtualenv --quiet "$venv" >/dev/null 2>&1; then return; fi
    rm -rf "$venv"
    if command -v uv >/dev/null && uv venv --quiet --seed --python "$python" "$venv"; then return; fi
    rm -rf "$venv"
    fail "$python cannot make virtual environments: it has no ensurepip. Install python3-venv (Debian: apt-get install python3-venv) or virtualenv and repeat."
}

# An environment knows its own path: one that was copied or moved here with its folder is made anew.
usable() {
    [ "$(cat "$venv/.home" 2>/dev/null)" = "$(pwd -P)" ] &&
        "$venv/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if ! usable; then
    make_environment
    pwd -P >"$venv/.home"
fi

export PIP_DISABLE_PIP_VERSION_CHECK=1
locks=(requirements/dev.txt)
if ! node_is_new_enough; then
    say "no Node that web/ builds with on this machine: taking one from requirements/node.txt"
    locks+=(requirements/node.txt)
fi

# The content decides, not the time: a fresh checkout of the same locks installs nothing.
wanted=$(cat "${locks[@]}" | sha256sum)
if [ "$(cat "$venv/.locks" 2>/dev/null)" != "$wanted" ]; then
    say "installing uv"
    "$venv/bin/python" -m pip install --quiet --require-hashes --requirement requirements/bootstrap.txt
    say "installing $(cat "${locks[@]}" | grep -c '^[a-z].*==') packages from ${locks[*]}"
    if ! "$venv/bin/uv" pip sync --quiet --python "$venv/bin/python" --require-hashes "${locks[@]}"; then
        say "uv could not; trying with pip"
        "$venv/bin/python" -m pip install --quiet --require-hashes "${locks[@]/#/--requirement=}"
    fi
    echo "$wanted" >"$venv/.locks"
fi

say "installing make-bridge from src/"
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
say "ready: $venv ($("$venv/bin/python" --version))"
