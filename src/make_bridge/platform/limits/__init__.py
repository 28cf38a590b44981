"""Rate limits: how often something may happen, and how long to wait when it happened too often."""
