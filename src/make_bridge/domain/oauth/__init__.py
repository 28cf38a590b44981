"""OAuth 2.0: applications at providers, consent of people, and tokens that are renewed in time."""
