"""The integrator's end users and their teams."""
