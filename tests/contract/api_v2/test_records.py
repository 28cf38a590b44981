"""Records over the API: bare data in and out, counts and sizes kept, structures obeyed."""

import pytest

from support.portal import refusal

SPEC = [
    {"name": "name", "type": "text", "label": "Name", "required": True},
    {"name": "age", "type": "number"},
    {"name": "born", "type": "date"},
    {"name": "address", "type": "collection", "spec": [{"name": "city", "type": "text"}]},
]


@pytest.fixture
async def store(acme):
    body = {"name": "Contacts", "teamId": acme.facts.team_id, "maxSizeMB": 1}
    return (await acme.ask("POST", "/data-stores", body))["dataStore"]


@pytest.fixture
def data(store):
    return f"/data-stores/{store['id']}/data"


async def _structured(acme, *, strict):
    body = {"name": "Contact", "teamId": acme.facts.team_id, "spec": SPEC, "strict": strict}
    structure = (await acme.ask("POST", "/data-structures", body))["dataStructure"]
    body = {"name": "C", "teamId": acme.facts.team_id, "maxSizeMB": 1, "datastructureId": structure["id"]}
    made = (await acme.ask("POST", "/data-stores", body))["dataStore"]
    assert made["datastructureId"] == structure["id"]
    return f"/data-stores/{made['id']}/data"


async def _state(acme, store):
    now = (await acme.ask("GET", f"/data-stores/{store['id']}"))["dataStore"]
    return now["records"], int(now["size"])


async def test_a_record_goes_through_its_whole_life(acme, store, data):
    made = await acme.ask("POST", data, {"key": "dana", "data": {"n": 1, "tags": ["a"], "deep": {"x": 1, "y": 2}}})
    assert made == {"key": "dana", "data": {"n": 1, "tags": ["a"], "deep": {"x": 1, "y": 2}}}
    changed = await acme.ask("PATCH", f"{data}/dana", {"tags": ["b"], "deep": {"y": 3}, "m": None})
    assert changed["data"] == {"n": 1, "tags": ["b"], "deep": {"x": 1, "y": 3}, "m": None}
    replaced = await acme.ask("PUT", f"{data}/dana", {"n": 2})
    assert replaced == {"key": "dana", "data": {"n": 2}}
    assert await acme.ask("GET", data) == {
        "records": [{"key": "dana", "data": {"n": 2}}],
        "spec": [],
        "strict": False,
        "count": 1,
        "pg": {"limit": 1000, "offset": 0},
    }
    assert (await _state(acme, store))[0] == 1
    assert await acme.ask("DELETE", f"{data}?confirmed=true", {"keys": ["dana", "nobody"]}) == {"keys": ["dana"]}
    assert await _state(acme, store) == (0, 0)


async def test_a_record_without_a_key_gets_one(acme, data):
    first, second = [await acme.ask("POST", data, {"data": {"n": n}}) for n in (1, 2)]
    assert len(first["key"]) == 12
    assert first["key"] != second["key"]


async def test_a_key_is_given_once(acme, store, data):
    await acme.ask("POST", data, {"key": "a", "data": {"n": 1}})
    refusal(await acme.send("POST", data, {"key": "a", "data": {"n": 2}}), 409, "record_exists")
    assert (await acme.ask("GET", data))["records"] == [{"key": "a", "data": {"n": 1}}]


async def test_a_key_may_hold_anything_a_path_can_carry(acme, data):
    for key in ("a/b", "ä ö", "50%25", "a?b"):
        path = key.replace("%", "%25").replace("?", "%3F").replace(" ", "%20")
        assert (await acme.ask("PUT", f"{data}/{path}", {"k": key}))["key"] == key
    assert [record["key"] for record in (await acme.ask("GET", data))["records"]] == ["50%25", "a/b", "a?b", "ä ö"]


async def test_records_come_by_key_in_pages(acme, data):
    for number in range(5):
        await acme.ask("PUT", f"{data}/k{number}", {"n": number})
    page = await acme.ask("GET", f"{data}?pg[offset]=1&pg[limit]=2")
    assert [record["key"] for record in page["records"]] == ["k1", "k2"]
    assert (page["count"], page["pg"]) == (5, {"limit": 2, "offset": 1})


