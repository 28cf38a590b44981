"""Caches: the near one inside a process, the far one that servers share in Redis, and both behind each other."""
