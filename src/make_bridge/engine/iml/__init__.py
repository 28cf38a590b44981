"""IML, the mapping expression language: templates such as ``{{upper(1.name)}}`` inside blueprints.

The public face of the package: compile once, evaluate many times against a ``Scope``. Nothing of the
host language is reachable from an expression: the grammar is an allow-list, user patterns go through RE2,
and a ``Budget`` is charged before data is made. Values are never parsed again, so data that contains
``{{…}}`` stays data.
"""

from make_bridge.engine.expression_errors import BudgetExceeded, ExpressionError, ExpressionSyntaxError
from make_bridge.engine.iml.compiler import Reference
from make_bridge.engine.iml.scope import Budget, Scope
from make_bridge.engine.iml.structure import CompiledValue, compile_value
from make_bridge.engine.iml.template import Template, compile_template

__all__ = [
    "Budget",
    "BudgetExceeded",
    "CompiledValue",
    "ExpressionError",
    "ExpressionSyntaxError",
    "Reference",
    "Scope",
    "Template",
    "compile_template",
    "compile_value",
]
