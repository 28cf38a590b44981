"""Where log lines go: a port, what carries lines there beside requests, and one adapter for each kind of place."""
