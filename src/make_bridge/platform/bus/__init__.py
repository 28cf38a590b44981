"""Command and query buses: the one door into the domain."""