async def test_all_records_but_some_can_be_deleted(acme, store, data):
    for number in range(3):
        await acme.ask("PUT", f"{data}/k{number}", {"n": number})
    refusal(await acme.send("DELETE", data, {"all": True}), 406, "IM004")
    refusal(await acme.send("DELETE", f"{data}?confirmed=true", {}), 400, "invalid_body")
    gone = await acme.ask("DELETE", f"{data}?confirmed=true", {"all": True, "exceptKeys": ["k1"]})
    assert sorted(gone["keys"]) == ["k0", "k2"]
    assert (await _state(acme, store))[0] == 1


async def test_changing_a_record_that_is_not_there_is_refused(acme, data):
    refusal(await acme.send("PATCH", f"{data}/nobody", {"n": 1}), 404, "not_found")


@pytest.mark.parametrize("strict", [True, False])
async def test_values_take_the_types_of_their_fields(acme, strict):
    data = await _structured(acme, strict=strict)
    sent = {"name": 5, "age": "42", "born": "2020-02-03T04:05:06Z", "address": {"city": "Brno"}}
    made = await acme.ask("POST", data, {"key": "a", "data": sent})
    kept = {"name": "5", "age": 42, "born": "2020-02-03T04:05:06.000Z", "address": {"city": "Brno"}}
    assert made["data"] == kept
    listed = await acme.ask("GET", data)
    assert (listed["records"][0]["data"], listed["spec"], listed["strict"]) == (kept, SPEC, strict)


@pytest.mark.parametrize("strict", [True, False])
async def test_a_value_of_the_wrong_kind_or_a_missing_one_is_refused(acme, strict):
    data = await _structured(acme, strict=strict)
    told = refusal(await acme.send("POST", data, {"data": {"age": "old"}}), 400, "record_invalid")
    assert "'age'" in told["detail"]
    assert "'name'" in told["detail"]
    assert (await acme.ask("GET", data))["count"] == 0


async def test_only_a_strict_structure_refuses_what_it_does_not_name(acme):
    loose, strict = await _structured(acme, strict=False), await _structured(acme, strict=True)
    extra = {"name": "Dana", "nick": "D", "address": {"street": "x"}}
    assert (await acme.ask("POST", loose, {"data": extra}))["data"] == extra
    told = refusal(await acme.send("POST", strict, {"data": extra}), 400, "record_invalid")
    assert "'nick'" in told["detail"]
    assert "'address.street'" in told["detail"]


async def test_a_record_is_no_larger_than_it_may_be(acme, store, data):
    refusal(await acme.send("PUT", f"{data}/a", {"t": "x" * 3000}), 409, "data_store_full")
    assert await _state(acme, store) == (0, 0)


async def test_a_store_holds_no_more_records_than_it_may(acme, store, data, api):
    for number in range(api.limits.records):
        await acme.ask("PUT", f"{data}/k{number}", {})
    refusal(await acme.send("PUT", f"{data}/one-more", {}), 409, "data_store_full")
    await acme.ask("PUT", f"{data}/k1", {"n": 1})
    assert (await _state(acme, store))[0] == api.limits.records


@pytest.mark.parametrize("key", ["", "x" * 256, "a\u0007"])
async def test_what_cannot_be_a_key_is_refused(acme, data, key):
    if key:
        refusal(await acme.send("POST", data, {"key": key, "data": {}}), 400, "record_key_invalid")
    else:
        assert len((await acme.ask("POST", data, {"key": key}))["key"]) == 12


@pytest.mark.parametrize("body", [[], 1, "x", None])
async def test_a_record_s_values_are_an_object(acme, data, body):
    assert (await acme.send("PUT", f"{data}/a", body)).status == 400


async def test_the_size_of_a_store_is_what_its_records_take(acme, store, data):
    await acme.ask("PUT", f"{data}/ab", {"t": "xyz"})
    first = (await _state(acme, store))[1]
    await acme.ask("PUT", f"{data}/ab", {"t": "xyzxyz"})
    assert await _state(acme, store) == (1, first + 3)
    await acme.ask("PUT", f"{data}/cd", {"t": "xyz"})
    assert await _state(acme, store) == (2, 2 * first + 3)
