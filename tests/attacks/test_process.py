"""Attacks on the served process and its data: its memory, its environment, its log, its audit trail."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from make_bridge.platform.database.pools import Shard
from support.integrator import API, new_organization
from support.network import send
from support.server import installed

DUMPING = Path(__file__).with_name("dumping_process.py")
PASSED = "passed-by-a-client-0123456789"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server with one organization, telling all it can tell."""
    folder = tmp_path_factory.mktemp("served") / "embedded"
    with installed("embedded", folder, None, LOG_LEVEL="DEBUG") as installation:
        server = installation.server().start()
        yield server, new_organization(installation, server.url)


@pytest.mark.attack("H10")
def test_a_process_that_crashes_leaves_no_core_and_others_of_its_user_cannot_read_it(tmp_path):
    done = subprocess.run(
        [sys.executable, DUMPING],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "KEY": "HUNTER2"},
    )
    assert done.returncode < 0
    assert done.stdout.splitlines()[-1] == "(0, 0) dumpable 0"
    assert list(tmp_path.iterdir()) == []
    assert "HUNTER2" not in done.stdout
    assert done.stderr.count("Permission denied") == 2


@pytest.mark.attack("H10")
def test_the_server_can_not_be_dumped_and_its_keys_are_in_files_of_its_own(served):
    server, integrator = served
    pid = server.process.pid
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits)
    data = server.installation.data_dir
    keys = [path for path in data.rglob("*") if path.is_file() and "key" in path.name and "cluster" not in path.parts]
    assert keys
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys)
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    for path in keys:
        assert path.read_bytes().strip() not in environment
        assert path.read_bytes().strip() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert integrator.secret.encode() not in environment


@pytest.mark.attack("H09")
def test_no_header_query_or_body_of_a_client_is_in_the_log(served):
    server, integrator = served
    token = integrator.token("dana")
    secrets = [PASSED, token, integrator.secret, integrator.api_token]
    headers = {"Cookie": f"session={PASSED}", "X-Api-Key": PASSED, "X-Request-Id": "bad id\u00a0" + PASSED}
    strange: dict[str, Any] = {name: value.encode("latin-1") for name, value in headers.items()}
    for method, path, authorization in (
        ("GET", f"{API}/integrations?token={PASSED}&code={PASSED}", f"Bearer {token}"),
        ("GET", f"{API}/integrations?token={PASSED}", f"Bearer {PASSED}.{PASSED}.{PASSED}"),
        ("GET", f"/api/v2/data-stores?teamId=1&token={PASSED}", f"Token {integrator.api_token}"),
        ("GET", "/api/v2/data-stores", f"Token {PASSED}"),
        ("POST", f"/hook/{PASSED}", f"Basic {PASSED}"),
        ("POST", f"{API}/integrations/init/1", f"Bearer {integrator.token('dana')}"),
    ):
        body = json.dumps({"password": PASSED, "login": PASSED}).encode()
        reply = send(method, server.url + path, headers={"Authorization": authorization, **strange}, body=body)
        assert reply.status < 500
        assert re.fullmatch(r"[0-9a-f]{32}", reply.headers["x-request-id"])
        assert PASSED.encode() not in b"".join(name.encode() + value.encode() for name, value in reply.headers.items())
    log = server.log.read_text()
    assert "credentials_refused" in log
    assert [secret for secret in secrets if secret in log] == []
    assert all(line.startswith("{") for line in log.splitlines() if "credentials_refused" in line)


@pytest.mark.attack("H13")
@pytest.mark.parametrize("pool", ["app", "engine"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE shard.audit SET actor = 'nobody'", "DELETE FROM shard.audit", "TRUNCATE shard.audit",
     "ALTER TABLE shard.audit DISABLE ROW LEVEL SECURITY", "DROP TABLE shard.audit",
     "COPY shard.audit TO PROGRAM 'id'", "SET ROLE {owner}", "SET SESSION AUTHORIZATION {owner}"],
)  # fmt: skip
async def test_the_roles_that_serve_can_add_to_the_audit_trail_and_change_nothing_in_it(shards, acme, pool, statement):
    """What a statement smuggled into the product could do: nothing to the trail, whichever role it has."""
    await acme.another_team(f"{pool} {statement[:6]}")
    [shard] = shards.all()
    assert isinstance(shard, Shard)
    organization_id = acme.facts.organization_id
    async with shard.read(organization_id) as tx:
        [owner] = (await tx.one("SELECT quote_ident(rolname) FROM pg_roles WHERE rolsuper ORDER BY oid") or {}).values()
    with pytest.raises(psycopg.Error) as refused:
        async with shard.write(organization_id) if pool == "app" else shard.engine_write() as tx:
            await tx.execute(statement.replace("{owner}", owner))
    assert isinstance(refused.value, psycopg.errors.InsufficientPrivilege)
    async with shard.read(organization_id) as tx:
        rows = await tx.all("SELECT actor FROM shard.audit WHERE organization_id = %s", (organization_id,))
    assert rows
    assert "nobody" not in {row["actor"] for row in rows}


@pytest.mark.attack("H13")
async def test_the_trail_is_written_whatever_the_level_of_the_log(shards, acme):
    await acme.another_team("watched")
    [shard] = shards.all()
    async with shard.read(acme.facts.organization_id) as tx:
        actions = await tx.all("SELECT action FROM shard.audit ORDER BY id")
    assert actions
