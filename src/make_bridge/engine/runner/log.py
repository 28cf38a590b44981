"""The log of a run: which module did what, within a budget.

Filled by the walker, returned in the result. A loop of ten thousand turns must not keep ten thousand
copies of its data, so beyond the byte budget steps keep counts only, and beyond the step budget they
are only counted.
"""

from typing import Final

import msgspec

from make_bridge.engine.runner.result import RunError, Step
from make_bridge.engine.values import Value, size_of

_BODY_BYTES: Final = 64
_ITEM_BYTES: Final = 24
# `[1,1,1]`: two bytes on the wire for an element of a slot and a scalar; no text is denser.
_MOST_PER_WIRE_BYTE: Final = 24
UNMEASURED: Final = -1


class StepLog:
    """Steps in running order."""

    __slots__ = ("_bytes", "_keeps_bodies", "_left", "dropped", "steps")

    def __init__(self, *, max_steps: int, max_bytes: int) -> None:
        """With `max_bytes` 0, no step keeps a body."""
        self.steps: list[Step] = []
        self.dropped = 0
        self._left = max_steps
        self._bytes = max_bytes
        self._keeps_bodies = max_bytes > 0

    def add(self, step: Step, given: Value) -> Step | None:
        """Keep the step with its input, as far as the budgets go."""
        if not self._left:
            self.dropped += 1
            return None
        self._left -= 1
        if self._fits(given):
            step.input = given
        else:
            step.truncated = True
        self.steps.append(step)
        return step

    def received(self, step: Step | None, bundle: Value, wire_bytes: int) -> None:
        """Note a bundle from outside; it is charged by its size on the wire (0: unknown), which needs no measuring."""
        size = _BODY_BYTES + _MOST_PER_WIRE_BYTE * wire_bytes
        if step is None or not wire_bytes or size > self._bytes:
            self.output(step, bundle)
            return
        self._bytes -= size
        step.output_count += 1
        step.outputs.append(bundle)

    def output(self, step: Step | None, bundle: Value) -> int:
        """Note a bundle that the step gave; return its size where that was measured, else ``UNMEASURED``."""
        if step is None:
            return UNMEASURED
        step.output_count += 1
        left = self._bytes
        if not step.truncated and self._fits(bundle):
            step.outputs.append(bundle)
            return left - self._bytes
        step.truncated = True
        return UNMEASURED

    def fail(self, step: Step | None, error: RunError) -> None:
        """Note how the step ended. Errors are few and always kept, their details only where bodies are."""
        if step is not None:
            step.error = error if self._keeps_bodies else msgspec.structs.replace(error, detail=None)

    def _fits(self, value: Value) -> bool:
        if self._bytes <= 0:
            return False
        self._bytes -= _estimate(value, self._bytes)
        return self._bytes >= 0


def _estimate(value: Value, limit: int) -> int:
    """Return about how many bytes a body has. Nearly all are flat collections, which need no search."""
    if not isinstance(value, dict):
        return size_of(value, limit) + _BODY_BYTES
    size = _BODY_BYTES
    for item in value.values():
        if isinstance(item, str):
            size += len(item) + _ITEM_BYTES
        elif isinstance(item, dict | list | bytes):
            size += size_of(item, limit) + _ITEM_BYTES
        else:
            size += _ITEM_BYTES
    return size
