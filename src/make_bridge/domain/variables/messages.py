"""What can be asked of custom variables. Without a team they are the organization's."""

from datetime import datetime
from typing import Literal

from make_bridge.kernel.ids import TeamId
from make_bridge.kernel.messages import Command, Query, message

Scalar = bool | int | float | str
Act = Literal["create", "update", "delete"]


@message
class Variable:
    """A variable; a date is a text in ISO 8601. One of the system is read like the others, and nobody changes it."""

    team_id: TeamId | None
    name: str
    type_id: int
    value: Scalar
    is_system: bool = False


@message
class CreateVariable(Command[Variable]):
    """Name a value."""

    team_id: TeamId | None
    name: str
    type_id: int
    value: Scalar


@message
class ChangeVariable(Command[Variable]):
    """Give a variable another value, or another type that its value fits; None stays."""

    team_id: TeamId | None
    name: str
    type_id: int | None = None
    value: Scalar | None = None


@message
class DeleteVariable(Command[None]):
    """Take a variable away; what reads it finds nothing from then on."""

    team_id: TeamId | None
    name: str


@message
class ListVariables(Query[list[Variable]]):
    """The variables of the organization, or of one team, by name; those of the system first."""

    team_id: TeamId | None


@message
class Held:
    """What a variable held."""

    type_id: int
    value: Scalar


@message
class VariableChange:
    """One change of a variable: who did what, and what it held before and after."""

    id: int
    action: Act
    before: Held | None
    after: Held | None
    actor_kind: str
    actor: str
    changed_at: datetime


@message
class ListVariableChanges(Query[list[VariableChange]]):
    """What became of a variable, newest first; also of one that is gone."""

    team_id: TeamId | None
    name: str
