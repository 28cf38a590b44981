"""A customer that is erased has left nothing in any table, but for what the audit says by its number."""

import psycopg
import pytest
from psycopg import sql

from faults.scene import QUICK
from make_bridge.domain.customers.erasing_store import KEPT, LEFT
from support.integrator import new_organization
from support.network import send
from support.server import installed
from support.waiting import until

CANARY = "canary-7f3a91"
TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('directory', 'shard') AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1, 2
"""
OWNED = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id'
WHERE n.nspname = 'shard' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""
IS_TOLD = """
SELECT count(*) FROM shard.outbox WHERE position IS NULL OR position > (SELECT min(position) FROM shard.event_consumers)
"""


def where(dsn, canary):
    """Name the tables in which a text stands, as it is or inside bytes."""
    found = set()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for schema, table in connection.execute(TABLES).fetchall():
            statement = sql.SQL(
                "SELECT 1 FROM {} t WHERE position(%s IN t::text) > 0 OR position(%s IN t::text) > 0 LIMIT 1"
            )
            made = statement.format(sql.Identifier(schema, table))
            if connection.execute(made, (canary, canary.encode().hex())).fetchone():
                found.add(f"{schema}.{table}")
    return found


def one(dsn, statement):
    with psycopg.connect(dsn, autocommit=True) as connection:
        ((found,), *_) = connection.execute(statement).fetchall()
        return found


@pytest.mark.timeout(200)
def test_what_a_customer_left_is_gone_and_others_keep_theirs(tmp_path):
    with installed("embedded", tmp_path / "w", None) as installation:
        server = installation.server().start()
        acme = new_organization(installation, server.url)
        version_id = acme.publish(QUICK)
        options = {"autoActivate": True, "scenario": {"name": f"Of {CANARY}", "enable": True}}
        scenario = acme.customer(f"dana-{CANARY}").connect(version_id, {}, **options)
        other = acme.customer("robin").connect(
            version_id, {}, autoActivate=True, scenario={"name": "R", "enable": True}
        )
        for _ in range(3):
            assert scenario.call_hook({"op": CANARY}).status == 200
            assert other.call_hook({"op": "mine"}).status == 200
        dsn = installation.shard_dsn
        team_id = one(dsn, "SELECT team_id FROM shard.customers WHERE external_id LIKE 'dana%'")
        body = {"name": CANARY, "typeName": "apikeyauth", "teamId": team_id, "parameters": {"key": CANARY}}
        headers = {"Authorization": f"Token {acme.api_token}", "Idempotency-Key": "a-key-of-mine"}
        assert send("POST", f"{server.url}/api/v2/keys", headers=headers, json_body=body).status == 200
        assert {"shard.payloads", "shard.scenarios", "shard.customers", "shard.connections"} <= where(dsn, CANARY)

        erase = ("customer", "erase", str(acme.organization_id), f"dana-{CANARY}")
        planned = installation.ask(*erase, "--dry-run")
        assert not planned["erased"]
        assert planned["rows"]["executions"] == 3
        assert scenario.call_hook({"op": CANARY}).status == 200, "a preview changes nothing"
        until(lambda: one(dsn, IS_TOLD) == 0, "all events are told", within=30)
        gone = installation.ask(*erase, "--yes")
        assert gone["erased"]
        assert gone["rows"]["executions"] == 4
        assert where(dsn, CANARY) - {"shard.audit", "directory.audit"} == set()
        audit = "SELECT object FROM shard.audit WHERE action = 'customer.erase'"
        assert one(dsn, audit).startswith("customer/")
        assert scenario.call_hook({"op": "late"}).status in {404, 410}
        assert other.call_hook({"op": "mine"}).status == 200
        assert len(other.logs()) >= 4
        again = installation.command(*erase, "--yes", check=False)
        assert "There is no such customer." in again.stderr


@pytest.mark.timeout(120)
def test_a_customer_of_a_shared_team_is_refused(tmp_path):
    with installed("embedded", tmp_path / "w", None) as installation:
        server = installation.server().start()
        acme = new_organization(installation, server.url)
        with psycopg.connect(installation.shard_dsn, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO shard.customers (organization_id, external_id, team_id, name)"
                " SELECT organization_id, 'dana', id, 'Dana' FROM shard.teams"
            )
        refused = installation.command("customer", "erase", str(acme.organization_id), "dana", "--yes", check=False)
        assert refused.returncode == 1
        assert "together with others" in refused.stderr


async def test_every_table_of_an_organization_says_what_an_erasure_does_with_it(postgres):
    database = await postgres.clone(("shard",), 0)
    with psycopg.connect(postgres.dsn(database), autocommit=True) as connection:
        owned = {row[0] for row in connection.execute(OWNED).fetchall()}
    await postgres.drop(database)
    assert LEFT.keys() | KEPT.keys() == owned
    assert not LEFT.keys() & KEPT.keys()
