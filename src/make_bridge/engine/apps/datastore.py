"""The app `datastore`: records that a team's scenarios keep, with changes that are undone when a run fails.

Reads and writes go through the run's overlay (`call.host.stores`); the runner commits. A module writes as the last
thing it does, so that one that fails has changed nothing. Columns in filters and sorts are literal names: a path into a
collection is written with dots where no column has that very name, and `key` is the record's own key.
"""

import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial, wraps
from typing import Final

from make_bridge.engine.apps.fields import Bounds, Field, choices
from make_bridge.engine.apps.module import Collection, Effect, ErrorType, Kind, ModuleCall, ModuleError, ModuleSpec
from make_bridge.engine.blueprint.mapping import checked_collection, validation_failed
from make_bridge.engine.blueprint.record_filters import compile_record_filter
from make_bridge.engine.stores import DataStoreFacts, StoredRecord, StoreFull, StoreMissing
from make_bridge.engine.values import Value, size_of, to_array, to_number, to_text
from make_bridge.kernel.errors import InvalidInput, Unavailable

MAX_RESULTS: Final = 10_000
MAX_RESULT_BYTES: Final = 64 * 1024 * 1024
MAX_KEY: Final = 255
Work = Callable[[ModuleCall], Awaitable[list[Collection]]]
_GENERATED: Final = 12
_SortKey = tuple[int, float, str]


def merged(old: Mapping[str, Value], new: Mapping[str, Value], *, overwrite_arrays: bool = True) -> Collection:
    """Return a record with some values changed: collections are merged, arrays replaced or made longer."""
    made = dict(old)
    for name, value in new.items():
        known = made.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            made[name] = merged(known, value, overwrite_arrays=overwrite_arrays)
        elif isinstance(known, list) and isinstance(value, list) and not overwrite_arrays:
            made[name] = [*known, *value]
        else:
            made[name] = value
    return made


def _storing(work: Work) -> Work:
    """Turn what a data store says into errors a scenario can handle."""

    @wraps(work)
    async def perform(call: ModuleCall) -> list[Collection]:
        try:
            return await work(call)
        except StoreMissing as error:
            raise ModuleError(ErrorType.CONFIGURATION, error.message) from error
        except StoreFull as error:
            raise ModuleError(ErrorType.OUT_OF_SPACE, error.message) from error
        except InvalidInput as error:
            raise ModuleError(ErrorType.BUNDLE_VALIDATION, error.message) from error
        except Unavailable as error:
            raise ModuleError(ErrorType.CONNECTION, "The data store did not answer in time.") from error

    return perform


def _store(call: ModuleCall) -> int:
    chosen = call.parameters.get("datastore")
    if chosen is None or chosen == "":
        raise ModuleError(ErrorType.CONFIGURATION, "No data store is chosen.")
    digits = to_text(chosen)
    if not digits.isascii() or not digits.isdigit():
        raise ModuleError(ErrorType.CONFIGURATION, f"'{digits[:40]}' is not the id of a data store.")
    return int(digits)


def _key(call: ModuleCall) -> str:
    key = to_text(call.input.get("key"))
    if not 0 < len(key) <= MAX_KEY or any(unicodedata.category(character) in {"Cc", "Cs"} for character in key):
        message = f"A record's key has 1 to {MAX_KEY} characters and no control characters."
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, message)
    return key


def _given(call: ModuleCall) -> Collection:
    data = call.input.get("data")
    return data if isinstance(data, dict) else {}


def _checked(facts: DataStoreFacts, data: Collection) -> Collection:
    """Return the data as the store's structure wants it; what the run cannot commit later is refused here."""
    structure = facts.structure
    if structure is not None:
        data, problems = checked_collection(data, structure.fields, strict=structure.strict)
        if problems:
            raise validation_failed(problems)
    if size_of(data, facts.max_record_bytes) > facts.max_record_bytes:
        raise StoreFull(f"The record is larger than a record may be ({facts.max_record_bytes} bytes).")
    return data


async def _room(call: ModuleCall, facts: DataStoreFacts) -> None:
    if facts.bytes >= facts.max_bytes:
        raise StoreFull(f"The data store '{facts.name}' is full: it may hold {facts.max_bytes} bytes.")
    if await call.host.stores.count(facts.id) >= facts.max_records:
        raise StoreFull(f"The data store '{facts.name}' holds as many records as it may ({facts.max_records}).")


