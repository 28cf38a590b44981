"""Data structures: what the records of data stores, and texts of some modules, hold."""
