"""Connections and keys: sealed credentials of a team."""
