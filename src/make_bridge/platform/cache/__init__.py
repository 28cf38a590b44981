"""Caches: the near one inside a process."""
