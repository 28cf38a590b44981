"""A blueprint as parsed: what the text says, checked for shape only.

Made by `parse`, read by `validate` and `compile`. Every part knows its position in the document. The
document itself is kept as it came, so that an export loses nothing this model does not know.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from make_bridge.engine.apps.fields import Field

Json = dict[str, object]
JournalMode = Literal["full", "writes", "off"]
"""What of a run is made durable step by step: all effects, those that change the world, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One comparison: templates `a` and `b` around the operator `o`."""

    a: object
    operator: str
    b: object
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Passes when all conditions of any group hold; without groups it always passes."""

    name: str
    groups: tuple[tuple[Condition, ...], ...]
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One exit of a router."""

    flow: "tuple[Module, ...]"
    disabled: bool
    position: str
    misplaced_filter: bool = False
    """A filter written beside the flow, where nothing reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One exit of an if-else. `otherwise` marks the else branch."""

    label: str
    otherwise: bool
    merge: bool
    disabled: bool
    condition: Filter
    flow: "tuple[Module, ...]"
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOutput:
    """One output of a merge: a template per merging branch."""

    name: str
    mappings: tuple[object, ...]
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module. `id` is 0 only for placeholders."""

    id: int
    module: str
    version: int | None
    label: str
    position: str
    parameters: Json
    mapper: object
    filter: Filter | None = None
    routes: tuple[Route, ...] = ()
    branches: tuple[Branch, ...] = ()
    outputs: tuple[MergeOutput, ...] = ()
    merge_filters: tuple[Filter | None, ...] = ()
    onerror: "tuple[Module, ...]" = ()
    flags: Json
    disabled: bool = False
    expect: tuple[Field, ...] = ()
    parameter_fields: tuple[Field, ...] = ()
    interface: tuple[Field, ...] = ()

    @property
    def app(self) -> str:
        """The part of the module's name before the colon."""
        return self.module.partition(":")[0]

    @property
    def placeholder(self) -> bool:
        """Whether this is an empty slot of the editor."""
        return self.module == "placeholder:Placeholder"

    @property
    def skipped(self) -> bool:
        """Whether a run passes over it."""
        return self.disabled or self.placeholder

    def flows(self) -> "Iterator[tuple[Module, ...]]":
        """Return the flows inside this module: routes, branches, handler."""
        yield from (route.flow for route in self.routes)
        yield from (branch.flow for branch in self.branches)
        if self.onerror:
            yield self.onerror


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`metadata.scenario`, with the defaults for what is missing."""

    roundtrips: int = 1
    max_errors: int = 3
    auto_commit: bool = True
    auto_commit_trigger_last: bool = True
    sequential: bool = False
    confidential: bool = False
    dataloss: bool = False
    dlq: bool = False
    fresh_variables: bool = False
    journal: JournalMode = "full"
    """How much of a run is made durable step by step; ours, Make has no such setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """A whole scenario."""

    name: str
    description: str
    flow: tuple[Module, ...]
    settings: Settings
    instant: bool
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    scheduling: Json | None
    document: Json

    def modules(self) -> Iterator[Module]:
        """Return every module in reading order, those of routes, branches and handlers included."""
        waiting = [iter(self.flow)]
        while waiting:
            node = next(waiting[-1], None)
            if node is None:
                waiting.pop()
                continue
            yield node
            waiting.extend(iter(flow) for flow in reversed(list(node.flows())))
