"""No secret outside of ciphertext: a canary in every place for one, a day's work, and a search of all that it left.

Where the product shows a secret once, in the answer to whoever makes it, that answer alone is not searched. The day is
that of `canary_scene`; each test searches one kind of place. (H09, H10, F-40)
"""

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from attacks.canaries import Sweep
from attacks.canary_scene import CanaryScene, ProcessWatch, make_scene
from make_bridge.platform.database.embedded_programs import installed_programs
from support.embedded import cluster_in, dsn_of
from support.network import send
from support.oauth_server import serving_provider
from support.server import installed
from support.target import serving_target

pytestmark = pytest.mark.timeout(540)
MOST_OF_A_KIND = 120
SETTINGS = {
    "LOG_LEVEL": "DEBUG",
    "EGRESS_ALLOW": "127.0.0.1",
    "WEBHOOK_PLAIN_HTTP": "true",
    "OAUTH_PLAIN_HTTP": "true",
    "OAUTH_REFUSAL_PAUSE_SECONDS": "0",
    "INPUT_SCREENING": "report",
}
# What the parameters of a path can be: every one there is. Of a path with two, the pairs.
IDS: dict[tuple[str, ...], str] = {
    (): "SELECT '' LIMIT 0",
    ("organization_id",): "SELECT id::text FROM directory.organizations",
    ("team_id",): "SELECT id::text FROM shard.teams",
    ("customer_id",): "SELECT id::text FROM shard.customers",
    ("template_id",): "SELECT id::text FROM shard.templates",
    ("scenario_id",): "SELECT id::text FROM shard.scenarios",
    ("flow_id",): "SELECT id::text FROM shard.flows",
    ("hook_id",): "SELECT id::text FROM shard.hooks",
    ("scenario_id", "execution_id"): "SELECT scenario_id::text, replace(id::text, '-', '') FROM shard.executions",
    ("endpoint_id",): "SELECT id::text FROM shard.webhook_endpoints",
    (
        "endpoint_id",
        "message_id",
    ): "SELECT endpoint_id::text, 'msg_' || replace(id::text, '-', '') FROM shard.webhook_messages",
    ("application_id",): "SELECT id::text FROM shard.oauth_applications",
    ("connection_id",): "SELECT id::text FROM shard.connections WHERE type = 'oauth2'",
    ("stored_key_id",): "SELECT id::text FROM shard.connections WHERE kind = 'key'",
    ("report_id",): "SELECT id::text FROM shard.reports",
    ("job_id",): "SELECT id::text FROM shard.jobs",
    ("record_id",): "SELECT id::text FROM shard.incomplete_executions",
    ("credential_request_id",): "SELECT id::text FROM shard.credential_requests",
    ("function_id",): "SELECT id::text FROM shard.functions",
    ("team_id", "variable_name"): "SELECT team_id::text, name FROM shard.custom_variables WHERE team_id IS NOT NULL",
    ("organization_id", "variable_name"): (
        "SELECT organization_id::text, name FROM shard.custom_variables WHERE team_id IS NULL"
    ),
    ("role_id",): "SELECT '1'",
    ("template_url",): "SELECT '1'",
    ("app_name", "app_version"): "SELECT 'http', '3'",
}
# Nothing of these was made; what they would show is in no other place than the database.
NEVER_MADE = re.compile(r"/data-st|/job-batches|/parked-events|/dlqs/\{record_id\}/logs/")
COMMANDS = (
    "doctor", "user list", "keys list -o", "tokens list -o", "dead-letters list -o", "webhooks list -o",
    "audit list -o", "audit verify", "audit export -o --output -",
)  # fmt: skip


@pytest.fixture(scope="module")
def watch() -> ProcessWatch:
    return ProcessWatch(os.getpid())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, watch: ProcessWatch) -> Iterator[CanaryScene]:
    """The day is over when this is given."""
    folder = tmp_path_factory.mktemp("canaries")
    with ExitStack() as exits:
        provider = exits.enter_context(serving_provider())
        installation = exits.enter_context(installed("embedded", folder / "served", None, **SETTINGS))
        with watch.watching():
            made = make_scene(installation, lambda: exits.enter_context(serving_target()), provider, folder)
            made.work()
        yield made


def test_every_form_of_a_canary_is_found_wherever_it_stands() -> None:
    value = 'a canary: "é/+%'
    for before in range(4):
        text = f"{'-' * before}{value} and more"
        for form, shown in {
            "clear": text,
            "hexadecimal": text.encode().hex(),
            "hexadecimal in capitals": text.encode().hex().upper(),
            "for an address": quote(text, safe=""),
            "base64": base64.b64encode(text.encode()).decode(),
            "base64 of addresses": base64.urlsafe_b64encode(text.encode()).decode(),
        }.items():
            sweep = Sweep()
            sweep.add("canary", value)
            sweep.look(form, f"before {shown} behind")
            assert sweep.found(form), (form, before)
    rows = Sweep()
    rows.add("canary", "a-plain-canary")
    rows.look_at_rows("rows", rb"1	\\x" + base64.b64encode(b"{a-plain-canary}").hex().encode())
    assert rows.found("rows")
    by_design = Sweep(shown_by={"can": ("the one",)})
    by_design.add("canary", "a-plain-canary")
    for place in ("the one place", "another"):
        by_design.look(place, "a-plain-canary")
    assert (by_design.found("the one"), len(by_design.found("another"))) == ([], 1)


