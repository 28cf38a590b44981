"""What a move is: its states in their order, its row, the numbers that bound it, and how it can end early.

``copying``: tables go over one by one, while a log keeps what changes. ``verifying``: counts and checksums of both
sides are equal. ``closing``: the organization takes no writes for a moment, the last changes go over. ``flipped``: it
lives at the target; the source keeps its rows for the time of grace. ``deleting``: they go, in batches. Whatever is
interrupted goes on from its state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from make_bridge.kernel.errors import Conflict
from make_bridge.kernel.ids import OrganizationId

State = Literal["copying", "verifying", "closing", "flipped", "deleting", "finished", "abandoned"]
FOLLOWING: Final[dict[State, tuple[State, ...]]] = {
    "copying": ("verifying", "abandoned"),
    "verifying": ("closing", "copying", "abandoned"),
    "closing": ("flipped", "copying", "abandoned"),
    "flipped": ("deleting",),
    "deleting": ("finished",),
    "finished": (),
    "abandoned": (),
}
"""The legal changes of state. Back to ``copying`` goes a move whose two sides were found to differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move as the directory has it; ``told`` is up to which event all consumers had come when it began."""

    id: int
    organization_id: OrganizationId
    source: int
    target: int
    state: State
    epoch: int
    copied: tuple[str, ...]
    told: int | None
    fence: int
    pause_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How all moves of the installation stand, by state, and for how many seconds writes have waited for them."""

    counts: Mapping[str, int]
    paused_seconds: float
    longest_pause: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingConfig:
    """Seconds, and numbers of rows. ``pause`` is for how long writes of an organization are refused at most.

    ``at_once`` is how many of several organizations move side by side.
    """

    owner: str
    pause: float = 1.5
    grace: float = 30.0
    batch: int = 1000
    lease: float = 10.0
    tries: int = 20
    at_once: int = 4
    settle: float = 6.0
    """Longer than any process remembers a placement: by then none does, and none reads at the source any more."""


class MoveTaken(Conflict):
    """Another process moves this organization: wait for it, or try again when it has ended."""

    code = "move_taken"


class MoveFailed(Conflict):
    """The organization could not be moved; it stays where it is. Repeat the command to go on."""

    code = "move_failed"
