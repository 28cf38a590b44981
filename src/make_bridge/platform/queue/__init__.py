"""The queue on PostgreSQL: group commit, claiming, leases with fencing, the sweep."""
