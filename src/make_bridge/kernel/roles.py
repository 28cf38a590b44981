"""The services of an installation, as roles that one process or many take on.

``serve`` takes all of them; ``serve --roles`` some. A role chooses routes and loops, never code: every process carries
the whole domain and commits locally. Only the gateway is called by the world and hands requests on.
"""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """One service."""

    GATEWAY = "gateway"
    """What the world calls: the edge, webhooks, the pages; hands on what others serve."""
    BRIDGE = "bridge"
    """Flows, customers, people, connections, and whatever of the APIs belongs to no other role."""
    TEMPLATES = "templates"
    SCENARIOS = "scenarios"
    """Scenarios, their runs and what came of them."""
    WORKER = "worker"
    """No routes: it carries out what waits, by the clock or in the queue."""


ALL_ROLES: Final = frozenset(Role)
FORWARDED: Final = frozenset({Role.BRIDGE, Role.TEMPLATES, Role.SCENARIOS})
"""The roles whose routes a gateway hands on when another process has them."""
