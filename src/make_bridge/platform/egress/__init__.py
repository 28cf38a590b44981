"""Egress: the one way out. No request of a scenario, hook or OAuth flow leaves by another."""
