"""Array functions (spec §7.5). Arrays are never changed in place: each function makes a new one.

Every element looked at costs a step, since an array can hold one large array many times.
"""

from datetime import datetime
from typing import Final, TypeAlias

from make_bridge.engine.dates import epoch_milliseconds
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.equality import Identity, identity, same
from make_bridge.engine.iml.functions.parameters import anything, array, as_array, optional, text, whole
from make_bridge.engine.iml.functions.signature import Function, Run, example
from make_bridge.engine.iml.operators import code_units
from make_bridge.engine.iml.paths import find, finder
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.texts import text_of
from make_bridge.engine.values import Value, describe, to_number

_BYTES_OF_A_SLOT: Final = 8
_ORDERS: Final = {"asc": (False, False), "desc": (True, False), "asc ci": (False, True), "desc ci": (True, True)}
_SortKey: TypeAlias = tuple[int, float | bytes]


def charge(scope: Scope, items: int) -> None:
    """Charge the reading of ``items`` elements and a new array of as many."""
    scope.budget.step(items)
    scope.budget.allocate(_BYTES_OF_A_SLOT * items)


def _first(_scope: Scope, items: list[Value]) -> Value:
    return items[0] if items else None


def _last(_scope: Scope, items: list[Value]) -> Value:
    return items[-1] if items else None


def _map(scope: Scope, items: list[Value], key: Value, filter_key: str | None = None, wanted: Value = None) -> Value:
    """Return the values of ``key``, of all elements or of those whose ``filter_key`` is one of the wanted texts."""
    charge(scope, len(items))
    chosen = items
    if filter_key and wanted is not None:
        accepted = _wanted_texts(scope, wanted)
        chosen = [item for item in items if _is_wanted(scope, find(item, filter_key, scope), accepted)]
    if key is None or key == "":
        return [*chosen]
    found = (find(item, key, scope) for item in chosen)
    return [value for value in found if value is not None]


def _prepare_map(key: Value, *condition: Value) -> Run | None:
    """Split the key once; a call with a condition takes the long way."""
    if condition or key is None or key == "":
        return None
    follow = finder(key)

    def run(scope: Scope, items: list[Value]) -> Value:
        charge(scope, len(items))
        return [value for item in items if (value := follow(item, scope)) is not None]

    return run


def _wanted_texts(scope: Scope, wanted: Value) -> frozenset[str]:
    """Read ``work,home``, or an array; a space after a comma may belong to the text or not."""
    if isinstance(wanted, list):
        scope.budget.step(len(wanted))
        return frozenset(text_of(item, scope) for item in wanted)
    written = text_of(wanted, scope)
    scope.budget.scan(8 * len(written))
    scope.budget.allocate(8 * len(written))
    pieces = written.split(",")
    return frozenset([*pieces, *(piece.strip() for piece in pieces)])


def _is_wanted(scope: Scope, value: Value, accepted: frozenset[str]) -> bool:
    return value is not None and text_of(value, scope) in accepted


