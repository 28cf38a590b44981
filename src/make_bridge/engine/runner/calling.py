"""Runs whose expressions call functions of their team: such a call waits, and the event loop must not.

``run`` takes this state and this walker instead of the plain ones when the program calls such functions, so runs that
call none have no part in it. A step whose expressions may call is taken aside, to where waiting is allowed
(``ports.Functions.aside``); which steps those are is known since the program was compiled. Modules with effects are
still carried out on the loop: only their expressions go aside.

A run takes one step at a time, so nobody else touches its state meanwhile. The one thing that a step does to others,
telling the caller of a webhook its answer, is put off until the step is back.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from make_bridge.engine.blueprint.program import Node, Program
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.scope import CallingScope
from make_bridge.engine.ports import Functions, Moment, Ports, WebhookResponse
from make_bridge.engine.runner.frames import Frame, RouteFrame
from make_bridge.engine.runner.performer import perform
from make_bridge.engine.runner.request import RunRequest
from make_bridge.engine.runner.state import RunState
from make_bridge.engine.runner.walk import STEPS, Walker
from make_bridge.engine.values import Value, size_of

Result = TypeVar("Result")


class CallingState(RunState, CallingScope):
    """The state of a run whose expressions may call."""

    __slots__ = ("_functions", "is_aside", "untold")

    def __init__(self, program: Program, request: RunRequest, ports: Ports, functions: Functions) -> None:
        """Begin on the event loop."""
        super().__init__(program, request, ports)
        self._functions = functions
        self.is_aside = False
        self.untold: WebhookResponse | None = None

    def call(self, name: str, arguments: list[Value]) -> Value:
        """Call a function of the team, and count what it gave as data that the expression made."""
        if not self.is_aside:
            raise ExpressionError("A function of the team cannot be called here.")
        value = self._functions.call(name, arguments, Moment(now=self.now, chance=self.random()))
        self.budget.allocate(size_of(value, self.limits.expression_output))
        return value

    def respond(self, response: WebhookResponse) -> bool:
        """Answer the caller, once; aside it is told later."""
        if not self.is_aside:
            return super().respond(response)
        if self.response is not None:
            return False
        self.response = self.untold = response
        return True


class CallingWalker(Walker):
    """A walk whose steps may call."""

    __slots__ = ("_functions", "_state")

    def __init__(self, state: CallingState, functions: Functions) -> None:
        """Stand before the first module."""
        super().__init__(state)
        self._state = state
        self._functions = functions

    async def walk(self, node: Node | None, *, admitted: bool = False) -> None:
        """Go as the plain walker does."""
        while True:
            while node is not None:
                if node.gate is not None and not admitted:
                    entered = await self._aside(node, partial(self._admit, node, node.gate))
                    if entered is not node:
                        node = entered
                        continue
                admitted = False
                if node.performs:
                    node = await self._perform(node)
                else:
                    node = await self._aside(node, partial(STEPS[node.__class__], self, node))
                if self._pause_at and self._is_due():
                    await self._pause()
            if not self._stack:
                return
            if self._pause_at and self._is_due():
                await self._pause()
            node = await self._go_back(self._stack[-1])

    async def _perform(self, node: Node) -> Node | None:
        run = self._state
        operation = run.begin(node)
        try:
            given = await self._aside(node, partial(node.mapper.evaluate, run))
        except Exception as error:  # noqa: BLE001  the scenario's error, or kept as ours
            return await self._aside(node, partial(self._failed, node, operation, None, error))
        outcome = await perform(run, node, operation, given)
        return await self._aside(node, partial(self._performed, node, operation, given, outcome))

    async def _go_back(self, frame: Frame) -> Node | None:
        """Take the next bundle or the next route, whose filters are asked there."""
        candidates = [frame.node, *frame.node.aggregators]
        if isinstance(frame, RouteFrame):
            candidates += frame.node.routes
            if frame.node.fallback is not None:
                candidates.append(frame.node.fallback)
        calling = next((node for node in candidates if self._may_call(node)), frame.node)
        return await self._aside(calling, partial(self._advance, frame))

    def _may_call(self, node: Node) -> bool:
        return node.id in self._state.program.calling

    async def _aside(self, node: Node, work: Callable[[], Result]) -> Result:
        """Do a step, where it may call: aside."""
        if not self._may_call(node):
            return work()
        state = self._state
        state.is_aside = True
        try:
            return await self._functions.aside(work)
        finally:
            state.is_aside = False
            untold, state.untold = state.untold, None
            if untold is not None and state.ports.responder is not None:
                state.ports.responder.respond(untold)
