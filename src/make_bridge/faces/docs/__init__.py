"""The description of both APIs as a page to read and to try."""
