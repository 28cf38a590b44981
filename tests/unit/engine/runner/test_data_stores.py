"""Data stores in a run: what modules see, when changes take effect, what a second attempt finds."""

from collections.abc import Mapping
from typing import Any

import pytest

from make_bridge.domain.data_structures.model import engine_structure
from make_bridge.engine.ports import NullJournal, Ports
from make_bridge.engine.runner.memory_stores import MemoryStores
from make_bridge.engine.runner.request import RunRequest
from make_bridge.engine.runner.result import Ending
from make_bridge.engine.runner.run import run
from make_bridge.engine.stores import StoreCommit
from make_bridge.kernel.errors import Unavailable
from support.blueprints import feeder, module, program, request, returns, router, webhook, when
from support.scripted import MemoryJournal

STORE = 9


def ds(number: int, name: str, mapper: Any = None, **rest: Any) -> dict[str, Any]:
    parameters = {"datastore": STORE} | rest.pop("parameters", {})
    return module(number, f"datastore:{name}", mapper, parameters=parameters, **rest)


def add(number: int, key: str, data: Any = None, **rest: Any) -> dict[str, Any]:
    mapper = {"key": key, "overwrite": rest.pop("overwrite", False), "data": data or {}}
    return ds(number, "AddRecord", mapper, **rest)


def update(number: int, key: str, data: Any, **rest: Any) -> dict[str, Any]:
    names = ("upsert", "overwriteArrays")
    mapper = {"key": key, "data": data} | {name: rest.pop(name) for name in names if name in rest}
    return ds(number, "UpdateRecord", mapper, **rest)


def fail(number: int, **rest: Any) -> dict[str, Any]:
    return module(number, "builtin:ThrowError", {"message": "no further"}, **rest)


def stores_of(records: Mapping[str, Any] | None = None, **facts: Any) -> MemoryStores:
    stores = MemoryStores()
    stores.add_store(STORE, records or {}, **facts)
    return stores


async def go(
    stores: MemoryStores, *flow: Any, asked: RunRequest | None = None, journal: Any = None, **scenario: Any
) -> Any:
    ports = Ports(stores=stores, structures=stores, journal=journal or NullJournal())
    return await run(program(*flow, **scenario), asked or request(inputs={}), ports)


def kept(stores: MemoryStores) -> dict[str, Any]:
    return stores.contents()[STORE]


# What the modules give.


async def test_a_record_is_added_under_its_key_and_given_back():
    stores = stores_of()
    result = await go(
        stores,
        add(1, "dana", {"n": 1, "tags": ["a"]}),
        ds(2, "GetRecord", {"key": "{{1.key}}"}),
        returns(3, n="{{2.n}}", k="{{1.key}}"),
    )
    assert (result.status, result.outputs) == ("success", {"n": 1, "k": "dana"})
    assert kept(stores) == {"dana": {"n": 1, "tags": ["a"]}}


async def test_a_blank_key_is_made_up_the_same_way_in_every_attempt():
    keys = []
    for _ in range(2):
        stores = stores_of()
        await go(stores, add(1, "", {"n": 1}), add(2, "", {"n": 2}))
        keys.append(list(kept(stores)))
        assert len(set(keys[-1])) == 2
    assert keys[0] == keys[1]


@pytest.mark.parametrize(("overwrite", "status"), [(False, "error"), (True, "success")])
async def test_a_key_that_is_taken_is_an_error_unless_it_may_be_overwritten(overwrite, status):
    stores = stores_of({"a": {"n": 1, "m": 1}})
    result = await go(stores, webhook(), add(2, "a", {"n": 2}, overwrite=overwrite), asked=request({}))
    assert result.status == status
    assert kept(stores)["a"] == ({"n": 2} if overwrite else {"n": 1, "m": 1})
    if not overwrite:
        assert result.error.type == "DuplicateDataError"


