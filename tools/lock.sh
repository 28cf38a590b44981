#!/usr/bin/env bash
# Compile the locks in requirements/ from pyproject.toml. Called by `make lock`; give `--upgrade` for newer versions.
#
# One lock serves every supported Python and machine (--universal). Hashes are in, index addresses are out: an
# installation takes the packages from whatever index the machine is set up for and checks them by content.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() { # compile <lock> <arguments of uv pip compile…>
    local lock="requirements/$1.txt"
    shift
    echo "· compiling $lock"
    .venv/bin/uv pip compile "$@" --output-file "$lock" --quiet --custom-compile-command "make lock" --universal --python-version 3.11 \
        --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links
}

compile runtime pyproject.toml "${@}"
# The others are held to what the server runs with, so that tests meet the same versions.
compile dev pyproject.toml --group dev --constraints requirements/runtime.txt "${@}"
compile build --group build --constraints requirements/dev.txt "${@}"
compile bootstrap --group bootstrap --constraints requirements/dev.txt "${@}"
compile node --group node "${@}"
compile audit --group audit "${@}"
