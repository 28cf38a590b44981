"""Custom functions: JavaScript of a team, which expressions call by its name."""
