#!/usr/bin/env bash
# Run npm in web/ with the machine's Node when it is new enough, else with the one that `make setup` put into .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/node.sh

if ! node_is_new_enough; then
    PATH="$PWD/.venv/bin:$PATH"
    export PATH
fi
cd web
exec npm "$@"
