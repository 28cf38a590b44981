"""The app `math`: formulas whose text comes at run time. For fixed ones the mapping language has its own operators."""

from typing import Final

from make_bridge.engine.apps.arithmetic import MAX_LENGTH, evaluate
from make_bridge.engine.apps.fields import Bounds, Field
from make_bridge.engine.apps.module import Bundles, Kind, ModuleCall, ModuleSpec
from make_bridge.engine.values import to_text


def _evaluate(call: ModuleCall) -> Bundles:
    return [{"result": evaluate(to_text(call.input["expression"]))}]


MODULES: Final = (
    ModuleSpec(
        name="math:EvaluateExpression",
        label="Evaluate an expression",
        kind=Kind.TRANSFORMER,
        help="Calculates a formula such as 2 * (3 + 4)^2 or round(mean(1, 2, 4), 2).",
        mapper=(
            Field(
                name="expression",
                type="text",
                label="Expression",
                required=True,
                multiline=True,
                help="Numbers, + - * / % ^ !, comparisons, and, or, not, ?: and functions of one or more numbers.",
                validate=Bounds(max=MAX_LENGTH),
            ),
        ),
        output=(Field(name="result", type="number", label="Result"),),
        run=_evaluate,
    ),
)