async def _add(call: ModuleCall) -> list[Collection]:
    stores, store_id = call.host.stores, _store(call)
    blank = call.input.get("key") in (None, "")
    key = call.key[:_GENERATED] if blank else _key(call)
    facts = await stores.facts(store_id)
    known = await stores.get(store_id, key)
    if known is not None and call.input.get("overwrite") is not True:
        message = f"Duplicate key: there is a record with the key '{key}' already."
        raise ModuleError(ErrorType.DUPLICATE_DATA, message)
    data = _checked(facts, _given(call))
    if known is None:
        await _room(call, facts)
    await stores.put(store_id, key, data)
    return [{"key": key}]


async def _update(call: ModuleCall) -> list[Collection]:
    stores, store_id, key = call.host.stores, _store(call), _key(call)
    facts = await stores.facts(store_id)
    known = await stores.get(store_id, key)
    if known is None and call.input.get("upsert") is not True:
        raise _no_record(key)
    changed = merged(known or {}, _given(call), overwrite_arrays=call.input.get("overwriteArrays") is True)
    data = _checked(facts, changed)
    if known is None:
        await _room(call, facts)
    await stores.put(store_id, key, data)
    return [{**data, "key": key}]


async def _get(call: ModuleCall) -> list[Collection]:
    """Give the record; where there is none, a bundle with nothing in it, so that the path can go on and ask."""
    store_id, key = _store(call), _key(call)
    await call.host.stores.facts(store_id)
    found = await call.host.stores.get(store_id, key)
    if call.input.get("returnWrapped") is True:
        return [{"key": key, "data": found}]
    return [dict(found or {})]


async def _exist(call: ModuleCall) -> list[Collection]:
    store_id, key = _store(call), _key(call)
    await call.host.stores.facts(store_id)
    return [{"exist": await call.host.stores.get(store_id, key) is not None}]


async def _delete(call: ModuleCall) -> list[Collection]:
    stores, store_id, key = call.host.stores, _store(call), _key(call)
    await stores.facts(store_id)
    found = await stores.get(store_id, key)
    if found is None:
        raise _no_record(key)
    await stores.remove(store_id, key)
    return [{**found, "key": key}]


async def _count(call: ModuleCall) -> list[Collection]:
    return [{"count": await call.host.stores.count(_store(call))}]


async def _delete_all(call: ModuleCall) -> list[Collection]:
    await call.host.stores.clear(_store(call))
    return [{}]


def _no_record(key: str) -> ModuleError:
    return ModuleError(ErrorType.DATA, f"There is no record with the key '{key}'.")


async def _search(call: ModuleCall) -> list[Collection]:
    stores, store_id, given = call.host.stores, _store(call), call.input
    await stores.facts(store_id)
    matches = compile_record_filter(given.get("filter"), call.host.timezone)
    order = _order(given.get("sort"))
    most = _limit(call)
    found: list[StoredRecord] = []
    held = 0
    if most:
        async for record in stores.scan(store_id):
            if not matches(partial(_column, record)):
                continue
            held += size_of(record.data) + len(record.key)
            if held > MAX_RESULT_BYTES:
                message = "The search finds more data than one run may hold: narrow its filter, or set a limit."
                raise ModuleError(ErrorType.RESULTS, message)
            found.append(record)
            if not order and len(found) == most:
                break
    for name, descending in reversed(order):
        found.sort(key=partial(_rank_in, name), reverse=descending)
    shown = found[:most]
    for record in shown:
        stores.see(store_id, record.key, record)
    if not shown and call.parameters.get("continueWhenNoRes") is True:
        return [{}]
    return [{"key": record.key, "data": record.data} for record in shown]


def _limit(call: ModuleCall) -> int:
    for raw in (call.input.get("mappAbleLimit"), call.parameters.get("limit")):
        if raw is not None and raw != "":
            return max(0, min(int(to_number(raw)), MAX_RESULTS))
    return MAX_RESULTS


def _order(raw: Value) -> list[tuple[str, bool]]:
    rows = [row for row in to_array(raw) if isinstance(row, dict)]
    named = [(to_text(row.get("key")), to_text(row.get("order")).casefold()) for row in rows]
    return [(name, order in {"desc", "descending", "-1"}) for name, order in named if name]


def _column(record: StoredRecord, name: str) -> Value:
    if name in record.data:
        return record.data[name]
    if name == "key":
        return record.key
    value: Value = record.data
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _rank_in(name: str, record: StoredRecord) -> _SortKey:
    return _rank(_column(record, name))


def _rank(value: Value) -> _SortKey:
    """Order nothing before numbers, dates and texts, each among its own kind."""
    if value is None:
        return (0, 0, "")
    if isinstance(value, bool | int | float):
        return (1, float(value), "")
    if isinstance(value, datetime):
        return (2, value.timestamp(), "")
    return (3, 0, to_text(value).casefold() if not isinstance(value, bytes) else value.hex())


