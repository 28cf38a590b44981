"""OAuth consent: where a browser begins, and where providers send it back."""
