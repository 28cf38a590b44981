"""Attacks on the product. A package as `acceptance` is, and for the same reason: what is served for it ends with it."""
