"""Redis, where an installation has one: what servers share in passing, and nothing that may not be lost."""
