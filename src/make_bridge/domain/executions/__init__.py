"""Executions: accept, claim, run, settle, and their logs."""
