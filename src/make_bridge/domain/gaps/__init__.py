"""Webhooks that fall silent, schedules that are late."""
