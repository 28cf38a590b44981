"""What can be asked of hooks' rules for their callers, and what happens to them."""

from typing import ClassVar

import msgspec

from make_bridge.domain.scenarios.inbound import DedupeRule
from make_bridge.domain.scenarios.signatures import SignatureRule
from make_bridge.kernel.ids import HookId, ScenarioId, TeamId
from make_bridge.kernel.messages import Command, Event, Query, message


@message
class HookFacts:
    """A hook as it is shown: neither its address nor a secret is in it; ``secrets`` says how many there are."""

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
    """Change what a hook asks of its callers. What is UNSET stays; None takes a rule away.

    The rule of a signature carries its secrets in the clear; one without any keeps those of the same scheme.
    """

    hook_id: HookId
    signature: SignatureRule | msgspec.UnsetType | None = msgspec.UNSET
    dedupe: DedupeRule | msgspec.UnsetType | None = msgspec.UNSET

    def __repr__(self) -> str:
        """Show no secret."""
        return f"EditHook({self.hook_id})"


@message
class HookEdited(Event):
    """A hook asks something else of its callers."""

    wire_name: ClassVar[str] = "hook.edited.v1"
    hook_id: int
    scenario_id: int | None
