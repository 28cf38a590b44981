"""Tokens, sealed secrets and keys: pure functions over bytes; who may do what is decided elsewhere."""
