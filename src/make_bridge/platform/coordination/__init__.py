"""Who does what only one may do."""
