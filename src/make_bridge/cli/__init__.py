"""The command ``make-bridge``: one file per family of commands, each thin over ``boot`` and the domain.

Every command prints a table for people and, with ``--json``, one JSON document for programs. An error
is one sentence on standard error and a non-zero status; a trace would help nobody at a prompt.
"""

from make_bridge.cli.application import app

__all__ = ["app"]
