"""Which shards there are, which of them an organization lives on, and how it comes to another."""
