"""Attacks on what is stored: sort columns, pages, ids, names, and two who change one thing at once.

Over the API on a real PostgreSQL. Names of columns come out of a table of the list, values travel as parameters; that
no statement is put together otherwise is held for the whole package by `test_source.py`.
"""

import asyncio
import json
import time
from urllib.parse import quote

import pytest

from make_bridge.domain.scenarios.messages import CreateScenario, GetBlueprint, ListBlueprints, SaveBlueprint
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import SHARD_SLOTS, TeamId
from make_bridge.platform.database.pools import PoolLimits, open_pool
from make_bridge.platform.database.transactions import begin
from support.blueprints import blueprint, returns
from support.organizations import administrator
from support.portal import refusal

SORTS = (
    "name;drop table shard.data_stores",
    "(case when (select 1)=1 then name else id end)",
    "password_hash",
    "organization_id",
    "name desc, id",
    "id--",
    "1",
    "__class__",
    "name\0",
    "x" * 4000,
)
PAGES = (
    *("pg[limit]=-1", "pg[limit]=1e9", "pg[limit]=1000000000000", "pg[limit]=0x10", "pg[limit]=١٢", "pg[limit]=NaN"),
    *(
        "pg[offset]=1000000000000",
        "pg[offset]=-1",
        "pg[offset]=1;select",
        "pg[sortDir]=asc,(select 1)",
        "pg[sortDir]=ASC",
    ),
)
# Each may be taken or refused, and what is taken comes back in one normal form; none may be a fault of ours.
NAMES = {
    "NUL": ("a\0b", None),
    "a half surrogate": ("a\ud800b", None),
    "a bell": ("a\x07b", None),
    "lines": ("a\r\nb", None),
    "1 MB": ("x" * 1_000_000, None),
    "nothing but blanks": (" \t ", None),
    "written right to left": ("a\u202eb", "a\u202eb"),
    "four bytes": ("😀" * 10, "😀" * 10),
    "composed": ("Caf\u00e9", "Caf\u00e9"),
    "decomposed": ("Cafe\u0301", "Caf\u00e9"),
    "a dotted capital": ("İstanbul", "İstanbul"),
    "quotes": ("'; DROP TABLE users; --", "'; DROP TABLE users; --"),
    "wildcards": ("%_\\", "%_\\"),
    "a formula": ("=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0"),
}


async def _store(acme, name="Contacts", team=None):
    body = {"name": name, "teamId": team or acme.facts.team_id, "maxSizeMB": 1}
    return (await acme.ask("POST", "/data-stores", body))["dataStore"]


@pytest.mark.attack("G02")
@pytest.mark.parametrize("is_empty", [False, True], ids=["with rows", "empty"])
@pytest.mark.parametrize("sort", SORTS)
async def test_a_list_is_sorted_by_its_own_columns_only(acme, sort, is_empty):
    if not is_empty:
        await _store(acme)
    listed = f"/data-stores?teamId={acme.facts.team_id}&pg[sortBy]={quote(sort)}"
    told = refusal(await acme.send("GET", listed), 400, "invalid_page")
    assert len(told["detail"]) < 200


@pytest.mark.attack("G02", "G06")
@pytest.mark.parametrize("page", PAGES)
async def test_a_page_is_two_bounded_numbers_and_a_direction(acme, page):
    name, _, value = page.partition("=")
    listed = f"/data-stores?teamId={acme.facts.team_id}&{name}={quote(value)}"
    refusal(await acme.send("GET", listed), 400, "invalid_page")


@pytest.mark.attack("G06")
async def test_the_largest_page_is_cut_to_what_a_list_gives(acme):
    listed = await acme.ask("GET", f"/data-stores?teamId={acme.facts.team_id}&pg[limit]=999999999&pg[offset]=10000000")
    assert listed["pg"]["limit"] <= 10_000
    store = await _store(acme)
    records = await acme.ask("GET", f"/data-stores/{store['id']}/data?pg[limit]=999999999")
    assert records["pg"]["limit"] <= 10_000


