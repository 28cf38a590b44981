"""Functions between collections and arrays (spec §7.5)."""

from typing import Final

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.functions.parameters import anything, array, as_collection, text
from make_bridge.engine.iml.functions.signature import Function, example
from make_bridge.engine.iml.paths import find
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.texts import text_of
from make_bridge.engine.values import Value, describe

_BYTES_OF_A_SLOT: Final = 8
_BYTES_OF_A_COLLECTION: Final = 128


def _keys(scope: Scope, source: Value) -> Value:
    """Return the names of a collection's members, or the positions of an array's elements."""
    if source is None:
        return []
    if not isinstance(source, (dict, list)):
        raise ExpressionError(f"{describe(source)} is not a valid collection.", argument=1)
    scope.budget.step(len(source))
    scope.budget.allocate(_BYTES_OF_A_SLOT * len(source))
    return [*source] if isinstance(source, dict) else [*range(1, len(source) + 1)]


def _to_array(scope: Scope, source: Value) -> Value:
    """Return a collection's members as ``{key, value}``; an array is one already."""
    if isinstance(source, list):
        return source
    members = as_collection(source, scope)
    scope.budget.step(len(members))
    scope.budget.allocate(_BYTES_OF_A_COLLECTION * len(members))
    return [{"key": key, "value": value} for key, value in members.items()]


def _to_collection(scope: Scope, items: list[Value], key_field: str, value_field: str) -> Value:
    """Make a collection from an array of pairs; of equal keys the last wins, elements without a key are left out."""
    scope.budget.step(len(items))
    scope.budget.allocate(_BYTES_OF_A_COLLECTION * len(items))
    made: dict[str, Value] = {}
    for item in items:
        key = find(item, key_field, scope)
        if key is not None:
            made[text_of(key, scope)] = find(item, value_field, scope)
    return made


COLLECTIONS: Final = (
    Function(
        name="keys",
        summary="Returns the names of a collection's members, or the positions of an array's elements.",
        run=_keys,
        parameters=(anything("source"),),
        required=1,
        examples=(example("keys(1.user)", ["id", "name"], {"user": {"id": 7, "name": "Ann"}}),),
    ),
    Function(
        name="toArray",
        summary="Returns a collection's members as an array of collections with key and value.",
        run=_to_array,
        parameters=(anything("source"),),
        required=1,
        examples=(example("toArray(1.user)", [{"key": "name", "value": "Ann"}], {"user": {"name": "Ann"}}),),
    ),
    Function(
        name="toCollection",
        summary="Makes a collection from an array of collections: one field gives the keys, one the values.",
        run=_to_collection,
        parameters=(array("array"), text("keyField"), text("valueField")),
        required=3,
        examples=(
            example(
                'toCollection(1.headers; "name"; "value")',
                {"accept": "text/html", "x-id": "17"},
                {"headers": [{"name": "accept", "value": "text/html"}, {"name": "x-id", "value": "17"}]},
            ),
        ),
    ),
)
