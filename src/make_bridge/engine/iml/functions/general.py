"""General functions (spec §7.1): choosing, comparing, and looking into collections."""

from typing import Final

from make_bridge.engine.iml.compiled import Evaluator
from make_bridge.engine.iml.equality import same
from make_bridge.engine.iml.functions.parameters import anything, collection
from make_bridge.engine.iml.functions.signature import Function, OnNull, Run, SpecialForm, example
from make_bridge.engine.iml.paths import find, finder
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.texts import text_of
from make_bridge.engine.values import IGNORE, Value, size_of, truthy

_NULL: Final = OnNull(value=None)
_USER: Final[Value] = {"id": 7, "name": "Ann", "password": "secret"}


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


def _prepare_get(path: Value) -> Run:
    follow = finder(path)
    return lambda scope, value: follow(value, scope)


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
    SpecialForm(
        name="if",
        summary="Returns the first value when the condition holds, else the second; only that one is evaluated.",
        signature="if(condition; then; [else])",
        build=_build_if,
        required=2,
        most=3,
        examples=(
            example('if(2 > 1; "yes"; "no")', "yes"),
            example('if(1.status = "new"; "welcome"; )', None, {"status": "old"}),
        ),
    ),
    SpecialForm(
        name="ifempty",
        summary="Returns the value, or the fallback when it is null, an empty text or an empty array.",
        signature="ifempty(value; fallback)",
        build=_build_ifempty,
        required=2,
        most=2,
        examples=(example('ifempty(1.name; "nobody")', "nobody", {"name": ""}), example("ifempty(0; 5)", 0)),
    ),
    SpecialForm(
        name="switch",
        summary="Returns the result that stands behind the first equal value; a last argument without one is for else.",
        signature="switch(expression; value; result; …; [else])",
        build=_build_switch,
        required=3,
        fallible=True,
        examples=(
            example('switch("b"; "a"; 1; "b"; 2)', 2),
            example('switch("z"; "a"; 1; 9)', 9),
            example('switch("z"; "a"; 1)', None),
        ),
    ),
)

GENERAL: Final = (
    Function(
        name="get",
        summary="Finds a value inside a collection or an array by a dotted path; positions count from 1.",
        run=_get,
        prepare=_prepare_get,
        parameters=(anything("source"), anything("path")),
        required=2,
        on_null=_NULL,
        examples=(
            example('get(split("a,b"; ","); 2)', "b"),
            example('get(1.user; "address.city")', "Brno", {"user": {"address": {"city": "Brno"}}}),
            example('get(1.items; "2.name")', "two", {"items": [{"name": "one"}, {"name": "two"}]}),
        ),
    ),
    Function(
        name="equal",
        summary="Says whether two values are equal, as = does.",
        run=_equal,
        parameters=(anything("first"), anything("second")),
        required=2,
        examples=(example("equal(1; 1)", result=True), example('equal("a"; "b")', result=False)),
    ),
    Function(
        name="pick",
        summary="Returns the collection with only the keys named; keys it has not are ignored.",
        run=_pick,
        parameters=(collection("collection"),),
        rest=anything("key"),
        required=2,
        on_null=_NULL,
        examples=(example('pick(1.user; "id"; "name")', {"id": 7, "name": "Ann"}, {"user": _USER}),),
    ),
    Function(
        name="omit",
        summary="Returns the collection without the keys named.",
        run=_omit,
        parameters=(collection("collection"),),
        rest=anything("key"),
        required=2,
        on_null=_NULL,
        examples=(example('omit(1.user; "password")', {"id": 7, "name": "Ann"}, {"user": _USER}),),
    ),
    Function(
        name="mergeCollections",
        summary="Returns one collection with the members of both; the second wins.",
        run=_merge_collections,
        parameters=(collection("first"), collection("second")),
        required=2,
        examples=(example("mergeCollections(1.a; 1.b)", {"x": 2, "y": 3}, {"a": {"x": 1}, "b": {"x": 2, "y": 3}}),),
    ),
)
