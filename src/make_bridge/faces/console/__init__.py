"""The console: pages for people of an organization, and the API those pages call, below ``/console``."""
