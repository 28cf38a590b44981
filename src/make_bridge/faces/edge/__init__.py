"""The edge: what every request passes, in one order, before a face sees it."""
