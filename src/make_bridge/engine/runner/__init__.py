"""Runs programs: one call of `run.run` is one execution of a scenario."""
