"""Calls of functions as closures: convert the arguments, charge, run, and say where it failed."""

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.functions.signature import Function, Parameter, SpecialForm
from make_bridge.engine.iml.paths import Evaluator
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.syntax import Call
from make_bridge.engine.values import Value


def compile_call(call: Call, function: Function | SpecialForm | None, arguments: tuple[Evaluator, ...]) -> Evaluator:
    """Return the closure of a call; what is wrong with the call itself is said when it is evaluated.

    A blueprint can so be imported and repaired although it calls what does not exist.
    """
    if function is None:
        return _failing(call, f"The function {call.name}() does not exist.")
    if not function.required <= len(arguments) <= function.most:
        return _failing(call, _wrong_count(function, len(arguments)))
    if isinstance(function, SpecialForm):
        return function.build(arguments)
    if len(arguments) == len(function.parameters) == 1:
        return _one_argument(call, function, arguments[0])
    return _any_arguments(call, function, arguments)


def _failing(call: Call, message: str) -> Evaluator:
    def evaluate(_scope: Scope) -> Value:
        raise ExpressionError(message, function=call.name, position=call.position)

    return evaluate


def _wrong_count(function: Function | SpecialForm, given: int) -> str:
    least, most = function.required, function.most
    if given < least or least == most:
        expected = f"{least}" if least == most else f"at least {least}"
    else:
        expected = f"at most {most}"
    return f"The function {function.name}() takes {expected} arguments; it is given {given}."


def _one_argument(call: Call, function: Function, argument: Evaluator) -> Evaluator:
    run, convert, on_null = function.run, function.parameters[0], function.on_null

    def evaluate(scope: Scope) -> Value:
        value = argument(scope)
        if on_null is not None and on_null.covers(value):
            return on_null.value
        place: int | None = 1
        try:
            scope.budget.step()
            converted = convert(value, scope)
            place = None
            return run(scope, converted)
        except ExpressionError as error:
            error.locate(call.position, call.name, place)
            raise

    return evaluate


def _any_arguments(call: Call, function: Function, arguments: tuple[Evaluator, ...]) -> Evaluator:
    run, on_null = function.run, function.on_null
    first = arguments[0]
    parameters = _parameters(function, len(arguments))
    first_parameter = parameters[0]
    others = tuple(zip(range(2, len(arguments) + 1), arguments[1:], parameters[1:], strict=True))

    def evaluate(scope: Scope) -> Value:
        value = first(scope)
        if on_null is not None and on_null.covers(value):
            return on_null.value
        place: int | None = 1
        try:
            scope.budget.step()
            converted = [first_parameter(value, scope)]
            for place, argument, parameter in others:  # noqa: B007 - named in the error
                converted.append(parameter(argument(scope), scope))
            place = None
            return run(scope, *converted)
        except ExpressionError as error:
            error.locate(call.position, call.name, place)
            raise

    return evaluate


def _parameters(function: Function, count: int) -> tuple[Parameter, ...]:
    """Return a parameter for each argument of this call."""
    if function.rest is None:
        return function.parameters[:count]
    return function.parameters[:count] + (function.rest,) * (count - len(function.parameters))