async def test_updating_merges_collections_and_makes_arrays_longer():
    stores = stores_of({"a": {"n": 1, "m": 1, "deep": {"x": 1, "y": 1}, "list": [1]}})
    result = await go(
        stores,
        update(1, "a", {"n": 2, "deep": {"y": 2}, "list": [2]}),
        update(2, "a", {"list": [3]}, overwriteArrays=True, filter=when("{{1.key}}", "exist")),
        returns(3, first="{{1.list}}", n="{{2.n}}", key="{{2.key}}"),
    )
    assert result.outputs == {"first": [1, 2], "n": 2, "key": "a"}
    assert kept(stores)["a"] == {"n": 2, "m": 1, "deep": {"x": 1, "y": 2}, "list": [3]}


@pytest.mark.parametrize(("upsert", "error"), [("false", "DataError"), ("true", None)])
async def test_updating_a_missing_record_needs_upsert(upsert, error):
    stores = stores_of()
    result = await go(stores, update(1, "a", {"n": 2}, upsert=upsert))
    assert (result.error and result.error.type) == error
    assert kept(stores) == ({} if error else {"a": {"n": 2}})


async def test_a_missing_record_gives_a_bundle_with_nothing_in_it():
    result = await go(
        stores_of(),
        ds(1, "GetRecord", {"key": "nobody"}),
        ds(2, "GetRecord", {"key": "nobody", "returnWrapped": True}),
        returns(3, bare="{{1.n}}", key="{{2.key}}", data="{{2.data}}"),
    )
    assert result.outputs == {"bare": None, "key": "nobody", "data": None}


