"""What can be asked of connections and keys."""

from make_bridge.kernel.ids import ComponentId, TeamId
from make_bridge.kernel.messages import Command, Query, message


@message
class Component:
    """A connection or a key, without its secret."""

    id: ComponentId
    team_id: TeamId
    kind: str
    type: str
    name: str
    state: str = "active"
    """``active``; where a person agrees at a provider ``pending`` before that, ``needs_consent`` when it is lost."""


@message
class CreateComponent(Command[Component]):
    """Store credentials, sealed; ``values`` are checked against the type's own description."""

    team_id: TeamId
    kind: str
    type: str
    name: str
    values: dict[str, object]

    def __repr__(self) -> str:
        """Show no secret."""
        return f"CreateComponent({self.kind}:{self.type})"


@message
class EditComponent(Command[Component]):
    """Rename a connection or key, or give it other values; what is absent of either stays."""

    component_id: ComponentId
    name: str | None = None
    values: dict[str, object] | None = None

    def __repr__(self) -> str:
        """Show no secret."""
        return f"EditComponent({self.component_id})"


@message
class DeleteComponent(Command[None]):
    """Remove a connection or key; scenarios that use it will say so when they run."""

    component_id: ComponentId


@message
class ListComponents(Query[list[Component]]):
    """A team's connections or keys."""

    team_id: TeamId
    kind: str | None = None
    type: str | None = None


@message
class GetComponent(Query[Component]):
    """One connection, or one key."""

    component_id: ComponentId
    kind: str


@message
class VerifyConnection(Query[bool]):
    """Whether a connection's credentials are good; only those to this server's own API can be looked at."""

    component_id: ComponentId
