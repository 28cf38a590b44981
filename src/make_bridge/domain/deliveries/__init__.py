"""Outbound webhooks: an organization's own endpoints are told of its events, signed, and at least once."""
