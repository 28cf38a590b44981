"""What can be asked of hooks' rules for their callers, and what happens to them."""

from dataclasses import field
from typing import Any, ClassVar

import msgspec

from make_bridge.domain.scenarios.inbound import DedupeRule
from make_bridge.domain.scenarios.signatures import SignatureRule
from make_bridge.kernel.ids import HookId, ScenarioId, TeamId
from make_bridge.kernel.messages import Command, Event, Query, message


@message
class HookFacts:
    """A hook as it is shown; ``secrets`` says how many there are, and ``token`` is what its address ends with.

    Whoever knows the address may start the scenario, so it is told to those who may write scenarios, and else empty.
    """

    id: HookId
    team_id: TeamId
    name: str
    type_name: str
    scenario_id: ScenarioId | None
    enabled: bool
    headers: bool
    method: bool | str
    stringify: bool
    signature: SignatureRule | None
    secrets: int
    dedupe: DedupeRule | None
    is_learning: bool = False
    token: str = ""
    interface: list[dict[str, Any]] | None = None
    """What it has learned that its calls hold; of one hook only, and None before the first call it learned from."""

    def __repr__(self) -> str:
        """Show no secret."""
        return f"HookFacts({self.id})"


@message
class ListHooks(Query[list[HookFacts]]):
    """The hooks of one team, by their ids."""

    team_id: TeamId


@message
class DescribeHook(Query[HookFacts]):
    """One hook."""

    hook_id: HookId


@message
class EditHook(Command[HookFacts]):
    """Change a hook, and what it asks of its callers. What is UNSET stays; None takes a rule away.

    ``data`` says how a call is presented (``headers``, ``method``, ``stringify``), and ``learning``. The rule of a
    signature carries its secrets in the clear; one without any keeps those of the same scheme.
    """

    hook_id: HookId
    name: str | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    data: dict[str, bool] = field(default_factory=dict)
    signature: SignatureRule | msgspec.UnsetType | None = msgspec.UNSET
    dedupe: DedupeRule | msgspec.UnsetType | None = msgspec.UNSET

    def __repr__(self) -> str:
        """Show no secret."""
        return f"EditHook({self.hook_id})"


@message
class DeleteHook(Command[None]):
    """Remove a hook that no scenario has."""

    hook_id: HookId


@message
class HookEdited(Event):
    """A hook asks something else of its callers."""

    wire_name: ClassVar[str] = "hook.edited.v1"
    hook_id: int
    scenario_id: int | None