@pytest.mark.attack("H09")
def test_no_answer_to_anybody_holds_a_secret(scene: CanaryScene) -> None:
    """What was answered during the day: of webhooks, of refusals that quote, of consents, of reports."""
    assert len(scene.sweep.canaries) > 40
    assert scene.sweep.found("POST /hook", "GET ", "POST ", "the wizard", "report of ") == []


@pytest.mark.attack("H09")
def test_nothing_that_the_api_reads_back_holds_a_secret(scene: CanaryScene) -> None:
    """Every route that reads, with every id there is: logs, blueprints, incomplete executions, events, deliveries."""
    described = send("GET", f"{scene.server.url}/openapi.json").json()["paths"]
    paths = [path for path, methods in described.items() if "get" in methods]
    with psycopg.connect(scene.installation.shard_dsn) as connection:
        ids = {names: connection.execute(statement.encode()).fetchall() for names, statement in IDS.items()}
    unread = []
    for path in paths:
        names = tuple(re.findall(r"\{(\w+)\}", path))
        statuses = {read_back(scene, target) for target in targets_of(path, names, ids)}
        assert max(statuses, default=0) < 500, path
        if 200 not in statuses and not NEVER_MADE.search(path):
            unread.append((path, statuses))
    assert unread == []
    assert scene.sweep.found("GET /api/v2/", "GET /portal/api/bridge/") == []


def targets_of(path: str, names: tuple[str, ...], ids: dict[tuple[str, ...], list[Any]]) -> Iterator[str]:
    if not names:
        yield path
        yield from (f"{path}?teamId={row[0]}" for row in ids["team_id",])
        yield from (f"{path}?scenarioId={row[0]}" for row in ids["scenario_id",])
        yield from (f"{path}?organizationId={row[0]}" for row in ids["organization_id",])
        return
    for row in islice(ids.get(names, []), MOST_OF_A_KIND):
        target = path
        for name, value in zip(names, row, strict=True):
            target = target.replace(f"{{{name}}}", quote(value, safe=""))
        yield target


def read_back(scene: CanaryScene, target: str) -> int:
    is_portal = target.startswith("/portal/")
    credential = f"Bearer {scene.integrator.token('*')}" if is_portal else f"Token {scene.integrator.api_token}"
    reply = send("GET", scene.server.url + target, headers={"Authorization": credential})
    scene.look(f"GET {target}", reply)
    return reply.status


@pytest.mark.attack("H09")
def test_no_log_and_no_file_holds_a_secret_but_those_that_keep_keys(scene: CanaryScene) -> None:
    """Everything below the installation's folder: logs at the level DEBUG, and the database's own files and journal."""
    data = scene.installation.data_dir
    keys = (data / "root.key", data / "database" / "password")
    assert all(path.is_file() for path in keys)
    log = scene.server.log.read_text()
    assert "credentials_refused" in log
    assert scene.sweep.found_below(scene.installation.folder, besides=keys) == []


@pytest.mark.attack("H09")
def test_no_dump_of_the_database_holds_a_secret(scene: CanaryScene) -> None:
    """Every row of every table: executions, journal, outbox, deliveries, audit, what is sealed and what is a digest."""
    data = scene.installation.data_dir
    password = dsn_of(data).rpartition("password=")[2]
    cluster = os.open(cluster_in(data), os.O_PATH)
    dump: list[str | Path] = [installed_programs().bin / "pg_dump", "--host", f"/proc/self/fd/{cluster}", "make_bridge"]
    try:
        done = subprocess.run(
            [*dump, "--username", "make_bridge_admin"],
            env={"PGPASSWORD": password, "PATH": os.environ["PATH"]},
            pass_fds=(cluster,),
            check=False,
            capture_output=True,
            timeout=120,
        )
    finally:
        os.close(cluster)
    assert done.returncode == 0, done.stderr
    for table in (b"COPY shard.executions", b"COPY shard.connections", b"COPY directory.portal_keys", b"shard.journal"):
        assert table in done.stdout
    scene.sweep.look_at_rows("dump", done.stdout)
    assert scene.sweep.found("dump") == []


@pytest.mark.attack("H09")
def test_no_command_and_no_metric_tells_a_secret(scene: CanaryScene) -> None:
    organization = str(scene.integrator.organization_id)
    for command in COMMANDS:
        scene.command(*command.replace(" -o", f" --organization {organization}", 1).split())
    scene.look("metrics", scene.server.get("/metrics"))
    for path in ("/live", "/ready", "/health"):
        scene.look(f"machines {path}", scene.server.get(path))
    assert scene.sweep.found("make-bridge ", "metrics", "machines ") == []


@pytest.mark.attack("H10")
def test_no_process_has_a_secret_in_its_arguments_or_environment(scene: CanaryScene, watch: ProcessWatch) -> None:
    """The server, its database and every command that ran, looked at again and again from their start."""
    assert any(b"serve" in content for content in watch.seen.values())
    assert any(b"postgres" in content for content in watch.seen.values())
    for place, content in watch.seen.items():
        scene.sweep.look(f"process: {place}", content)
    assert scene.sweep.found("process: ") == []


@pytest.mark.attack("E33")
def test_nobody_is_called_with_a_secret_that_is_not_for_them(scene: CanaryScene) -> None:
    """Behind a redirect to another host nothing of a credential arrives; an endpoint hears of errors without them."""
    for name, target in {"elsewhere": scene.elsewhere, "the ears": scene.ears, "the shop": scene.shop}.items():
        assert target.calls, name
        for call in target.calls:
            told = json.dumps([call.path, dict(call.query), dict(call.headers)]).encode()
            scene.sweep.look(f"calls to {name}", told + call.body)
    assert scene.sweep.found("calls to ") == []