@pytest.mark.attack("G12")
@pytest.mark.parametrize("kind", NAMES)
async def test_a_name_is_taken_in_one_form_or_refused_with_a_sentence(acme, kind):
    given, stored = NAMES[kind]
    for target, body in (
        ("/data-stores", {"name": given, "teamId": acme.facts.team_id, "maxSizeMB": 1}),
        ("/data-structures", {"name": given, "teamId": acme.facts.team_id, "spec": []}),
    ):
        began = time.monotonic()
        answer = await acme.send("POST", target, body)
        assert time.monotonic() - began < 2
        if stored is None:
            assert 400 <= answer.status < 500, answer
            assert set(answer.json()) >= {"detail", "message", "code", "requestId"}
            assert len(answer.body) < 2_000
        else:
            [made] = [value for value in answer.json().values() if isinstance(value, dict)]
            assert (answer.status, made["name"]) == (200, stored)


@pytest.mark.attack("G12")
@pytest.mark.parametrize("kind", NAMES)
async def test_a_record_s_key_and_values_are_kept_to_the_byte_or_refused(acme, kind):
    given, _ = NAMES[kind]
    store = await _store(acme)
    answer = await acme.send("POST", f"/data-stores/{store['id']}/data", {"key": given, "data": {"v": given, given: 1}})
    assert answer.status < 500, answer
    if answer.status == 200:
        [record] = (await acme.ask("GET", f"/data-stores/{store['id']}/data"))["records"]
        assert (record["key"], record["data"]) == (given, {"v": given, given: 1})


@pytest.mark.attack("G12")
async def test_keys_that_look_alike_are_two_records(acme):
    store = await _store(acme)
    twins = ["Caf\u00e9", "Cafe\u0301", "İ", "i\u0307", "ß", "SS", "K", "\u212a"]
    for number, key in enumerate(twins):
        await acme.ask("PUT", f"/data-stores/{store['id']}/data/{quote(key)}", {"n": number})
    listed = (await acme.ask("GET", f"/data-stores/{store['id']}/data"))["records"]
    assert {record["key"]: record["data"]["n"] for record in listed} == {key: n for n, key in enumerate(twins)}


COLUMNS = ("id", "organization_id", 'n"); DROP TABLE shard.data_stores; --', "a.b", "$1", "%s", "%(x)s", "version", "'")


@pytest.mark.attack("G08")
async def test_names_of_members_are_data_and_never_columns(acme, api):
    rival = await api.integrator("Rival")
    store, other = await _store(acme), await _store(rival)
    body = dict.fromkeys(COLUMNS, 1024)
    await acme.ask("PUT", f"/data-stores/{store['id']}/data/a", body)
    assert (await acme.ask("GET", f"/data-stores/{store['id']}/data"))["records"] == [{"key": "a", "data": body}]
    strange = {"name": "x", "teamId": acme.facts.team_id, "maxSizeMB": 1} | dict.fromkeys(COLUMNS, 1)
    assert (await acme.send("POST", "/data-stores", strange)).status in {200, 400, 422}
    assert (await rival.ask("GET", f"/data-stores/{other['id']}"))["dataStore"] == other


@pytest.mark.attack("G10")
async def test_a_neighbouring_id_opens_nothing_of_another_organization(acme, api):
    """Ids can be guessed, so guessing must not help: each is found within its organization or not at all."""
    rival = await api.integrator("Rival")
    own, foreign = await _store(acme), await _store(rival)
    told = set()
    for number in {foreign["id"], own["id"] + SHARD_SLOTS, foreign["id"] + SHARD_SLOTS, 1, 2**53 - 1}:
        for method, target, body in (
            ("GET", f"/data-stores/{number}", None),
            ("PATCH", f"/data-stores/{number}", {"name": "mine"}),
            ("DELETE", f"/data-stores/{number}?confirmed=true", None),
            ("GET", f"/data-stores/{number}/data", None),
            ("PUT", f"/data-stores/{number}/data/a", {"n": 1}),
        ):
            answer = await acme.send(method, target, body)
            told.add((answer.status, answer.json()["code"]))
    assert told == {(404, "not_found")}
    assert (await rival.ask("GET", f"/data-stores/{foreign['id']}"))["dataStore"] == foreign


