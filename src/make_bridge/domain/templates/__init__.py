"""Templates, their controllers and their immutable published versions."""
