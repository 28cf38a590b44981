"""A compiled blueprint: nodes linked to each other, ready to be walked many times.

Made by `compile`, walked by the runner. A program holds nothing of any run, so one serves all
executions of its scenario at the same time. The class of a node says how the runner steps over it.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, field

from make_bridge.engine.apps.fields import Field
from make_bridge.engine.apps.module import Collection, ModuleSpec
from make_bridge.engine.blueprint.filters import Passes
from make_bridge.engine.blueprint.mapping import Mapper
from make_bridge.engine.blueprint.model import Settings
from make_bridge.engine.blueprint.variables import NamedVariables
from make_bridge.engine.iml import Scope
from make_bridge.engine.values import Value

Evaluate = Callable[[Scope], Value]


@dataclass(slots=True, eq=False, kw_only=True)
class Node:
    """A module in its place. `next` continues its path; `gate` is its filter when it is reached in line.

    The first module of a route or handler has no gate: its filter belongs to the router or to the
    error, which ask it before they go there.
    """

    id: int
    module: str
    label: str
    spec: ModuleSpec
    position: str
    parameters: Collection
    mapper: Mapper
    filter: Passes | None = None
    gate: Passes | None = None
    next: "Node | None" = None
    handler: "Node | None" = None
    guarded: "Node | None" = None
    """In a handler: the module whose error it handles."""
    aggregators: "tuple[AggregatorNode, ...]" = ()
    """The aggregators this module feeds, in reading order."""
    performs: bool = False
    """It touches the world, so the walk has to wait for it."""
    enclosing: "tuple[AggregatorNode, ...]" = ()
    """The aggregators whose loop runs through this module."""


@dataclass(slots=True, eq=False, kw_only=True)
class WorkNode(Node):
    """A module that turns one bundle into none, one or many."""


@dataclass(slots=True, eq=False, kw_only=True)
class DirectiveNode(Node):
    """The end of a handler that says what happens to the error."""


@dataclass(slots=True, eq=False, kw_only=True)
class AggregatorNode(Node):
    """Collects bundles until its feeder's operation is over."""

    feeder_id: int = 0
    whole_bundle: bool = False
    """The mapper is empty: an item is the feeder's bundle."""
    group_by: Evaluate | None = None
    stop_if_empty: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class RouterNode(Node):
    """Sends its bundle down every route whose first module lets it in."""

    routes: tuple[Node, ...] = ()
    fallback: Node | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """One branch of an if-else; `passes` is None for else."""

    label: str
    passes: Passes | None
    first: Node


@dataclass(slots=True, eq=False, kw_only=True)
class ConditionNode(Node):
    """Sends its bundle down the first branch whose condition holds."""

    exits: tuple[Exit, ...] = ()


@dataclass(slots=True, eq=False, kw_only=True)
class MergeNode(Node):
    """Where one branch rejoins the path; every merging branch has its own, with its own mappings."""

    outputs: tuple[tuple[str, Evaluate], ...] = ()
    branch: frozenset[int] = frozenset()
    """The modules of the branch that leads here."""
    siblings: "tuple[MergeNode, ...]" = ()
    """The same merge as every branch sees it."""

    def on_path(self, module_ids: Container[int]) -> "MergeNode":
        """Return the one of the branch that a path came through."""
        return next((node for node in self.siblings if any(one in module_ids for one in node.branch)), self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A connection, key, hook or other stored thing a module refers to by number."""

    module_id: int
    module: str
    parameter: str
    type: str
    id: int | None

    @property
    def kind(self) -> str:
        """The part of the type before the colon: account, keychain, hook, datastore, udt."""
        return self.type.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """The module that starts the scenario. `external`: its bundles come from outside, one per cycle."""

    module_id: int
    module: str
    external: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A scenario ready to run."""

    name: str
    entry: Node | None
    nodes: dict[int, Node] = field(repr=False)
    settings: Settings
    trigger: Trigger | None
    pure: bool
    has_response: bool
    immediate: bool
    """Pure and without loops: a run costs about as much as reading its input."""
    functions: frozenset[str]
    """Functions of the team that it calls: names that are none of the language."""
    calling: frozenset[int]
    """The modules at which a run may have to wait for one."""
    needs_ports: bool
    """It touches the world, or calls functions of the team."""
    keeps_memory: bool
    """A module keeps something from run to run, which has to be read before and stored with the outcome."""
    variables: NamedVariables | None
    """Custom variables that an expression names, which have to be read before; None for nearly all programs."""
    required_components: tuple[Component, ...]
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
