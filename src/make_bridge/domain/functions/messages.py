"""What can be asked of custom functions."""

from datetime import datetime
from typing import NewType

from make_bridge.kernel.ids import ScenarioId, TeamId
from make_bridge.kernel.messages import Command, Query, message

FunctionId = NewType("FunctionId", int)


@message
class Author:
    """Who wrote something, as far as it can be told; an API token has the name it was given."""

    id: int
    name: str
    email: str


@message
class CheckedCode:
    """Code that the parser has taken as one function declaration; made by ``checking.CodeChecks`` alone."""

    code: str
    name: str
    args: str


@message
class Use:
    """A scenario whose blueprint calls the function."""

    id: ScenarioId
    name: str


@message
class CustomFunction:
    """A function; ``scenarios`` is empty where nobody looked."""

    id: FunctionId
    team_id: TeamId
    name: str
    args: str
    description: str
    code: str
    author: Author
    created_at: datetime
    updated_at: datetime
    scenarios: tuple[Use, ...] = ()


@message
class Change:
    """What a function's code was before a change."""

    id: int
    previous_code: str
    updated_at: datetime
    updated_by: str


@message
class CreateFunction(Command[CustomFunction]):
    """Add a function to a team; its name is the one that its code declares."""

    team_id: TeamId
    name: str
    description: str
    code: CheckedCode
    author: Author


@message
class UpdateFunction(Command[CustomFunction]):
    """Change a function; None stays as it is. Runs under way go on with the code they began with."""

    function_id: FunctionId
    description: str | None
    code: CheckedCode | None
    author: Author


@message
class DeleteFunction(Command[None]):
    """Remove a function; scenarios that call it fail there."""

    function_id: FunctionId


@message
class ListFunctions(Query[list[CustomFunction]]):
    """A team's functions."""

    team_id: TeamId


@message
class GetFunction(Query[CustomFunction]):
    """One function, with the scenarios that call it."""

    function_id: FunctionId


@message
class GetFunctionHistory(Query[list[Change]]):
    """The changes of a function's code, newest first."""

    function_id: FunctionId
