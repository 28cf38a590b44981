"""The other processes of an installation, as a gateway sees them: which there are, which to ask, and asking."""
