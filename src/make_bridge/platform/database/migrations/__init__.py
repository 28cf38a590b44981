"""The two migration trees: ``directory`` (who exists and where) and ``shard`` (what a tenant owns)."""
