"""The integrators: their keys, tokens, origins and placement (directory)."""
