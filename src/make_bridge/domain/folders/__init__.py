"""Folders: how a team sorts its scenarios."""