async def test_exist_delete_count_and_delete_all():
    stores = stores_of({"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}})
    result = await go(
        stores,
        ds(1, "ExistRecord", {"key": "a"}),
        ds(2, "DeleteRecord", {"key": "a"}),
        ds(3, "ExistRecord", {"key": "a"}),
        ds(4, "CountRecord"),
        ds(5, "DeleteAllRecord"),
        ds(6, "CountRecord"),
        returns(7, before="{{1.exist}}", gone="{{2.n}}", after="{{3.exist}}", count="{{4.count}}", left="{{6.count}}"),
    )
    assert result.outputs == {"before": True, "gone": 1, "after": False, "count": 2, "left": 0}
    assert kept(stores) == {}


async def test_deleting_a_missing_record_is_an_error():
    result = await go(stores_of(), ds(1, "DeleteRecord", {"key": "a"}))
    assert result.error.type == "DataError"


PEOPLE = {
    "p1": {"name": "Ann", "age": 30, "address": {"city": "Brno"}},
    "p2": {"name": "bob", "age": 25, "address": {"city": "Oslo"}},
    "p3": {"name": "Cid", "age": 41},
    "p4": {"name": "Dee"},
}


async def _found(
    conditions: Any, *, sort: Any = None, limit: Any = None, mapped: Any = None, more: bool = False, stores: Any = None
) -> Any:
    search = ds(
        1,
        "SearchRecord",
        {"filter": conditions, "sort": sort or [], "mappAbleLimit": mapped},
        parameters={"limit": limit, "continueWhenNoRes": more},
    )
    collect = module(2, "builtin:BasicAggregator", {"k": "{{1.key}}"}, parameters={"feeder": 1})
    result = await go(stores or stores_of(PEOPLE), search, collect, returns(3, keys='{{map(2.array; "k")}}'))
    assert result.error is None, result.error
    return result.outputs["keys"]


@pytest.mark.parametrize(
    ("conditions", "keys"),
    [
        ([], ["p1", "p2", "p3", "p4"]),
        (None, ["p1", "p2", "p3", "p4"]),
        ([[{"a": "age", "o": "number:greater", "b": "26"}]], ["p1", "p3"]),
        ([[{"a": "age", "o": "number:greater", "b": "26"}, {"a": "name", "o": "text:equal", "b": "Ann"}]], ["p1"]),
        (
            [[{"a": "age", "o": "number:less", "b": "26"}], [{"a": "name", "o": "text:startwith", "b": "C"}]],
            ["p2", "p3"],
        ),
        ([[{"a": "name", "o": "text:equal:ci", "b": "BOB"}]], ["p2"]),
        ([[{"a": "age", "o": "exist"}]], ["p1", "p2", "p3"]),
        ([[{"a": "age"}]], ["p1", "p2", "p3"]),
        ([[{"a": "age", "o": "notexist"}]], ["p4"]),
        ([[{"a": "address.city", "o": "text:equal", "b": "Oslo"}]], ["p2"]),
        ([[{"a": "key", "o": "text:pattern", "b": "[34]$"}]], ["p3", "p4"]),
        ([{"a": "age", "o": "number:equal", "b": "{{5 * 5}}"}], ["p2"]),
        ([[]], ["p1", "p2", "p3", "p4"]),
    ],
)
async def test_a_search_gives_the_records_its_filter_lets_through(conditions, keys):
    assert await _found(conditions) == keys


@pytest.mark.parametrize(
    ("sort", "keys"),
    [
        ([{"key": "age", "order": "asc"}], ["p4", "p2", "p1", "p3"]),
        ([{"key": "age", "order": "desc"}], ["p3", "p1", "p2", "p4"]),
        ([{"key": "name", "order": "desc"}], ["p4", "p3", "p2", "p1"]),
        ([{"key": "address.city", "order": "asc"}, {"key": "age", "order": "desc"}], ["p3", "p4", "p1", "p2"]),
    ],
)
async def test_a_search_sorts_by_columns(sort, keys):
    assert await _found([], sort=sort) == keys


@pytest.mark.parametrize(
    ("limit", "mapped", "count"), [(2, None, 2), ("3", None, 3), (2, "{{1 + 2}}", 3), (0, None, 0), (None, None, 4)]
)
async def test_a_search_has_a_limit_and_the_mapped_one_wins(limit, mapped, count):
    assert len(await _found([], limit=limit, mapped=mapped)) == count


@pytest.mark.parametrize(("more", "operations"), [(False, 1), (True, 2)])
async def test_a_search_without_results_ends_the_path_unless_it_may_go_on(more, operations):
    search = ds(1, "SearchRecord", {"filter": []}, parameters={"continueWhenNoRes": more})
    result = await go(stores_of(), search, module(2, "util:ComposeTransformer", {"value": "{{1.key}}"}))
    assert (result.status, result.operations) == ("success", operations)


@pytest.mark.parametrize(
    ("operator", "said"),
    [("semantic:similar", "needs a language model"), ("text:isempty", "does not exist")],
)
async def test_an_operator_that_is_not_known_is_named(operator, said):
    result = await go(stores_of(PEOPLE), ds(1, "SearchRecord", {"filter": [[{"a": "n", "o": operator, "b": ""}]]}))
    assert result.error.type == "InvalidConfigurationError"
    assert said in result.error.message
    assert operator in result.error.message


async def test_a_strict_structure_is_obeyed_by_modules_too():
    structure = engine_structure(1, "N", [{"name": "n", "type": "number"}], strict=True)
    stores = stores_of(structure=structure)
    result = await go(
        stores,
        router(
            1,
            [add(2, "a", {"n": "42"})],
            [add(3, "b", {"n": "many"}, onerror=[module(4, "builtin:Ignore")])],
            [add(5, "c", {"n": 1, "x": 1})],
        ),
    )
    assert result.error.type == "BundleValidationError"
    assert "'x'" in result.error.message
    assert kept(stores) == {"a": {"n": 42}}


@pytest.mark.parametrize("auto", [True, False])
async def test_a_full_store_is_an_error_its_module_can_handle(auto):
    stores = stores_of({"a": {}}, max_records=2)
    result = await go(
        stores,
        router(
            1,
            [add(2, "b")],
            [add(3, "c", onerror=[module(4, "builtin:Resume", {"key": "none"})]), returns(5, k="{{3.key}}")],
        ),
        autoCommit=auto,
    )
    assert (result.status, result.outputs) == ("success", {"k": "none"})
    assert sorted(kept(stores)) == ["a", "b"]


async def test_a_full_store_without_a_handler_is_out_of_space():
    result = await go(stores_of({"a": {}}, max_records=1), add(1, "b"))
    assert result.error.type == "OutOfSpaceError"


@pytest.mark.parametrize("parameters", [{"datastore": 404}, {"datastore": ""}, {"datastore": "nine"}])
async def test_a_store_that_is_not_there_is_a_wrong_setting(parameters):
    result = await go(stores_of(), module(1, "datastore:CountRecord", {}, parameters=parameters))
    assert result.error.type == "InvalidConfigurationError"


# When changes take effect.


@pytest.mark.parametrize(("auto", "left"), [(True, {"a": {"n": 1}}), (False, {})])
async def test_an_unhandled_error_undoes_what_was_not_committed(auto, left):
    stores = stores_of()
    result = await go(stores, add(1, "a", {"n": 1}), fail(2), autoCommit=auto)
    assert result.status == "error"
    assert kept(stores) == left
    assert result.cycles_committed == 0


@pytest.mark.parametrize(
    ("directive", "status", "left"),
    [("Commit", "success", ["a"]), ("Rollback", "error", []), ("Ignore", "success", ["a", "z"])],
)
async def test_directives_decide_about_the_changes_of_the_cycle(directive, status, left):
    stores = stores_of()
    result = await go(
        stores,
        router(1, [add(2, "a"), fail(3, onerror=[module(4, f"builtin:{directive}")])], [add(5, "z")]),
        autoCommit=False,
    )
    assert result.status == status
    assert sorted(kept(stores)) == left


async def test_changes_of_the_cycle_are_seen_by_its_later_modules_and_by_nobody_else():
    stores = stores_of({"a": {"n": 1}, "b": {"n": 2}, "d": {"n": 4}})
    seen: list[Any] = []

    class Watched(MemoryStores):
        async def committed(self, execution_id: str) -> Any:
            return await super().committed(execution_id)

        async def commit(self, commit: StoreCommit) -> None:
            seen.append(self.contents()[STORE])
            await super().commit(commit)

    stores = Watched()
    stores.add_store(STORE, {"a": {"n": 1}, "b": {"n": 2}, "d": {"n": 4}})
    search = ds(5, "SearchRecord", {"filter": [], "sort": []})
    result = await go(
        stores,
        update(1, "a", {"n": 10}),
        ds(2, "DeleteRecord", {"key": "b"}),
        add(3, "c", {"n": 3}),
        ds(4, "CountRecord"),
        search,
        module(
            6,
            "util:TextAggregator",
            {"value": "{{5.key}}={{5.data.n}}"},
            parameters={"feeder": 5, "rowSeparator": "other", "otherRowSeparator": " "},
        ),
        returns(7, all="{{6.text}}", count="{{4.count}}"),
        autoCommit=False,
    )
    assert result.outputs == {"all": "a=10 c=3 d=4", "count": 3}
    assert seen == [{"a": {"n": 1}, "b": {"n": 2}, "d": {"n": 4}}]
    assert kept(stores) == {"a": {"n": 10}, "c": {"n": 3}, "d": {"n": 4}}


async def test_a_cleared_store_is_empty_for_the_rest_of_the_cycle():
    stores = stores_of({"a": {"n": 1}, "b": {"n": 1}})
    result = await go(
        stores,
        ds(1, "DeleteAllRecord"),
        ds(2, "ExistRecord", {"key": "a"}),
        add(3, "b", {"n": 2}),
        ds(4, "CountRecord"),
        returns(5, a="{{2.exist}}", count="{{4.count}}"),
        autoCommit=False,
    )
    assert result.outputs == {"a": False, "count": 1}
    assert kept(stores) == {"b": {"n": 2}}


async def test_every_cycle_commits_and_rolls_back_for_itself():
    stores = stores_of()
    flow = (
        webhook(),
        add(2, "{{1.key}}"),
        fail(3, filter=when("{{1.key}}", "text:equal", "c")),
    )
    asked = request({"key": "a"}, {"key": "b"}, {"key": "c"}, {"key": "d"})
    result = await go(stores, *flow, asked=asked, autoCommit=False)
    assert (result.status, result.cycles, result.cycles_committed) == ("error", 3, 2)
    assert sorted(kept(stores)) == ["a", "b"]


@pytest.mark.parametrize(("last", "committed"), [(True, 0), (False, 1)])
async def test_a_trigger_that_commits_first_keeps_its_bundle_taken_when_the_cycle_fails(last, committed):
    result = await go(stores_of(), webhook(), fail(2), asked=request({}), autoCommitTriggerLast=last)
    assert result.cycles_committed == committed


async def test_a_stored_bundle_of_an_ordered_scenario_keeps_what_was_done_before_it():
    stores = stores_of()
    failing = module(3, "json:ParseJSON", {"json": "{"})
    result = await go(
        stores, webhook(), add(2, "a"), failing, asked=request({}), autoCommit=False, dlq=True, sequential=True
    )
    assert (result.ending, len(result.incomplete)) == (Ending.HELD, 1)
    assert sorted(kept(stores)) == ["a"]


class Meddling(MemoryStores):
    """Another run changes a record just before each of the first commits."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def commit(self, commit: StoreCommit) -> None:
        if self.times:
            self.times -= 1
            await go(
                self.other,
                update(1, "a", {"theirs": self.times, "list": [0]}, upsert=True),
                asked=request(execution_id=f"{self.times:032x}"),
            )
        await super().commit(commit)

    @property
    def other(self) -> MemoryStores:
        plain = MemoryStores()
        plain._stores = self._stores  # noqa: SLF001  the same records, without the meddling
        plain._versions = self._versions  # noqa: SLF001
        return plain


async def test_with_auto_commit_a_conflict_is_settled_by_doing_the_operation_again():
    stores = Meddling(1)
    stores.add_store(STORE, {"a": {"list": [1]}})
    result = await go(stores, update(1, "a", {"mine": 1, "list": [9]}))
    assert result.status == "success"
    assert kept(stores) == {"a": {"mine": 1, "theirs": 0, "list": [1, 0, 9]}}


async def test_with_auto_commit_a_record_that_never_rests_is_held_for_the_second_try():
    stores = Meddling(1000)
    stores.add_store(STORE, {"a": {}})
    result = await go(stores, update(1, "a", {"mine": 1}))
    assert result.status == "success"
    assert stores.times == 999
    assert kept(stores)["a"]["mine"] == 1


async def test_at_the_end_of_a_cycle_a_conflict_is_an_inconsistency_and_nothing_is_kept():
    stores = Meddling(1)
    stores.add_store(STORE, {"a": {}})
    result = await go(stores, update(1, "a", {"mine": 1}), add(2, "b"), returns(3, x="1"), autoCommit=False)
    assert (result.status, result.error.type, result.error.module_id) == ("error", "InconsistencyError", 2)
    assert result.outputs is None
    assert kept(stores) == {"a": {"theirs": 0, "list": [0]}}


async def test_a_record_that_was_read_first_may_not_have_changed_until_the_cycle_commits():
    stores = Meddling(1)
    stores.add_store(STORE, {"a": {"n": 1}})
    flow = (ds(1, "GetRecord", {"key": "a"}), update(2, "a", {"n": "{{1.n + 1}}"}))
    result = await go(stores, *flow, autoCommit=False)
    assert result.error.type == "InconsistencyError"


# A second attempt.


class Dying(MemoryStores):
    """The process dies at one of the commits: before or after it came through."""

    def __init__(self, at: int, *, after: bool) -> None:
        super().__init__()
        self.at, self.after, self.calls = at, after, 0

    async def commit(self, commit: StoreCommit) -> None:
        self.calls += 1
        if self.calls != self.at:
            await super().commit(commit)
            return
        if self.after:
            await super().commit(commit)
        raise Unavailable


COUNTING = (
    webhook(),
    ds(2, "ExistRecord", {"key": "n"}),
    router(
        3,
        [add(4, "n", {"n": 1, "list": ["{{1.x}}"]}, filter=when("{{2.exist}}", "boolean:equal", "false"))],
        [update(5, "n", {"list": ["{{1.x}}"]}, filter=when("{{2.exist}}", "boolean:equal", "true"))],
        [add(6, "", {"x": "{{1.x}}"}), ds(7, "CountRecord")],
    ),
)


@pytest.mark.parametrize("auto", [True, False])
@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("journal", [True, False])
async def test_a_run_that_dies_at_any_commit_leaves_the_records_of_one_that_did_not(auto, after, journal):
    asked = request({"x": "a"}, {"x": "b"}, {"x": "c"})
    whole = stores_of()
    result = await go(whole, *COUNTING, asked=asked, autoCommit=auto)
    assert result.status == "success"
    commits = 6 if auto else 3
    for at in range(1, commits + 1):
        stores = Dying(at, after=after)
        stores.add_store(STORE)
        entries = MemoryJournal() if journal else None
        with pytest.raises(Unavailable):
            await go(stores, *COUNTING, asked=asked, autoCommit=auto, journal=entries)
        again = await go(stores, *COUNTING, asked=asked, autoCommit=auto, journal=entries)
        assert again.status == "success", (at, again.error)
        assert kept(stores) == kept(whole), at
        if journal:
            assert [step.outputs for step in again.steps] == [step.outputs for step in result.steps]


async def test_a_second_attempt_sees_the_results_of_what_it_had_committed():
    flow = (add(1, "a", {"n": 1}), update(2, "a", {"n": 2}), returns(3, key="{{1.key}}", n="{{2.n}}"))
    stores = Dying(2, after=True)
    stores.add_store(STORE)
    with pytest.raises(Unavailable):
        await go(stores, *flow)
    again = await go(stores, *flow)
    assert (again.status, again.outputs) == ("success", {"key": "a", "n": 2})
    assert [step.replayed for step in again.steps] == [True, True, False]


class Stopping(MemoryJournal):
    """The process dies after so many records."""

    def __init__(self, entries: Any, left: int) -> None:
        super().__init__(entries)
        self.left = left

    async def record(self, record: Any) -> None:
        if not self.left:
            raise Unavailable
        self.left -= 1
        await super().record(record)


@pytest.mark.parametrize("done", range(5))
async def test_changes_that_were_not_committed_come_back_with_the_journal(done):
    flow = (
        ds(1, "GetRecord", {"key": "old"}),
        add(2, "new", {"n": "{{1.n}}"}),
        ds(3, "DeleteRecord", {"key": "old"}),
        update(4, "new", {"m": 2}),
        ds(5, "CountRecord"),
        returns(6, count="{{5.count}}", n="{{4.n}}"),
    )
    stores = stores_of({"old": {"n": 7}})
    journal = Stopping({}, done)
    with pytest.raises(Unavailable):
        await go(stores, *flow, autoCommit=False, journal=journal)
    assert kept(stores) == {"old": {"n": 7}}
    again = await go(stores, *flow, autoCommit=False, journal=MemoryJournal(journal.entries))
    assert (again.status, again.outputs) == ("success", {"count": 1, "n": 7})
    assert kept(stores) == {"new": {"n": 7, "m": 2}}


async def test_a_record_read_before_a_crash_may_not_have_changed_after_it():
    flow = (ds(1, "GetRecord", {"key": "a"}), update(2, "a", {"n": "{{1.n + 1}}"}))
    stores = stores_of({"a": {"n": 1}})
    journal = Stopping({}, 1)
    with pytest.raises(Unavailable):
        await go(stores, *flow, autoCommit=False, journal=journal)
    await go(stores, update(1, "a", {"n": 100}), asked=request(execution_id="a" * 32))
    again = await go(stores, *flow, autoCommit=False, journal=MemoryJournal(journal.entries))
    assert again.error.type == "InconsistencyError"
    assert kept(stores) == {"a": {"n": 100}}


async def test_a_loop_of_many_changes_commits_each_once():
    stores = stores_of()
    asked = request({"ids": list(range(200))})
    flow = (webhook(), feeder(2, "{{1.ids}}"), add(3, "k{{2.value}}", {"n": "{{2.value}}"}))
    result = await go(stores, *flow, asked=asked, autoCommit=False)
    assert (result.status, len(kept(stores))) == ("success", 200)
