"""Custom functions, wired: what checks their code, and what runs it. Nothing is started before the first call."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from make_bridge.domain.executions.lending import LentSlots
from make_bridge.domain.executions.team_functions import FunctionsOf, FunctionsOff, SandboxedFunctions
from make_bridge.domain.functions.checking import CodeChecks, NoChecks, SandboxChecks
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.sandbox.aside import Aside
from make_bridge.platform.sandbox.sandbox import Sandbox
from make_bridge.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaScript:
    """The sandbox and the threads that wait for it; None of both where custom functions are switched off."""

    settings: Settings
    sandbox: Sandbox | None = None
    aside: Aside | None = None

    def checks(self) -> CodeChecks:
        """Return what says whether code could be a function's."""
        if self.sandbox is None or self.aside is None:
            return NoChecks()
        return SandboxChecks(sandbox=self.sandbox, aside=self.aside, limits=self.settings.function_limits())

    def functions(self, shards: Shards, lent: LentSlots, metrics: Metrics) -> FunctionsOf:
        """Return what gives runs the functions of their teams."""
        if self.sandbox is None or self.aside is None:
            return FunctionsOff()
        return SandboxedFunctions(shards=shards, sandbox=self.sandbox, aside=self.aside, lent=lent, metrics=metrics)


def wire_javascript(stack: AsyncExitStack, settings: Settings) -> JavaScript:
    """Make it, and end it with the stack."""
    if settings.custom_functions == "off":
        return JavaScript(settings=settings)
    sandbox, aside = Sandbox(settings.sandbox()), Aside(settings.custom_function_processes)
    stack.callback(sandbox.close)
    stack.callback(aside.close)
    return JavaScript(settings=settings, sandbox=sandbox, aside=aside)
