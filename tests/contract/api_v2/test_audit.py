"""The audit trail over the API: searched, paged over both of its homes, exported, and shown to nobody else."""

import csv
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from make_bridge.domain.organizations.audit_key import AuditKey
from make_bridge.platform.audit.chain import GENESIS, joined
from make_bridge.platform.audit.sealer import SealerConfig, ShardSealer
from make_bridge.platform.observability.metrics import Metrics
from support.organizations import ROOTS
from support.portal import refusal

TOKEN = {"label": "CI", "permissions": ["scenarios:read"]}


def of(integrator):
    return f"/organizations/{integrator.facts.organization_id}"


@pytest.fixture
async def trail(acme):
    """Acts in both homes: three data structures on the shard, two tokens in the directory, the organization itself."""
    for number in range(3):
        await acme.ask("POST", f"/data-structures?teamId={acme.facts.team_id}", structure(acme, number))
        if number < 2:
            answer = await acme.send("POST", f"{of(acme)}/tokens", TOKEN)
            assert answer.status < 300, answer.body
    return f"{of(acme)}/audit"


def structure(acme, number):
    return {"name": f"Structure {number}", "teamId": acme.facts.team_id, "strict": False, "spec": []}


async def test_acts_are_told_newest_first_with_who_what_and_from_where(acme, trail):
    told = await acme.ask("GET", trail)
    assert [act["action"] for act in told["audit"]] == [
        "data-structure.create", "organization.create_token", "data-structure.create", "organization.create_token",
        "data-structure.create", "organization.create",
    ]  # fmt: skip
    newest = told["audit"][0]
    assert (newest["actorKind"], newest["home"], newest["address"]) == ("api_token", "shard", "192.0.2.1")
    assert newest["object"].startswith("data-structure/")
    assert newest["detail"] == {"team": acme.facts.team_id}
    assert len(newest["requestId"]) == 32
    assert told["next"] is None
    assert acme.facts.api_token not in json.dumps(told)


@pytest.mark.parametrize("limit", [1, 2, 4, 5])
async def test_pages_follow_each_other_over_both_homes_without_a_gap(acme, trail, limit):
    everything = [(act["home"], act["id"]) for act in (await acme.ask("GET", trail))["audit"]]
    found, after = [], ""
    while True:
        page = await acme.ask("GET", f"{trail}?limit={limit}{after}")
        found += [(act["home"], act["id"]) for act in page["audit"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == everything


async def test_what_is_looked_for_is_found(acme, trail):
    async def count(query):
        return len((await acme.ask("GET", f"{trail}?{query}"))["audit"])

    assert await count("action=organization.create") == 1
    assert await count("action=organization.*") == 3
    assert await count("action=data-structure.create") == 3
    assert await count("object=data-structure/*") == 3
    assert await count("actor=operator") == 1
    assert await count("actor=nobody") == 0
    assert await count("action=data-structure.create&object=api_token/*") == 0
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    assert await count(f"from={tomorrow}") == 0
    assert await count(f"to={tomorrow}") == 6
    assert await count("object=%25") == 0


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "after=x", "after=1.other.2", "from=x", "to=2026-13-01", "actor=", "action=%00"]
)
async def test_what_cannot_be_is_refused_with_a_sentence(acme, query):
    answer = await acme.send("GET", f"{of(acme)}/audit?{query}")
    assert answer.status == 400
    assert answer.json()["detail"].endswith(".")


async def test_nobody_sees_another_organization_s_trail_or_that_there_is_one(api, acme, trail):
    other = await api.integrator("Other")
    assert [act["action"] for act in (await other.ask("GET", f"{of(other)}/audit"))["audit"]] == ["organization.create"]
    for path in (trail, f"{trail}/export"):
        refusal(await other.send("GET", path), 404, "not_found")
        refusal(await other.send("GET", path.replace(str(acme.facts.organization_id), "999999")), 404, "not_found")
        assert (await api.client.send("GET", f"/api/v2{path}")).status == 401


async def test_the_trail_is_the_whole_organization_s(acme, trail):
    for path in (trail, f"{trail}/export"):
        refusal(await acme.send("GET", f"{path}?teamId={acme.facts.team_id}"), 403, "permission_denied")


async def test_without_the_scope_nothing_is_told_and_the_refusal_has_a_row(api, acme):
    narrow = await api.integrator("Narrow")
    await narrow.allow_only("scenarios:read")
    refusal(await narrow.send("GET", f"{of(narrow)}/audit"), 403, "permission_denied")
    shard = await api.shards.of(narrow.facts.organization_id)
    async with shard.read(narrow.facts.organization_id) as tx:
        [row] = await tx.all("SELECT * FROM shard.audit WHERE action = 'permission.refused'")
    assert row["object"] == "GET /api/v2/organizations/{organization_id}/audit"
    assert (row["actor_kind"], row["address"]) == ("api_token", "192.0.2.1")
    assert "audit:read" in bytes(row["detail"]).decode()


async def test_nothing_in_the_trail_can_be_changed_by_its_owner(acme, trail):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await acme.send(method, trail, {})).status == 405


async def test_an_export_of_lines_holds_what_the_chain_is_computed_over(api, acme, trail):
    shard = await api.shards.of(acme.facts.organization_id)
    sealer = ShardSealer(
        shard, api.shards, AuditKey(directory=api.shards.directory, roots=ROOTS), Metrics(),
        SealerConfig(node="contract"), with_directory=True,
    )  # fmt: skip
    while await sealer.step():
        pass
    await sealer.stop()
    answer = await acme.send("GET", f"{trail}/export")
    assert answer.header("content-type") == "application/x-ndjson; charset=utf-8"
    assert answer.header("content-disposition").endswith('.jsonl"')
    acts = [json.loads(line) for line in answer.body.splitlines()]
    assert len(acts) == 6
    for home in ("shard", "directory"):
        chain = sorted((act for act in acts if act["home"] == home), key=lambda act: act["sequence"])
        assert [act["sequence"] for act in chain] == [1, 2, 3]
        known = GENESIS
        for act in chain:
            known = hashlib.sha256(known + form(act)).digest()
            assert known.hex() == act["hash"]


def form(act):
    moment = datetime.fromisoformat(act["time"])
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return joined(
        "make-bridge audit 1", act["home"], str(act["organizationId"]), str(act["sequence"]), str(act["id"]),
        act["actorKind"], act["actor"], act["action"], act["object"], act["detail"], act["before"], act["after"],
        act["requestId"], act["address"], str(micros),
    )  # fmt: skip


async def test_an_export_as_a_table_and_of_what_is_looked_for(acme, trail):
    answer = await acme.send("GET", f"{trail}/export?format=csv&action=organization.*")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [row["action"] for row in rows] == [
        "organization.create_token", "organization.create_token", "organization.create",
    ]  # fmt: skip
    refusal(await acme.send("GET", f"{trail}/export?format=xml"), 400, "invalid_format")


async def test_an_export_is_read_page_by_page(api, acme, trail, monkeypatch):
    monkeypatch.setattr("make_bridge.domain.audit.views.EXPORT_PAGE", 2)
    answer = await acme.send("GET", f"{trail}/export")
    assert len(answer.body.splitlines()) == 6
