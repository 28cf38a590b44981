"""Attacks on the border between organizations, over every route that the server describes, through nginx.

The routes come from `/openapi.json`, so one that is added is attacked from its first day.
"""

import json
import re

import psycopg
import pytest
from psycopg import sql

from attacks.scene import TABLES
from support.blueprints import blueprint, returns
from support.network import send

pytestmark = [pytest.mark.requires_server("postgresql-15", "nginx"), pytest.mark.timeout(300)]
MARK = "of-the-rival-alone"
CLAIMS = ("X-Organization-Id", "X-Team-Id", "X-User-Id", "X-Role", "X-Make-Organization-Id", "X-Make-Bridge-Context",
          "X-Forwarded-User", "X-Tenant-Id", "X-Permissions", "Remote-User")  # fmt: skip
NEWEST = """
SELECT id::text FROM {} WHERE organization_id = %s ORDER BY id DESC LIMIT 1
"""
ROWS = """
SELECT coalesce(md5(string_agg(r, ',' ORDER BY r)), '')
FROM (SELECT (to_jsonb(t) - 'sequence' - 'seal')::text AS r FROM {} t WHERE organization_id = %s) AS found
"""
# Parameters by the table that their ids come from; one that is not named here gets the organization's own number.
PARAMETERS = {
    "teamId": "shard.teams",
    "team_id": "shard.teams",
    "customer_id": "shard.customers",
    "template_id": "shard.templates",
    "instanceable_id": "shard.template_versions",
    "scenario_id": "shard.scenarios",
    "flow_id": "shard.flows",
    "hook_id": "shard.hooks",
    "data_store_id": "shard.data_stores",
    "store_id": "shard.data_stores",
    "data_structure_id": "shard.data_structures",
    "structure_id": "shard.data_structures",
    "folder_id": "shard.scenario_folders",
    "execution_id": "shard.executions",
    "endpoint_id": "shard.webhook_endpoints",
    "report_id": "shard.reports",
    "job_id": "shard.jobs",
    "token_id": "directory.api_tokens",
}


@pytest.fixture(scope="module")
def routes(scene):
    described = scene.attack("GET", "/openapi.json").json()["paths"]
    found = [(method.upper(), path) for path, methods in described.items() for method in methods]
    assert len(found) > 80
    return found


@pytest.fixture(scope="module")
def victim(scene):
    """What the victim has one of, each with a name that nobody else may read."""
    rival = scene.rival
    administrator = rival.administrator()
    version = rival.publish(blueprint(returns(1, a="b")) | {"name": MARK})
    customer = rival.customer(MARK)
    customer.begin(version)
    scenario = customer.connect(version, {}, scenario={"name": MARK, "enable": True})
    customer.post(f"/scenarios/{scenario.id}/run", {"responsive": True})
    team = administrator.get("/customers")["customers"][0]["teamId"]
    for path, body in (
        (f"/data-stores?teamId={team}", {"name": MARK, "teamId": team, "maxSizeMB": 1}),
        (f"/data-structures?teamId={team}", {"name": MARK, "teamId": team, "spec": []}),
        ("/webhook-endpoints", {"url": f"https://{MARK}.example/", "eventTypes": ["*"]}),
        ("/reports", {"kind": "usage"}),
    ):
        headers = {"Authorization": f"Token {rival.api_token}"}
        send("POST", f"{scene.url}/api/v2{path}", headers=headers, json_body=body)
    ids = {}
    with psycopg.connect(scene.installation.directory_dsn) as connection:
        for name, table in PARAMETERS.items():
            statement = sql.SQL(NEWEST).format(sql.Identifier(*table.split(".")))
            row = connection.execute(statement, (rival.organization_id,)).fetchone()
            ids[name] = row[0] if row is not None else str(rival.organization_id)
    return ids


def filled(path, ids, otherwise):
    return re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], otherwise), path)


def test_e34_no_route_acts_for_anybody_who_shows_no_credentials(scene, routes):
    """Whatever a request claims in headers and query to be: there is no identity to fall back to."""
    rival = scene.rival
    claims = dict.fromkeys(CLAIMS, str(rival.organization_id))
    told: dict[tuple[int, str], list[str]] = {}
    with scene.leaving():
        for method, path in routes:
            target = filled(path, {}, str(rival.organization_id))
            for query in ("", f"?teamId={rival.team_id}&organizationId={rival.organization_id}"):
                reply = scene.attack(method, target + query, headers=claims, json_body={"teamId": rival.team_id})
                told.setdefault((reply.status, reply.json()["code"]), []).append(f"{method} {path}")
    assert set(told) == {(401, "token_missing")}, told


def test_g10_no_route_opens_what_belongs_to_another_organization(scene, routes, victim):
    """Every route, with ids of the victim in address, query and body, and an all-powerful token of one's own."""
    acme, rival = scene.acme, scene.rival
    rows = rows_of(scene, rival)
    opened = []
    for method, path in routes:
        target = filled(path, victim, str(rival.organization_id))
        for query in ("", f"?teamId={victim['teamId']}", f"?organizationId={rival.organization_id}"):
            credential = f"Bearer {acme.token('*')}" if "/portal/" in path else f"Token {acme.api_token}"
            body = {"teamId": int(victim["teamId"]), "organizationId": rival.organization_id, "name": "mine"}
            headers = {"Authorization": credential}
            reply = scene.attack(method, target + query, headers=headers, json_body=body)
            assert MARK.encode() not in reply.body, (method, target, reply)
            # A member that a route does not know, as `organizationId` for most, is no claim; a team or an id is.
            if ("{" in path or "teamId" in query) and method != "GET" and reply.status < 300:
                opened.append(f"{method} {path}{query} {reply}")
    assert opened == []
    assert rows_of(scene, rival) == rows


def rows_of(scene, who):
    """Digests of all rows of an organization, but for what it only counts and the places of acts in their chain."""
    found = {}
    with psycopg.connect(scene.installation.directory_dsn) as connection:
        for schema, names in TABLES.items():
            for name in (name for name in names if name not in {"used_tokens", "organizations", "idempotency"}):
                statement = sql.SQL(ROWS).format(sql.Identifier(schema, name))
                [(found[name],)] = connection.execute(statement, (who.organization_id,)).fetchall()
    return found


def test_b13_a_customer_s_token_does_nothing_that_is_an_administrator_s(scene, routes, victim):
    """The most a customer can sign for: every management route refuses it, and nothing is changed."""
    told: dict[int, list[str]] = {}
    with scene.leaving("directory.used_tokens", "shard.customers", "shard.teams", "shard.audit", "shard.outbox"):
        for method, path in routes:
            if not path.startswith("/api/v2/"):
                continue
            headers = {"Authorization": f"Bearer {scene.rival.token(MARK, permissions=['*'])}"}
            reply = scene.attack(method, filled(path, victim, "1"), headers=headers, json_body={})
            told.setdefault(reply.status, []).append(f"{method} {path} {json.loads(reply.body)['code']}")
    assert set(told) <= {401, 403}, {status: told[status] for status in told if status not in {401, 403}}
