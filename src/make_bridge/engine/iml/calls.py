"""Calls of functions as closures: convert the arguments, charge, run, and say where it failed.

Arguments that are constants are converted here, once. Most calls then have one argument left to look at, so there is
a closure for that shape beside the general one.
"""

from collections.abc import Sequence
from typing import Final

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml import limits
from make_bridge.engine.iml.compiled import Compiled, Evaluator
from make_bridge.engine.iml.functions.parameters import Convert, Parameter
from make_bridge.engine.iml.functions.signature import Function, OnNull, Run, SpecialForm
from make_bridge.engine.iml.scope import CallingScope, Scope
from make_bridge.engine.iml.syntax import Call
from make_bridge.engine.values import ERASE, IGNORE, Value

_COST_OF_PREPARING: Final = 50  # bounds how many patterns one template can make us compile before it runs


def compile_call(
    call: Call, function: Function | SpecialForm | None, arguments: tuple[Compiled, ...], compiling: Scope
) -> Evaluator:
    """Return the closure of a call; what is wrong with the call itself is said when it is evaluated.

    A blueprint can so be imported and repaired although it calls what does not exist.
    """
    if function is None:
        return _function_of_team(call, arguments)
    if not function.required <= len(arguments) <= function.most:
        return _failing(call, _wrong_count(function, len(arguments)))
    if isinstance(function, SpecialForm):
        evaluate = function.build(tuple(argument.evaluate for argument in arguments))
        return _naming(call, evaluate) if function.fallible else evaluate
    parameters = _parameters(function, len(arguments))
    converted = [
        _converted(argument, parameter, compiling)
        for argument, parameter in zip(arguments[1:], parameters[1:], strict=True)
    ]
    if any(known is None for known in converted):
        return _several_vary(call, function, arguments, parameters, converted)
    constants = [known[0] for known in converted if known is not None]
    return _first_varies(
        call, function, arguments[0].evaluate, parameters[0].convert, _prepared(function, constants, compiling)
    )


def _function_of_team(call: Call, arguments: tuple[Compiled, ...]) -> Evaluator:
    """Call what is no function of the language, in a scope that knows more of them."""
    readers = tuple(argument.evaluate for argument in arguments)
    unknown = _failing(call, f"The function {call.name}() does not exist.")

    def evaluate(scope: Scope) -> Value:
        if not isinstance(scope, CallingScope):
            return unknown(scope)
        try:
            scope.budget.step(limits.TEAM_FUNCTION)
            given = [_plain(read(scope)) for read in readers]
            return scope.call(call.name, given)
        except ExpressionError as error:
            error.locate_call(call.position, call.name, None, ())
            raise

    return evaluate


def _plain(value: Value) -> Value:
    return None if value is IGNORE or value is ERASE else value


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
    noun = "argument" if expected == "1" else "arguments"
    return f"The function {function.name}() takes {expected} {noun}; it is given {given}. Write {function.signature}."


def _naming(call: Call, evaluate: Evaluator) -> Evaluator:
    """Say the name of a special form where it fails itself."""

    def evaluate_named(scope: Scope) -> Value:
        try:
            return evaluate(scope)
        except ExpressionError as error:
            error.locate_call(call.position, call.name, None, ())
            raise

    return evaluate_named


def _parameters(function: Function, count: int) -> tuple[Parameter, ...]:
    """Return a parameter for each argument of this call."""
    if function.rest is None:
        return function.parameters[:count]
    return function.parameters[:count] + (function.rest,) * (count - len(function.parameters))


def _converted(argument: Compiled, parameter: Parameter, compiling: Scope) -> tuple[object] | None:
    """Return a constant argument as the function wants it; None when only an evaluation can tell."""
    if argument.known is None or parameter.zoned:
        return None
    try:
        return (parameter.convert(argument.known.value, compiling),)
    except ExpressionError:
        return None


def _prepared(function: Function, constants: list[object], compiling: Scope) -> Run:
    """Return what is left to run when all arguments but the first are constants."""
    run = function.run
    if function.prepare is not None and compiling.budget.steps > 0:
        compiling.budget.steps -= _COST_OF_PREPARING
        try:
            prepared = function.prepare(*constants)
        except ExpressionError:
            prepared = None  # the evaluation will say it, with its place
        if prepared is not None:
            return prepared
    match constants:
        case []:
            return run
        case [second]:
            return lambda scope, first: run(scope, first, second)
        case _:
            return lambda scope, first: run(scope, first, *constants)


def _first_varies(call: Call, function: Function, first: Evaluator, convert: Convert, run: Run) -> Evaluator:
    names = [parameter.name for parameter in function.all_parameters]
    skips, empty_too, nothing = _on_null(function.on_null)

    def evaluate(scope: Scope) -> Value:
        value = first(scope)
        if skips and (value is None or value is IGNORE or value is ERASE or (empty_too and value == "")):
            return nothing
        place: int | None = 1
        try:
            scope.budget.step()
            converted = convert(value, scope)
            place = None
            return run(scope, converted)
        except ExpressionError as error:
            error.locate_call(call.position, call.name, place, names)
            raise

    return evaluate


def _several_vary(
    call: Call,
    function: Function,
    arguments: Sequence[Compiled],
    parameters: Sequence[Parameter],
    converted: Sequence[tuple[object] | None],
) -> Evaluator:
    names = [parameter.name for parameter in function.all_parameters]
    skips, empty_too, nothing = _on_null(function.on_null)
    run, first, convert = function.run, arguments[0].evaluate, parameters[0].convert
    constants = [None, *(known[0] if known else None for known in converted)]
    others = tuple(
        (place, argument.evaluate, parameter.convert)
        for place, (argument, parameter, known) in enumerate(
            zip(arguments[1:], parameters[1:], converted, strict=True), 1
        )
        if known is None
    )

    def evaluate(scope: Scope) -> Value:
        value = first(scope)
        if skips and (value is None or value is IGNORE or value is ERASE or (empty_too and value == "")):
            return nothing
        place = 0
        values = [*constants]
        try:
            scope.budget.step()
            values[0] = convert(value, scope)
            for place, read, convert_other in others:
                values[place] = convert_other(read(scope), scope)
            place = -1
            return run(scope, *values)
        except ExpressionError as error:
            error.locate_call(call.position, call.name, place + 1 or None, names)
            raise

    return evaluate


def _on_null(on_null: OnNull | None) -> tuple[bool, bool, Value]:
    """Take apart what a function says about a missing first argument, for a closure to look at."""
    return (False, False, None) if on_null is None else (True, on_null.also_for_empty_text, on_null.value)
