"""kazoo's own words."""
