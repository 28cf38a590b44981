"""What the keywords stand for (spec §5)."""

import math
from typing import Final

from make_bridge.engine.dates import epoch_milliseconds, to_instant
from make_bridge.engine.iml.compiled import Evaluator
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.numbers import normalize
from make_bridge.engine.values import ERASE, IGNORE, Value

# An empty array is made anew each time, so it stands with the constants but is no value here.
CONSTANTS: Final[dict[str, Value]] = {
    "carriagereturn": "\r",
    "emptystring": "",
    "erase": ERASE,
    "false": False,
    "ignore": IGNORE,
    "nbsp": "\u00a0",
    "newline": "\n",
    "null": None,
    "pi": math.pi,
    "space": " ",
    "tab": "\t",
    "true": True,
}
EMPTY_ARRAY: Final = "emptyarray"


def _timestamp(scope: Scope) -> int:
    """Return whole seconds since 1970."""
    return epoch_milliseconds(scope.now) // 1000


VARYING: Final[dict[str, Evaluator]] = {
    "executionId": lambda scope: scope.execution_id,
    "now": lambda scope: to_instant(scope.now),
    "random": lambda scope: normalize(scope.random()),
    "timestamp": _timestamp,
    "uuid": lambda scope: scope.uuid(),
}
