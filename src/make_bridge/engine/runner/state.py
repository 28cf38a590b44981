"""The state of one run: what expressions see, what modules may change, what is counted.

One object plays `iml.Scope` for expressions and `apps.module.Host` for modules, so that a step needs
no set-up of its own. The bundles on the current path are one dictionary: a module's bundle is put in
when the path passes it and taken out when the walk goes back before it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, NoReturn
from zoneinfo import ZoneInfo

from make_bridge.engine.apps.module import Collection, ErrorType
from make_bridge.engine.blueprint.program import Node, Program
from make_bridge.engine.iml import Budget
from make_bridge.engine.ports import Ports, WebhookResponse
from make_bridge.engine.runner.chance import Chance, step_key
from make_bridge.engine.runner.holding import BUNDLE, CYCLE_VARIABLE, LARGE, RUN_VARIABLE, Holding, Place, measured
from make_bridge.engine.runner.log import StepLog
from make_bridge.engine.runner.request import RunRequest
from make_bridge.engine.runner.result import Ending, IncompleteRun, RunError, RunWarning
from make_bridge.engine.store_overlay import StoreOverlay
from make_bridge.engine.values import Value

_LOOK_AT_CLOCK: Final = 1000


class Ended(Exception):
    """The run is over before its last module: raised by the walk, caught by `run`."""

    def __init__(self, ending: Ending, error: RunError | None = None) -> None:
        """Keep why."""
        super().__init__(ending)
        self.ending = ending
        self.error = error


class RunState:
    """Everything that changes while a run goes on."""

    __slots__ = (
        "_chance",
        "_counters_of_cycle",
        "_counters_of_run",
        "_deadline",
        "_elapsed",
        "_expression_steps",
        "_kept_keys",
        "_monotonic",
        "_node",
        "_operation",
        "_stores",
        "_used_keys",
        "blocked",
        "budget",
        "bundle_count",
        "bundles",
        "counters",
        "credits",
        "cycle_variables",
        "cycles_committed",
        "errors",
        "execution_id",
        "holding",
        "http_max_bytes",
        "incomplete",
        "inputs",
        "kept_counters",
        "kept_memory",
        "last_writer",
        "limits",
        "log",
        "memory",
        "name",
        "now",
        "operations",
        "operations_of",
        "organization_variables",
        "outputs",
        "ports",
        "program",
        "ran_dry",
        "request",
        "response",
        "run_variables",
        "step_started",
        "taken",
        "team_variables",
        "timezone",
        "trail",
        "transfer",
        "unexpected",
        "warnings",
    )

    def __init__(self, program: Program, request: RunRequest, ports: Ports) -> None:
        """Start with nothing done."""
        limits = request.limits
        self.program = program
        self.request = request
        self.ports = ports
        self.limits = limits
        self.execution_id: str = request.execution_id
        self.inputs: Mapping[str, Value] = request.inputs
        self.organization_variables: Mapping[str, Value] = request.organization_variables
        self.team_variables: Mapping[str, Value] = request.team_variables
        self.timezone: ZoneInfo = request.timezone
        self.now: datetime = request.started_at
        self.http_max_bytes: int = limits.http_bytes
        self.budget = Budget(limits.expression_steps, limits.expression_output)
        confidential = program.settings.confidential
        self.log = StepLog(max_steps=limits.logged_steps, max_bytes=0 if confidential else limits.logged_bytes)
        self.holding: Holding | None = None
        self.bundles: dict[int, Value] = {}
        self.trail: list[int] = []
        self.errors: dict[int, RunError] = {}
        self.cycle_variables: dict[str, Value] = {}
        self.run_variables: dict[str, Value] = {}
        self.counters: dict[int, int] = dict(request.counters)
        self.memory: dict[int, Value] = {}
        self.kept_memory: dict[int, Value] = {}
        self.kept_counters: dict[int, int] = dict(request.counters)
        self.ran_dry: Node | None = None
        self.name: str | None = None
        self.operations = self.credits = 0
        self.transfer = request.received_bytes
        self.operations_of: dict[int, int] = {}
        self.blocked: dict[int, int] = {}
        self.outputs: Collection | None = None
        self.response: WebhookResponse | None = None
        self.warnings: list[RunWarning] = []
        self.incomplete: list[IncompleteRun] = []
        self.unexpected: list[Exception] = []
        self._monotonic: Callable[[], float] = ports.clock.monotonic
        self.step_started = self._monotonic()
        self._deadline = self.step_started + limits.seconds
        self._chance = Chance(request.seed)
        self._counters_of_cycle: dict[int, int] = {}
        self._counters_of_run: dict[int, int] = {}
        self._elapsed = self._expression_steps = 0
        self._kept_keys: dict[int, str] = {}
        self._used_keys: dict[int, str] = {}
        self._stores: StoreOverlay | None = None
        self.last_writer: Node | None = None
        self.bundle_count = self.taken = self.cycles_committed = 0
        self._node = self._operation = 0

    # What expressions see.

    def bundle(self, module_id: int) -> Value:
        """Return the bundle of a module on the path."""
        return self.bundles.get(module_id)

    def variable(self, name: str) -> Value:
        """Return a family of variables."""
        request = self.request
        match name:
            case "input":
                return dict(self.inputs)
            case "scenario":
                return {
                    "id": request.scenario_id,
                    "name": request.scenario_name,
                    "url": request.scenario_url,
                    "executionId": request.execution_id,
                }
            case "organization":
                zone = self.timezone.key
                return {"id": request.organization_id, "timezone": zone, **self.organization_variables}
            case "team":
                return {"id": request.team_id, **self.team_variables}
            case _:
                return None

    def random(self) -> float:
        """Return the next random number."""
        return self._chance.random(self._node, self._operation)

    def uuid(self) -> str:
        """Return the next UUID."""
        return self._chance.uuid(self._node, self._operation)

    # What modules may do.

    @property
    def stores(self) -> StoreOverlay:
        """Return the run's view of the data stores, made when a module first asks."""
        if self._stores is None:
            self._stores = StoreOverlay(self.ports.stores, self.execution_id)
        return self._stores

    @property
    def overlay(self) -> StoreOverlay | None:
        """Return the same, None while no module has asked."""
        return self._stores

    def variable_of_run(self, name: str) -> Value:
        """Return a variable set before; the cycle's own hides the run's."""
        if name in self.cycle_variables:
            return self.cycle_variables[name]
        return self.run_variables.get(name)

    def set_variable(self, name: str, value: Value, *, for_run: bool) -> None:
        """Set a variable."""
        if for_run:
            self.cycle_variables.pop(name, None)
            if self.holding is not None:
                self.holding.drop((CYCLE_VARIABLE, name))
            self.run_variables[name] = value
        else:
            self.cycle_variables[name] = value
        size = measured(value, self.limits.memory_bytes)
        if size > LARGE or self.holding is not None:
            self.hold((RUN_VARIABLE if for_run else CYCLE_VARIABLE, name), size)

    def warn(self, module_id: int, message: str) -> None:
        """Mark the run with a warning."""
        self.warnings.append(RunWarning(module_id, message))

    def increment(self, module_id: int, reset: str) -> int:
        """Count up in the counter that lives as long as `reset` says."""
        counters = {"run": self._counters_of_cycle, "execution": self._counters_of_run}.get(reset, self.counters)
        counters[module_id] = counters.get(module_id, 0) + 1
        return counters[module_id]

    def remembered(self, module_id: int) -> Value:
        """Return what a module kept: in this run, or in an earlier one."""
        return self.memory[module_id] if module_id in self.memory else self.request.memory.get(module_id)

    def remember(self, module_id: int, value: Value) -> None:
        """Keep a value for the next run."""
        self.memory[module_id] = value

    def name_execution(self, name: str) -> None:
        """Name the run; the last name stands."""
        self.name = name

    def respond(self, response: WebhookResponse) -> bool:
        """Answer the caller, once."""
        if self.response is not None:
            return False
        self.response = response
        if self.ports.responder is not None:
            self.ports.responder.respond(response)
        return True

    def return_outputs(self, outputs: Collection) -> Collection:
        """Set the outputs; declared ones that are missing are null."""
        declared: Collection = {field.name: None for field in self.program.outputs}
        self.outputs = declared | outputs
        return self.outputs

    # What the walk does.

    def begin(self, node: Node) -> int:
        """Count an operation and return its number within its module; ends the run at its limits."""
        spec = node.spec
        number = self.operations_of[node.id] = self.operations_of.get(node.id, 0) + 1
        self.operations += spec.operations
        self.credits += spec.credits
        if self.operations > self.limits.operations:
            message = f"The run used more than {self.limits.operations} operations."
            error = RunError(ErrorType.OPERATIONS_LIMIT, message, node.id, node.module, number)
            raise Ended(Ending.FAILED, error)
        self.step_started = self._monotonic()
        if self.step_started > self._deadline:
            message = f"The run took longer than {self.limits.seconds:g} seconds."
            raise Ended(Ending.INTERRUPTED, RunError(ErrorType.INTERRUPTED, message, node.id, node.module, number))
        self._operation = number
        self.renew(node)
        return number

    def count_bundle(self, node: Node) -> None:
        """Count a bundle of a loop: one whose bundles are all filtered out uses no operations, but it takes time."""
        self.bundle_count += 1
        if self.bundle_count > self.limits.bundles:
            message = f"The run made more than {self.limits.bundles} bundles."
            raise Ended(Ending.FAILED, RunError(ErrorType.RESULTS, message, node.id, node.module, self._operation))
        if not self.bundle_count % _LOOK_AT_CLOCK:
            self.check_time(node, self._operation)

    def check_time(self, node: Node, number: int) -> None:
        """End the run when it has taken longer than it may."""
        if self._monotonic() > self._deadline:
            message = f"The run took longer than {self.limits.seconds:g} seconds."
            raise Ended(Ending.INTERRUPTED, RunError(ErrorType.INTERRUPTED, message, node.id, node.module, number))

    def renew(self, node: Node) -> None:
        """Give the next filter or mapper its full budget, out of the run's own."""
        self._node = node.id
        budget, limits = self.budget, self.limits
        self._expression_steps += limits.expression_steps - budget.steps
        if self._expression_steps > limits.run_expression_steps:
            message = "The expressions of this run do more work than a run may do."
            raise Ended(Ending.FAILED, RunError(ErrorType.RUNTIME, message, node.id, node.module, self._operation))
        budget.steps = limits.expression_steps
        budget.output = limits.expression_output

    def put(self, module_id: int, bundle: Value) -> None:
        """Make a bundle visible to what follows on the path."""
        if module_id not in self.bundles:
            self.trail.append(module_id)
        self.bundles[module_id] = bundle
        if self.holding is not None:
            self.holding.drop((BUNDLE, module_id))

    def hold(self, place: Place, size: int) -> None:
        """Count a value that the run holds from now on; ends the run when that is too much."""
        holding = self._held()
        holding.put(place, size)
        if holding.is_full:
            self._end_for_memory(holding)

    def hold_more(self, place: Place, size: int) -> None:
        """Count one more value in a place that keeps many."""
        holding = self._held()
        holding.add(place, size)
        if holding.is_full:
            self._end_for_memory(holding)

    def let_go(self, place: Place) -> None:
        """Count what is held there no more."""
        if self.holding is not None:
            self.holding.drop(place)

    def _held(self) -> Holding:
        if self.holding is None:
            self.holding = Holding(self.limits.memory_bytes)
        return self.holding

    def _end_for_memory(self, holding: Holding) -> NoReturn:
        """End the run: it holds more than a run may. No handler is asked, it would hold all of that too."""
        node = self.program.nodes.get(self._node)
        message = f"The run holds more than {holding.limit} bytes of data at a time; work in smaller portions."
        module = "" if node is None else node.module
        raise Ended(Ending.FAILED, RunError(ErrorType.MEMORY_LIMIT, message, self._node, module, self._operation))

    def rewind(self, mark: int) -> None:
        """Go back to where the path had `mark` bundles."""
        trail = self.trail
        while len(trail) > mark:
            module_id = trail.pop()
            del self.bundles[module_id]
            if self.holding is not None:
                self.holding.drop((BUNDLE, module_id))

    def end_cycle(self) -> None:
        """Forget what lives for one cycle, and keep what later runs are given although a later cycle may fail."""
        if self.memory or self.counters:
            self.kept_memory, self.kept_counters = dict(self.memory), dict(self.counters)
        self.rewind(0)
        self.errors.clear()
        self.cycle_variables.clear()
        if self.holding is not None:
            self.holding.drop_all(CYCLE_VARIABLE)
        self._counters_of_cycle.clear()

    def monotonic(self) -> float:
        """Return the ports' monotonic time."""
        return self._monotonic()

    def advance(self, elapsed_us: int) -> None:
        """Move the run's `now`: by the time an effect took, or had taken when it was recorded."""
        self._elapsed += elapsed_us
        self.now = self.request.started_at + timedelta(microseconds=self._elapsed)

    def key_of(self, node: Node, operation: int) -> str:
        """Return the key of an operation; a resumed one keeps the key of its first attempt."""
        key = self._kept_keys.pop(node.id, None) or step_key(self.execution_id, node.id, operation)
        self._used_keys[node.id] = key
        return key

    def key_used(self, node: Node, operation: int) -> str:
        """Return the key the module's last operation had, or would have had."""
        return self._used_keys.get(node.id) or step_key(self.execution_id, node.id, operation)

    def keep_key(self, module_id: int, key: str) -> None:
        """Let the next operation of a module have this key."""
        self._kept_keys[module_id] = key
