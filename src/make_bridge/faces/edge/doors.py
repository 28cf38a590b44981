"""Where the routes of the token-protected APIs lead in this process: to what it serves itself, or to another process.

The tables of the faces name a role for each of their parts and ask the doors for the gate and the kind of route. A
process that the world calls asks for credentials (``OpenDoors``) and may hand on what others serve
(``faces/internal/forwarding``); one that only a gateway calls believes the gateway (``faces/internal/receiving``).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from fastapi.routing import APIRoute

from make_bridge.faces.edge.access import Gate
from make_bridge.faces.edge.gates import Access
from make_bridge.kernel.roles import Role

MakeGate = Callable[[Access], Gate]
MakeRoute = Callable[..., APIRoute]


class Doors(ABC):
    """See the module."""

    @abstractmethod
    def serves(self, role: Role) -> bool:
        """Say whether this process has routes for the role at all, its own or such as lead on."""

    @abstractmethod
    def open(self, access: Access, role: Role) -> tuple[Gate, MakeRoute]:
        """Return the gate of one route, and what makes the route."""


class OpenDoors(Doors):
    """Everything is served here, to whoever has credentials."""

    def __init__(self, gate: MakeGate) -> None:
        """``gate`` asks for credentials."""
        self._gate = gate

    def serves(self, role: Role) -> bool:  # noqa: ARG002 - every one
        """Say yes."""
        return True

    def open(self, access: Access, role: Role) -> tuple[Gate, MakeRoute]:  # noqa: ARG002 - every one
        """Return a plain route behind the gate."""
        return self._gate(access), APIRoute
