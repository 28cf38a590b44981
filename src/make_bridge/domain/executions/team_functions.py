"""The functions of a run's team, as the engine's port: loaded when the run begins, carried out in the sandbox.

The performer asks for them only for programs that call some. What a run begins with it keeps: a run with effects writes
the code into its journal before its first step, so that a second attempt goes the same way although somebody has
changed a function meanwhile; one without effects may begin anew with what there is. A bundle that was parked and is
tried again is a run of its own and takes the code of then: people repair functions.

Results are not recorded. Clock and chance of a call come from the run, so a second attempt computes the same again.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from make_bridge.domain.executions.lending import LentSlots
from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.functions.store import FunctionStore
from make_bridge.engine.apps.module import ErrorType, ModuleError
from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.function_values import from_answer, to_arguments
from make_bridge.engine.ports import Functions, Intent, Journal, Moment, Record
from make_bridge.engine.runner.chance import step_key
from make_bridge.engine.values import Value, size_of
from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.sandbox.aside import Aside
from make_bridge.platform.sandbox.sandbox import CallEnded, Exceeded, Sandbox, SandboxUnavailable

Result = TypeVar("Result")
_OFF: Final = "Custom functions are switched off on this server."
_UNAVAILABLE: Final = "Custom functions cannot be run on this server now."
# No module has the number 0, so no step has this key.
_NO_MODULE: Final = 0
# So many slots are lent at most: what waits is held in memory.
_MOST_LENT: Final = 500
_EXCEEDED: Final[Mapping[Exceeded, str]] = {
    "time": "it took longer than a function may",
    "memory": "it needed more memory than a function may use",
    "stack": "it called itself too deeply",
    "output": "its result is larger than a function may return",
    "crash": "it was ended",
}


class FunctionsOf(Protocol):
    """Gives each run the functions of its team."""

    async def of(self, run: NewRun, program: Program, journal: Journal) -> Functions | None:
        """Return those that the program calls, None where there are none at all; raises Unavailable."""
        ...


class NoFunctions:
    """No team has any."""

    async def of(self, run: NewRun, program: Program, journal: Journal) -> Functions | None:
        """Return none."""
        del run, program, journal
        return None


class FunctionsOff:
    """Nothing is run, whatever teams have."""

    async def of(self, run: NewRun, program: Program, journal: Journal) -> Functions | None:
        """Return what says so at each call."""
        del run, program, journal
        return _Off()


class _Off:
    async def aside(self, work: Callable[[], Result]) -> Result:
        return work()

    def call(self, name: str, arguments: Sequence[Value], moment: Moment) -> Value:
        del arguments, moment
        raise ExpressionError(f"{name}() is no function of the language, and its team's are not run: {_OFF}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxedFunctions:
    """``FunctionsOf`` from the shards, by the sandbox."""

    shards: Shards
    sandbox: Sandbox
    aside: Aside
    lent: LentSlots
    metrics: Metrics
    functions: FunctionStore = field(default_factory=FunctionStore)

    async def of(self, run: NewRun, program: Program, journal: Journal) -> Functions | None:
        """See the protocol."""
        key = step_key(run.id, _NO_MODULE, 0)
        known = journal.recall(key)
        if isinstance(known, Record):
            [kept] = known.outputs
            codes = {name: str(code) for name, code in kept.items()} if isinstance(kept, dict) else {}
        else:
            codes = await self._load(run, program)
            kept = dict[str, Value](codes)
            if program.settings.journal == "writes":
                # Such a journal keeps only what was meant to be a write; this is kept in any case.
                await journal.intend(Intent(key=key, module_id=_NO_MODULE, module="", operation=0))
            await journal.record(Record(key=key, module_id=_NO_MODULE, operation=0, outputs=(kept,)))
        return RunFunctions(team=self, organization_id=run.organization_id, codes=codes)

    async def _load(self, run: NewRun, program: Program) -> dict[str, str]:
        organization_id = run.organization_id
        shard = await self.shards.of(organization_id)
        names = sorted(program.functions)
        return await shard.ask(
            organization_id, lambda tx: self.functions.codes(tx, organization_id, run.team_id, names)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFunctions:
    """``Functions`` of one run."""

    team: SandboxedFunctions
    organization_id: int
    codes: Mapping[str, str]

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Do it in a thread; a run that waits for one lends its slot of the worker."""
        return await self.team.aside.run(self.organization_id, work, waiting=self._lend)

    def call(self, name: str, arguments: Sequence[Value], moment: Moment) -> Value:
        """See the port."""
        code = self.codes.get(name)
        if code is None:
            raise ExpressionError(f"The function {name}() does not exist.")
        most = self.team.sandbox.most_input
        if size_of([*arguments], most) > most:
            self._count("input")
            raise ExpressionError(f"The function is given more than {most} bytes; give it less at a time.")
        told = self._ask({"task": "call", "code": code, **to_arguments(arguments, moment)})
        if "result" not in told:
            self._count("error")
            raise ExpressionError(f"The function failed: {str(told.get('error', 'it gave nothing'))[:1000]}")
        value = from_answer(told["result"])
        self._count("ok")
        return value

    def _ask(self, call: Mapping[str, object]) -> dict[str, Any]:
        try:
            return self.team.sandbox.ask(call)
        except CallEnded as ended:
            self._count(ended.exceeded)
            raise ExpressionError(f"The function was stopped: {_EXCEEDED[ended.exceeded]}.") from None
        except (SandboxUnavailable, Unavailable):
            self._count("unavailable")
            raise ModuleError(ErrorType.CONNECTION, _UNAVAILABLE) from None

    def _count(self, result: str) -> None:
        self.team.metrics.executions.function_calls.labels(result).inc()

    def _lend(self) -> AbstractContextManager[None]:
        lent = self.team.lent
        return lent.lend() if lent.count < _MOST_LENT else nullcontext()