_STORE: Final = Field(name="datastore", type="datastore", label="Data store", required=True)
_KEY: Final = Field(name="key", type="text", label="Key", required=True, validate=Bounds(max=MAX_KEY))
_DATA: Final = Field(name="data", type="collection", label="Record")

# A write that was interrupted is simply done again: the overlay is gone with the process, and what was committed is
# known by its number. So writes need no intent in the journal either.
MODULES: Final = (
    ModuleSpec(
        name="datastore:AddRecord",
        label="Add/replace a record",
        kind=Kind.ACTION,
        help="Keeps a record under a key; without a key it gets one.",
        parameters=(_STORE,),
        mapper=(
            Field(name="key", type="text", label="Key", validate=Bounds(max=MAX_KEY)),
            Field(name="overwrite", type="boolean", label="Overwrite an existing record", default=False),
            _DATA,
        ),
        output=(_KEY,),
        perform=_storing(_add),
        effect=Effect.READ,
        transactional=True,
    ),
    ModuleSpec(
        name="datastore:UpdateRecord",
        label="Update a record",
        kind=Kind.ACTION,
        help="Changes some of a record's values and gives the whole record.",
        parameters=(_STORE,),
        mapper=(
            _KEY,
            Field(name="upsert", type="boolean", label="Insert missing record", default=False),
            Field(
                name="overwriteArrays",
                type="boolean",
                label="Overwrite existing arrays",
                default=False,
                help="Off: the new items are added behind the old ones.",
            ),
            _DATA,
        ),
        output=(_KEY,),
        perform=_storing(_update),
        effect=Effect.READ,
        transactional=True,
    ),
    ModuleSpec(
        name="datastore:GetRecord",
        label="Get a record",
        kind=Kind.ACTION,
        help="Gives the record with this key; nothing when there is none.",
        parameters=(_STORE,),
        mapper=(_KEY, Field(name="returnWrapped", type="boolean", label="Return wrapped output", default=False)),
        output=(_KEY, _DATA),
        perform=_storing(_get),
        effect=Effect.READ,
    ),
    ModuleSpec(
        name="datastore:ExistRecord",
        label="Check the existence of a record",
        kind=Kind.ACTION,
        help="Says whether there is a record with this key.",
        parameters=(_STORE,),
        mapper=(_KEY,),
        output=(Field(name="exist", type="boolean", label="Exists"),),
        perform=_storing(_exist),
        effect=Effect.READ,
    ),
    ModuleSpec(
        name="datastore:DeleteRecord",
        label="Delete a record",
        kind=Kind.ACTION,
        help="Deletes the record with this key and gives what it was.",
        parameters=(_STORE,),
        mapper=(_KEY,),
        output=(_KEY,),
        perform=_storing(_delete),
        effect=Effect.READ,
        transactional=True,
    ),
    ModuleSpec(
        name="datastore:SearchRecord",
        label="Search records",
        kind=Kind.ACTION,
        help="Gives one bundle for each record that the filter lets through.",
        parameters=(
            _STORE,
            Field(name="limit", type="uinteger", label="Limit", help=f"At most {MAX_RESULTS}."),
            Field(
                name="continueWhenNoRes",
                type="boolean",
                label="Continue the execution of the route even if the module returns no results",
                default=False,
            ),
        ),
        mapper=(
            Field(name="filter", type="filter", label="Filter"),
            Field(
                name="sort",
                type="array",
                label="Sort",
                spec=(
                    Field(name="key", type="text", label="Key", required=True),
                    Field(
                        name="order", type="select", label="Order", options=choices(asc="Ascending", desc="Descending")
                    ),
                ),
            ),
            Field(name="mappAbleLimit", type="uinteger", label="Limit"),
        ),
        output=(_KEY, _DATA),
        perform=_storing(_search),
        effect=Effect.READ,
    ),
    ModuleSpec(
        name="datastore:CountRecord",
        label="Count records",
        kind=Kind.ACTION,
        help="Gives the number of records.",
        parameters=(_STORE,),
        output=(Field(name="count", type="uinteger", label="Count"),),
        perform=_storing(_count),
        effect=Effect.READ,
    ),
    ModuleSpec(
        name="datastore:DeleteAllRecord",
        label="Delete all records",
        kind=Kind.ACTION,
        help="Deletes every record of the data store.",
        parameters=(_STORE,),
        perform=_storing(_delete_all),
        effect=Effect.READ,
        transactional=True,
    ),
)
