"""What a module is: its description, its code, its errors.

Apps write `ModuleSpec`s, `blueprint.compile` picks them, the runner calls them with a `ModuleCall`.
A pure module has `run`, a plain function; one that touches the world has `perform`, a coroutine, and
its results are journalled by the runner. Neither ever changes a value it was given.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, Protocol

from make_bridge.engine.apps.fields import Field
from make_bridge.engine.iml import Scope
from make_bridge.engine.ports import Ports, WebhookResponse
from make_bridge.engine.store_overlay import StoreOverlay
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import BridgeError

Collection = dict[str, Value]
Bundles = Iterable[Collection]


class ErrorType(StrEnum):
    """The errors a scenario can meet; their names are what `{{n.error.type}}` gives."""

    CONNECTION = "ConnectionError"
    RATE_LIMIT = "RateLimitError"
    TIMEOUT = "ModuleTimeoutError"
    OUT_OF_SPACE = "OutOfSpaceError"
    DATA = "DataError"
    DUPLICATE_DATA = "DuplicateDataError"
    BUNDLE_VALIDATION = "BundleValidationError"
    CONFIGURATION = "InvalidConfigurationError"
    ACCESS_TOKEN = "InvalidAccessTokenError"  # noqa: S105  an error's name
    FILE_SIZE = "MaxFileSizeExceededError"
    RESULTS = "MaxResultsExceededError"
    RUNTIME = "RuntimeError"
    UNEXPECTED = "UnexpectedError"
    INCONSISTENCY = "InconsistencyError"
    POSSIBLY_DONE = "PossiblyDoneError"
    OPERATIONS_LIMIT = "OperationsLimitExceededError"
    MEMORY_LIMIT = "MemoryLimitExceededError"
    INTERRUPTED = "ExecutionInterruptedError"


class ModuleError(BridgeError):
    """A module could not do its work."""

    code = "module_error"

    def __init__(self, error_type: ErrorType | str, message: str, detail: Value = None) -> None:
        """`error_type` decides what the scenario does about it; `detail` is shown to handlers."""
        super().__init__(message)
        self.error_type = str(error_type)
        self.detail = detail


class Kind(StrEnum):
    """How the runner treats a module."""

    TRIGGER = "trigger"
    ACTION = "action"
    TRANSFORMER = "transformer"
    FEEDER = "feeder"
    AGGREGATOR = "aggregator"
    ROUTER = "router"
    CONDITION = "conditional"
    MERGE = "converger"
    DIRECTIVE = "directive"
    RETURNER = "returner"
    PLACEHOLDER = "placeholder"


class Directive(StrEnum):
    """What an error handler's last module asks for."""

    IGNORE = "ignore"
    RESUME = "resume"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    BREAK = "break"


class Effect(Enum):
    """What repeating a module would do to the world; decides what is journalled."""

    NONE = "none"
    """A function of its input: nothing is kept."""
    READ = "read"
    """The result is kept, so that a resumed run sees the same world."""
    REPEATABLE = "repeatable"
    """Intent and result are kept; without a result it is simply done again (PUT, DELETE)."""
    WRITE = "write"
    """Intent and result are kept; without a result a person must decide (POST)."""


class Host(Scope, Protocol):
    """The run, as far as a module may see and change it; also the scope of its expressions."""

    @property
    def ports(self) -> Ports: ...
    @property
    def inputs(self) -> Mapping[str, Value]: ...
    @property
    def http_max_bytes(self) -> int: ...
    @property
    def stores(self) -> StoreOverlay: ...

    def variable_of_run(self, name: str) -> Value:
        """Return what a Set variable module stored, or None."""
        ...

    def set_variable(self, name: str, value: Value, *, for_run: bool) -> None:
        """Store it until the cycle ends or, `for_run`, until the run ends."""
        ...

    def warn(self, module_id: int, message: str) -> None:
        """Mark the run with a warning."""
        ...

    def increment(self, module_id: int, reset: str) -> int:
        """Count up and return the new count."""
        ...

    def remembered(self, module_id: int) -> Value:
        """Return what the module kept in an earlier run of this scenario (a trigger's cursor), or None."""
        ...

    def remember(self, module_id: int, value: Value) -> None:
        """Keep a value for the scenario's next run: stored with the outcome, forgotten when the cycle fails."""
        ...

    def name_execution(self, name: str) -> None:
        """Give this run a name of its own, for people who read the log."""
        ...

    def respond(self, response: WebhookResponse) -> bool:
        """Answer the caller; False when the scenario had answered already."""
        ...

    def return_outputs(self, outputs: Collection) -> Collection:
        """Set the scenario's outputs; returns them with the missing declared ones as None."""
        ...


@dataclass(slots=True)
class ModuleCall:
    """One operation of one module."""

    module_id: int
    input: Collection
    parameters: Collection
    host: Host
    key: str = ""
    transfer: int = 0


class Aggregation(Protocol):
    """Collects what reaches an aggregator during one operation of its feeder."""

    def add(self, item: Collection) -> None:
        """Take one item: the evaluated mapper."""
        ...

    def result(self) -> Collection:
        """Return the bundle that goes on."""
        ...


RunModule = Callable[[ModuleCall], Bundles]
PerformModule = Callable[[ModuleCall], Awaitable[list[Collection]]]
EffectOf = Callable[[Collection], Effect]
NO_FIELDS: Final[tuple[Field, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSpec:
    """A module as its app declares it."""

    name: str
    label: str
    kind: Kind
    versions: tuple[int, ...] = (1,)
    help: str = ""
    parameters: tuple[Field, ...] = NO_FIELDS
    mapper: tuple[Field, ...] = NO_FIELDS
    output: tuple[Field, ...] = NO_FIELDS
    open_mapper: bool = False
    """The mapper's keys are the user's own (a data structure, a return value)."""
    run: RunModule | None = None
    perform: PerformModule | None = None
    effect: Effect | EffectOf = Effect.NONE
    aggregate: Callable[[Collection], Aggregation] | None = None
    directive: Directive | None = None
    external: bool = False
    """A trigger whose bundles come from outside, one per cycle."""
    answers: bool = False
    """Answers the caller of the webhook."""
    transactional: bool = False
    """Changes data stores: its changes are committed and rolled back with the run."""
    operations: int = 1
    credits: int = 1
    remembers: bool | Callable[[Collection], bool] = False
    """Keeps something from run to run (`Host.remember`, a counter that never resets); may depend on its parameters."""

    @property
    def app(self) -> str:
        """The part of the name before the colon."""
        return self.name.partition(":")[0]

    @property
    def pure(self) -> bool:
        """Whether it runs without touching the world."""
        return self.perform is None

    def effect_of(self, given: Collection) -> Effect:
        """Return what this call would do to the world."""
        return self.effect if isinstance(self.effect, Effect) else self.effect(given)

    def keeps_memory(self, parameters: Collection) -> bool:
        """Say whether a module with these parameters keeps something from run to run."""
        return self.remembers if isinstance(self.remembers, bool) else self.remembers(parameters)

    def describe(self) -> dict[str, object]:
        """Return the description, ready for JSON: for forms, validation messages and documentation."""
        return {
            "name": self.name,
            "label": self.label,
            "kind": self.kind.value,
            "versions": list(self.versions),
            "help": self.help,
            "pure": self.pure,
            "openMapper": self.open_mapper,
            "parameters": [field.describe() for field in self.parameters],
            "mapper": [field.describe() for field in self.mapper],
            "output": [field.describe() for field in self.output],
        }
