"""Scenarios, their blueprints and their hooks."""
