# Sourced by bootstrap.sh and npm.sh, so that both agree: is the machine's Node one that web/ builds with?
# The versions are those of "engines" in web/package.json.
# shellcheck shell=bash

node_is_new_enough() {
    local major minor
    IFS=. read -r major minor _ < <(node --version 2>/dev/null) || return 1
    major=${major#v}
    case $major in
    '' | *[!0-9]*) return 1 ;;
    20) [ "$minor" -ge 19 ] ;;
    22) [ "$minor" -ge 12 ] ;;
    *) [ "$major" -gt 22 ] ;;
    esac && command -v npm >/dev/null
}
