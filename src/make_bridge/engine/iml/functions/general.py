"""General functions (spec §7.1): choosing, comparing, and looking into collections."""

from typing import Final

from make_bridge.engine.iml.equality import same
from make_bridge.engine.iml.functions.signature import (
    Function,
    OnNull,
    SpecialForm,
    anything,
    collection,
)
from make_bridge.engine.iml.paths import Evaluator, find
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.texts import text_of
from make_bridge.engine.values import IGNORE, Value, size_of, truthy

_NULL: Final = OnNull(value=None)


def _build_if(arguments: tuple[Evaluator, ...]) -> Evaluator:
    test, then = arguments[0], arguments[1]
    otherwise = arguments[2] if len(arguments) > 2 else _nothing  # noqa: PLR2004 - the third argument

    def evaluate(scope: Scope) -> Value:
        return then(scope) if truthy(test(scope)) else otherwise(scope)

    return evaluate


def _nothing(_scope: Scope) -> Value:
    return None


def _build_ifempty(arguments: tuple[Evaluator, ...]) -> Evaluator:
    wanted, fallback = arguments

    def evaluate(scope: Scope) -> Value:
        value = wanted(scope)
        return fallback(scope) if _is_empty(value) else value

    return evaluate


def _is_empty(value: Value) -> bool:
    """Say whether ``value`` is null, "" or []; 0 and false are values."""
    return value is None or value in ("", []) or type(value) is type(IGNORE)


def _build_switch(arguments: tuple[Evaluator, ...]) -> Evaluator:
    subject, *choices = arguments
    otherwise = choices.pop() if len(choices) % 2 else _nothing
    cases = tuple(zip(choices[::2], choices[1::2], strict=True))

    def evaluate(scope: Scope) -> Value:
        value = subject(scope)
        for candidate, result in cases:
            if same(value, candidate(scope), scope):
                return result(scope)
        return otherwise(scope)

    return evaluate


def _get(scope: Scope, value: Value, path: Value) -> Value:
    return find(value, path, scope)


def _equal(scope: Scope, left: Value, right: Value) -> Value:
    return same(left, right, scope)


def _names(scope: Scope, keys: tuple[Value, ...]) -> set[str]:
    """Return the names given one by one or as arrays."""
    names: set[str] = set()
    for key in keys:
        members = key if isinstance(key, list) else [key]
        scope.budget.step(len(members))
        names.update(text_of(member, scope) for member in members)
    return names


def _pick(scope: Scope, source: dict[str, Value], *keys: Value) -> Value:
    names = _names(scope, keys)
    _charge_copy(scope, source)
    return {key: value for key, value in source.items() if key in names}


def _omit(scope: Scope, source: dict[str, Value], *keys: Value) -> Value:
    names = _names(scope, keys)
    _charge_copy(scope, source)
    return {key: value for key, value in source.items() if key not in names}


def _merge_collections(scope: Scope, first: dict[str, Value], second: dict[str, Value]) -> Value:
    _charge_copy(scope, first)
    _charge_copy(scope, second)
    return {**first, **second}


def _charge_copy(scope: Scope, source: dict[str, Value]) -> None:
    """Charge a new collection with the members of ``source``, which themselves are shared."""
    scope.budget.step(len(source))
    scope.budget.allocate(size_of(dict.fromkeys(source)))


SPECIAL_FORMS: Final = (
    SpecialForm(name="if", build=_build_if, required=2, most=3),
    SpecialForm(name="ifempty", build=_build_ifempty, required=2, most=2),
    SpecialForm(name="switch", build=_build_switch, required=3),
)

GENERAL: Final = (
    Function(name="get", run=_get, parameters=(anything, anything), required=2, on_null=_NULL),
    Function(name="equal", run=_equal, parameters=(anything, anything), required=2),
    Function(name="pick", run=_pick, parameters=(collection,), rest=anything, required=2, on_null=_NULL),
    Function(name="omit", run=_omit, parameters=(collection,), rest=anything, required=2, on_null=_NULL),
    Function(name="mergeCollections", run=_merge_collections, parameters=(collection, collection), required=2),
)