def _join(scope: Scope, items: list[Value], separator: str) -> Value:
    charge(scope, len(items))
    texts = [text_of(item, scope) for item in items]
    scope.budget.allocate(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _add(scope: Scope, items: list[Value], *more: Value) -> Value:
    charge(scope, len(items) + len(more))
    return [*items, *more]


def _remove(scope: Scope, items: list[Value], *unwanted: Value) -> Value:
    charge(scope, len(items) * max(1, len(unwanted)))
    return [item for item in items if not any(same(item, one, scope) for one in unwanted)]


def _merge(scope: Scope, *arrays: list[Value]) -> Value:
    charge(scope, sum(map(len, arrays)))
    return [item for items in arrays for item in items]


def _slice(scope: Scope, items: list[Value], start: int, end: int | None = None) -> Value:
    charge(scope, len(items))
    return items[start:end]


def _sort(scope: Scope, items: list[Value], order: str | None = None, key: str | None = None) -> Value:
    """Sort by the elements or by a key of theirs; null comes last in either direction."""
    if order not in _ORDERS and key is None:
        order, key = None, order
    if (order or "asc") not in _ORDERS:
        raise ExpressionError(f"{describe(order)} is not an order; use asc, desc, asc ci or desc ci.", argument=2)
    descending, ignore_case = _ORDERS[order or "asc"]
    charge(scope, len(items) * (1 + len(items).bit_length() // 8))
    keyed = [(find(item, key, scope) if key else item, item) for item in items]
    present = [(_sort_key(scope, value, ignore_case=ignore_case), item) for value, item in keyed if value is not None]
    present.sort(key=lambda pair: pair[0], reverse=descending)
    return [*(item for _, item in present), *(item for value, item in keyed if value is None)]


def _sort_key(scope: Scope, value: Value, *, ignore_case: bool) -> _SortKey:
    """Order numbers by size, dates by time, everything else by its text's code units, in this order of kinds."""
    if isinstance(value, (int, float)):
        return 0, to_number(value)
    if isinstance(value, datetime):
        return 1, epoch_milliseconds(value)
    written = text_of(value, scope)
    scope.budget.scan(len(written))
    scope.budget.allocate(2 * len(written))
    return 2, code_units(written.lower() if ignore_case else written)


def _reverse(scope: Scope, items: list[Value]) -> Value:
    charge(scope, len(items))
    return items[::-1]


def _shuffle(scope: Scope, items: list[Value]) -> Value:
    charge(scope, 4 * len(items))
    shuffled = [*items]
    for place in range(len(shuffled) - 1, 0, -1):
        other = int(scope.random() * (place + 1))
        shuffled[place], shuffled[other] = shuffled[other], shuffled[place]
    return shuffled


def _distinct(scope: Scope, items: list[Value], key: str | None = None) -> Value:
    charge(scope, 2 * len(items))
    kept: dict[Identity, Value] = {}
    for item in items:
        kept.setdefault(identity(find(item, key, scope) if key else item, scope), item)
    return [*kept.values()]


def _flatten(scope: Scope, items: list[Value], depth: int | None = None) -> Value:
    """Open up nested arrays, all of them or as many levels as ``depth`` says."""
    flat: list[Value] = []
    waiting: list[tuple[Value, int]] = []
    _push(scope, waiting, items, 0)
    while waiting:
        item, level = waiting.pop()
        if isinstance(item, list) and (depth is None or level < depth):
            _push(scope, waiting, item, level + 1)
        else:
            flat.append(item)
    return flat


def _push(scope: Scope, waiting: list[tuple[Value, int]], items: list[Value], level: int) -> None:
    charge(scope, 1 + len(items))
    waiting.extend((item, level) for item in reversed(items))


def _difference(scope: Scope, items: list[Value], others: list[Value]) -> Value:
    unwanted = _identities(scope, others)
    charge(scope, 2 * len(items))
    return [item for item in items if identity(item, scope) not in unwanted]


def _intersection(scope: Scope, items: list[Value], others: list[Value]) -> Value:
    wanted = _identities(scope, others)
    charge(scope, 2 * len(items))
    return [item for item in items if identity(item, scope) in wanted]


def _identities(scope: Scope, items: list[Value]) -> set[object]:
    charge(scope, 2 * len(items))
    return {identity(item, scope) for item in items}


def _array_difference(scope: Scope, items: list[Value], others: list[Value], mode: str | None = None) -> Value:
    """Return what only the first array has; in mode ``symmetric`` what only one of both has."""
    if mode not in {None, "", "classic", "symmetric"}:
        raise ExpressionError(f"{describe(mode)} is not a mode; use classic or symmetric.", argument=3)
    result = _difference(scope, items, others)
    if mode != "symmetric" or not isinstance(result, list):
        return result
    return _merge(scope, result, as_array(_difference(scope, others, items), scope))


_MAILS: Final[Value] = {
    "mails": [{"label": "work", "address": "a@x"}, {"label": "home", "address": "b@x"}, {"label": "other"}]
}
_PEOPLE: Final[Value] = {"people": [{"name": "Ann", "age": 9}, {"name": "Bob", "age": 30}, {"name": "Ann", "age": 41}]}

ARRAYS: Final = (
    Function(
        name="first",
        summary="Returns the first element; null when there is none.",
        run=_first,
        parameters=(array("array"),),
        required=1,
        examples=(example('first(split("a,b"; ","))', "a"), example("first(emptyarray)", None)),
    ),
    Function(
        name="last",
        summary="Returns the last element; null when there is none.",
        run=_last,
        parameters=(array("array"),),
        required=1,
        examples=(example('last(split("a,b"; ","))', "b"),),
    ),
    Function(
        name="map",
        summary="Returns the values of a key of all elements, or of those whose filter key has one of the values.",
        run=_map,
        prepare=_prepare_map,
        parameters=(array("array"), anything("key"), optional(text("filterKey")), anything("filterValues")),
        required=2,
        examples=(
            example('map(1.mails; "address")', ["a@x", "b@x"], _MAILS),
            example('map(1.mails; "address"; "label"; "work,other")', ["a@x"], _MAILS),
            example('get(map(1.mails; "address"; "label"; "home"); 1)', "b@x", _MAILS),
        ),
    ),
    Function(
        name="join",
        summary="Returns the elements as one text with a separator between them.",
        run=_join,
        parameters=(array("array"), text("separator")),
        required=2,
        examples=(example('join(split("a b"; space); "-")', "a-b"), example('join(emptyarray; ",")', "")),
    ),
    Function(
        name="add",
        summary="Returns the array with values added at its end.",
        run=_add,
        parameters=(array("array"),),
        rest=anything("value"),
        required=2,
        examples=(example('add(split("a"; ","); "b"; 3)', ["a", "b", 3]),),
    ),
    Function(
        name="remove",
        summary="Returns the array without the elements that equal one of the values.",
        run=_remove,
        parameters=(array("array"),),
        rest=anything("value"),
        required=2,
        examples=(example('remove(split("a,b,a"; ","); "a")', ["b"]),),
    ),
    Function(
        name="merge",
        summary="Returns one array with the elements of all.",
        run=_merge,
        parameters=(),
        rest=array("array"),
        required=1,
        examples=(example('merge(split("a"; ","); split("b"; ","))', ["a", "b"]),),
    ),
    Function(
        name="slice",
        summary="Returns the elements from start up to, but without, end; the first is 0, -1 is the last.",
        run=_slice,
        parameters=(array("array"), whole("start"), optional(whole("end"))),
        required=2,
        examples=(
            example('slice(split("a,b,c"; ","); 1)', ["b", "c"]),
            example('slice(split("a,b,c"; ","); 0; 1)', ["a"]),
        ),
    ),
    Function(
        name="sort",
        summary="Sorts by the elements or a key of them: asc, desc, or asc ci and desc ci, which ignore letter case.",
        run=_sort,
        parameters=(array("array"), optional(text("order")), optional(text("key"))),
        required=1,
        examples=(
            example('sort(split("b,a,C"; ","))', ["C", "a", "b"]),
            example('sort(split("b,a,C"; ","); "asc ci")', ["a", "b", "C"]),
            example('map(sort(1.people; "desc"; "age"); "age")', [41, 30, 9], _PEOPLE),
        ),
    ),
    Function(
        name="reverse",
        summary="Returns the elements in the opposite order.",
        run=_reverse,
        parameters=(array("array"),),
        required=1,
        examples=(example('reverse(split("a,b"; ","))', ["b", "a"]),),
    ),
    Function(
        name="shuffle",
        summary="Returns the elements in an order of chance, the same when the execution is repeated.",
        run=_shuffle,
        parameters=(array("array"),),
        required=1,
        pure=False,
        examples=(example('length(shuffle(split("a,b,c"; ",")))', 3),),
    ),
    Function(
        name="distinct",
        summary="Returns the elements without repetitions, of the whole or of a key; the first is kept.",
        run=_distinct,
        parameters=(array("array"), optional(text("key"))),
        required=1,
        examples=(
            example('distinct(split("a,b,a"; ","))', ["a", "b"]),
            example('map(distinct(1.people; "name"); "age")', [9, 30], _PEOPLE),
        ),
    ),
    Function(
        name="deduplicate",
        summary="Returns the elements without repetitions; the first is kept.",
        run=_distinct,
        parameters=(array("array"),),
        required=1,
        examples=(example('deduplicate(split("a,b,a"; ","))', ["a", "b"]),),
    ),
    Function(
        name="flatten",
        summary="Opens up arrays inside the array, all of them or so many levels.",
        run=_flatten,
        parameters=(array("array"), optional(whole("depth"))),
        required=1,
        examples=(
            example("flatten(1.deep)", [1, 2, 3], {"deep": [1, [2, [3]]]}),
            example("flatten(1.deep; 1)", [1, 2, [3]], {"deep": [1, [2, [3]]]}),
        ),
    ),
    Function(
        name="arrayDiff",
        summary="Returns the elements of the first array that are not in the second.",
        run=_difference,
        parameters=(array("first"), array("second")),
        required=2,
        examples=(example("arrayDiff(1.a; 1.b)", [1, 3], {"a": [1, 2, 3], "b": [2]}),),
    ),
    Function(
        name="arrayIntersect",
        summary="Returns the elements of the first array that are in the second.",
        run=_intersection,
        parameters=(array("first"), array("second")),
        required=2,
        examples=(example("arrayIntersect(1.a; 1.b)", [2], {"a": [1, 2, 3], "b": [2, 9]}),),
    ),
    Function(
        name="arrayDifference",
        summary="Returns what only the first array has (classic), or what only one of both has (symmetric).",
        run=_array_difference,
        parameters=(array("first"), array("second"), optional(text("mode"))),
        required=2,
        examples=(
            example('arrayDifference(1.a; 1.b; "symmetric")', [1, 3], {"a": [1, 2], "b": [2, 3]}),
            example("arrayDifference(1.a; 1.b)", [1], {"a": [1, 2], "b": [2, 3]}),
        ),
    ),
)
