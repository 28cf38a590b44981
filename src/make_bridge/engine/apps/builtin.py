"""The app `builtin`: flow control, loops, the array aggregator and the error directives.

Routers, if-else, merge and directives have no code here: the runner is their code. `catalogue` lists
them all.
"""

from collections.abc import Iterator
from typing import Final

from make_bridge.engine.apps.aggregations import FEEDER, ArrayAggregation
from make_bridge.engine.apps.fields import Bounds, Field
from make_bridge.engine.apps.module import (
    Bundles,
    Collection,
    Directive,
    ErrorType,
    Kind,
    ModuleCall,
    ModuleError,
    ModuleSpec,
)
from make_bridge.engine.numbers import normalize
from make_bridge.engine.values import Value, to_array, to_number, to_text

MAX_REPEATS: Final = 10_000
_MAX_MINUTES: Final = 44_640
_MAX_ATTEMPTS: Final = 10_000


def _iterate(call: ModuleCall) -> Bundles:
    """One bundle per element: a collection spreads its keys, anything else is called value."""
    return _elements(to_array(call.input.get("array")))


def _elements(items: list[Value]) -> Iterator[Collection]:
    total = len(items)
    for position, item in enumerate(items, 1):
        spread = item if isinstance(item, dict) else {"value": item}
        yield {**spread, "__IMTINDEX__": position, "__IMTLENGTH__": total}


def _repeat(call: ModuleCall) -> Bundles:
    start, repeats, step = (to_number(call.input[name]) for name in ("start", "repeats", "step"))
    return _counts(start, int(repeats), step)


def _counts(start: float, repeats: int, step: float) -> Iterator[Collection]:
    for turn in range(repeats):
        yield {"i": normalize(start + turn * step)}


def _throw(call: ModuleCall) -> Bundles:
    raise ModuleError(ErrorType.RUNTIME, to_text(call.input.get("message")) or "The scenario raised an error.")


def _warn(call: ModuleCall) -> Bundles:
    call.host.warn(call.module_id, to_text(call.input.get("message")) or "The scenario raised a warning.")
    return [{}]


_MESSAGE: Final = (Field(name="message", type="text", label="Message", required=True),)

MODULES: Final = (
    ModuleSpec(
        name="builtin:BasicRouter",
        label="Router",
        kind=Kind.ROUTER,
        help="Sends each bundle down every route whose filter lets it in, one route after the other.",
        parameters=(Field(name="else", type="uinteger", label="Fallback route", help="Index of the route, from 0."),),
        operations=0,
        credits=0,
    ),
    ModuleSpec(
        name="builtin:BasicIfElse",
        label="If-else",
        kind=Kind.CONDITION,
        help="Sends each bundle down the first branch whose condition holds.",
        credits=0,
    ),
    ModuleSpec(
        name="builtin:BasicMerge",
        label="Merge",
        kind=Kind.MERGE,
        help="Rejoins the branches of an if-else and gives the taken branch's values one name.",
        credits=0,
    ),
    ModuleSpec(
        name="builtin:BasicFeeder",
        label="Iterator",
        kind=Kind.FEEDER,
        help="Turns an array into one bundle per element.",
        mapper=(Field(name="array", type="array", label="Array", help="A single value counts as one element."),),
        output=(
            Field(name="value", type="any", label="Value"),
            Field(name="__IMTINDEX__", type="uinteger", label="Bundle order position"),
            Field(name="__IMTLENGTH__", type="uinteger", label="Total number of bundles"),
        ),
        run=_iterate,
    ),
    ModuleSpec(
        name="builtin:BasicRepeater",
        label="Repeater",
        kind=Kind.FEEDER,
        help="Emits a number of bundles that count upwards.",
        mapper=(
            Field(name="start", type="number", label="Initial value", required=True, default=1),
            Field(
                name="repeats",
                type="number",
                label="Repeats",
                required=True,
                validate=Bounds(min=0, max=MAX_REPEATS),
            ),
            Field(name="step", type="number", label="Step", required=True, default=1, advanced=True),
        ),
        output=(Field(name="i", type="number", label="i"),),
        run=_repeat,
    ),
    ModuleSpec(
        name="builtin:BasicAggregator",
        label="Array aggregator",
        kind=Kind.AGGREGATOR,
        help="Collects the bundles of a loop into one array.",
        parameters=(FEEDER, Field(name="target", type="text", label="Target structure type")),
        output=(
            Field(name="array", type="array", label="Array"),
            Field(name="__IMTAGGLENGTH__", type="uinteger", label="Total number of bundles"),
            Field(name="__IMTKEY__", type="text", label="Key"),
        ),
        open_mapper=True,
        aggregate=ArrayAggregation,
    ),
    ModuleSpec(
        name="builtin:Ignore",
        label="Ignore",
        kind=Kind.DIRECTIVE,
        help="Drops the bundle that failed and goes on with the next.",
        directive=Directive.IGNORE,
        operations=0,
        credits=0,
    ),
    ModuleSpec(
        name="builtin:Resume",
        label="Resume",
        kind=Kind.DIRECTIVE,
        help="Replaces the failed module's output and goes on after it.",
        open_mapper=True,
        directive=Directive.RESUME,
        operations=0,
        credits=0,
    ),
    ModuleSpec(
        name="builtin:Commit",
        label="Commit",
        kind=Kind.DIRECTIVE,
        help="Stops the run and keeps what was done.",
        directive=Directive.COMMIT,
        operations=0,
        credits=0,
    ),
    ModuleSpec(
        name="builtin:Rollback",
        label="Rollback",
        kind=Kind.DIRECTIVE,
        help="Stops the run, undoes what can be undone and marks the run as failed.",
        directive=Directive.ROLLBACK,
        operations=0,
        credits=0,
    ),
    ModuleSpec(
        name="builtin:Break",
        label="Break",
        kind=Kind.DIRECTIVE,
        help="Stores the bundle as an incomplete execution and goes on with the next.",
        mapper=(
            Field(name="retry", type="boolean", label="Automatically complete execution", default=True),
            Field(
                name="count",
                type="uinteger",
                label="Number of attempts",
                default=3,
                validate=Bounds(min=1, max=_MAX_ATTEMPTS),
            ),
            Field(
                name="interval",
                type="uinteger",
                label="Interval between attempts (minutes)",
                default=15,
                validate=Bounds(min=1, max=_MAX_MINUTES),
            ),
        ),
        directive=Directive.BREAK,
        operations=0,
        credits=0,
    ),
    ModuleSpec(
        name="builtin:ThrowError",
        label="Throw an error",
        kind=Kind.ACTION,
        help="Fails with a message of your own.",
        mapper=_MESSAGE,
        run=_throw,
        operations=0,
        credits=0,
    ),
    ModuleSpec(
        name="builtin:ThrowWarning",
        label="Throw a warning",
        kind=Kind.ACTION,
        help="Marks the run with a warning and goes on.",
        mapper=_MESSAGE,
        run=_warn,
        operations=0,
        credits=0,
    ),
)
