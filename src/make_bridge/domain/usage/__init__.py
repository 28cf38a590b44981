"""What was used, what may be used in a month, and what is over its limit."""
