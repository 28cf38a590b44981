"""Webhooks in: the one face that anybody in the world may call."""