@pytest.mark.attack("G11")
async def test_of_changes_at_once_to_one_record_none_is_lost(acme):
    store = await _store(acme)
    target = f"/data-stores/{store['id']}/data/a"
    await acme.ask("PUT", target, {})
    answers = await asyncio.gather(*(acme.send("PATCH", target, {f"field{n}": n}) for n in range(20)))
    assert {answer.status for answer in answers} == {200}
    [record] = (await acme.ask("GET", f"/data-stores/{store['id']}/data"))["records"]
    assert record["data"] == {f"field{n}": n for n in range(20)}


@pytest.mark.attack("G11")
async def test_two_editors_of_a_blueprint_leave_two_versions(acme, api):
    """The last one is the one that runs, and what the other saved is a version that can be read."""
    context = administrator(acme.facts.organization_id)
    create = CreateScenario(
        team_id=TeamId(acme.facts.team_id), blueprint=blueprint(returns(1)), name="Orders",
        scheduling={"type": "on-demand"},
    )  # fmt: skip
    scenario = await api.commands.execute(context, create)
    texts = [f"editor {n}" for n in range(8)]
    edits = [blueprint(returns(1, by=text)) for text in texts]
    await asyncio.gather(
        *(api.commands.execute(context, SaveBlueprint(scenario_id=scenario.id, blueprint=edited)) for edited in edits)
    )
    versions = await api.queries.ask(context, ListBlueprints(scenario_id=scenario.id))
    assert sorted(version.version for version in versions) == list(range(1, 10))
    saved = [
        await api.queries.ask(context, GetBlueprint(scenario_id=scenario.id, version=number)) for number in range(2, 10)
    ]
    assert sorted(found for found in texts if any(found in json.dumps(document) for document in saved)) == texts


@pytest.mark.attack("G11")
async def test_of_editors_who_say_what_they_have_read_one_wins_and_the_others_are_told(acme, api):
    context = administrator(acme.facts.organization_id)
    create = CreateScenario(
        team_id=TeamId(acme.facts.team_id), blueprint=blueprint(returns(1)), name="Orders",
        scheduling={"type": "on-demand"},
    )  # fmt: skip
    target = f"/scenarios/{(await api.commands.execute(context, create)).id}"
    tag = (await acme.send("GET", target)).header("etag")
    assert (await acme.send("GET", f"{target}/blueprint")).header("etag") == tag
    answers = await asyncio.gather(
        *(acme.send("PATCH", target, {"name": f"Editor {n}"}, if_match=tag) for n in range(8))
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 7
    [won] = [answer for answer in answers if answer.status == 200]
    assert (await acme.ask("GET", target))["scenario"]["name"] == won.json()["scenario"]["name"]
    declared: dict[str, dict[str, list[str]]] = {"interface": {"input": [], "output": []}}
    for stale in (tag, 'W/"other"', '"0"'):
        refused = await acme.send("PATCH", f"{target}/interface", declared, if_match=stale)
        refusal(refused, 412, "changed_meanwhile")
    refusal(await acme.send("PATCH", target, {"name": "x"}, if_match="7"), 400, "invalid_header")
    for fresh in (won.header("etag"), "*"):
        taken = await acme.send("PATCH", target, {"name": f"With {len(fresh)}"}, if_match=fresh)
        assert taken.status == 200, taken.body


@pytest.mark.attack("G04")
async def test_a_statement_that_takes_too_long_is_ended_by_the_server(postgres):
    """Whatever a stranger makes expensive, the database gives up; without this a lost client would hold locks."""
    database = await postgres.clone(("directory", "shard"), 0)
    limits = PoolLimits(min_size=1, max_size=1, statement_timeout=0.2, lock_timeout=0.2)
    async with open_pool(postgres.serving_dsn(database), "bridge_app", limits) as pool:
        async with begin(pool, "BEGIN READ ONLY") as tx:
            [shown] = (await tx.one("SHOW statement_timeout") or {}).values()
            assert shown == "200ms"
        began = time.monotonic()
        with pytest.raises(Unavailable):
            async with begin(pool, "BEGIN READ ONLY") as tx:
                await tx.one("SELECT pg_sleep(30)")
        assert time.monotonic() - began < 5
    await postgres.drop(database)
