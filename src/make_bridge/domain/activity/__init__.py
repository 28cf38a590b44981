"""What happened in an organization: its events to be read again, and how many there were of each kind."""
