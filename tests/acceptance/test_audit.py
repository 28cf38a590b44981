"""The audit trail from the outside: what people and runs did is found, exported, and verified by the command line."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from acceptance.conftest import API_KEY, Product
from support.integrator import new_organization
from support.network import send
from support.server import installed
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
WITHIN = 15.0
FLIP = """
UPDATE shard.audit SET detail = set_byte(detail, 0, get_byte(detail, 0) # 1)
WHERE organization_id = %s AND sequence = %s
"""


def trail(product: Product, query: str = "") -> list[dict[str, Any]]:
    """Ask for the acts of the product's integrator."""
    integrator = product.integrator
    reply = send(
        "GET",
        f"{product.url}/api/v2/organizations/{integrator.organization_id}/audit?limit=1000{query}",
        headers={"Authorization": f"Token {integrator.api_token}"},
    )
    assert reply.status == 200, reply
    acts: list[dict[str, Any]] = reply.json()["audit"]
    return acts


def chained(product: Product, query: str) -> list[dict[str, Any]]:
    """Wait until acts are there and in the chain."""

    def read() -> list[dict[str, Any]] | None:
        acts = trail(product, query)
        return acts if acts and all(act["sequence"] for act in acts) else None

    return until(read, f"{query} is chained", within=WITHIN)


def test_switching_a_scenario_on_has_a_row_with_before_and_after_and_the_trail_verifies(product: Product) -> None:
    connected = product.connect(enable=False)
    connected.portal.post(f"/scenarios/{connected.id}/activate")
    acts = chained(product, f"&object=scenario/{connected.id}")
    newest = acts[0]
    assert (newest["action"], newest["actorKind"], newest["actor"]) == (
        "scenario.activate",
        "customer",
        connected.portal.sub,
    )
    assert (newest["before"], newest["after"]) == ({"is_active": False}, {"is_active": True})
    assert newest["address"] == "127.0.0.1"
    verified = product.installation.ask("audit", "verify")
    assert verified["broken"] == []
    assert verified["rows"] >= len(acts)


def test_a_credential_that_a_run_opened_has_a_row_and_nothing_of_it_is_in_the_trail(product: Product) -> None:
    connected = product.connect()
    execution_id = connected.call_hook({"orderId": "a-1", "total": 1}).headers["x-execution-id"]

    def opened() -> list[dict[str, Any]]:
        return [act for act in trail(product, "&action=credential.open") if act["detail"]["execution"] == execution_id]

    [act] = until(opened, "the opening is in the trail", within=WITHIN)
    assert act["object"].split("/")[0] in {"key", "connection"}
    assert API_KEY not in json.dumps(trail(product))


def test_what_somebody_with_all_rights_on_the_database_changed_is_named(product: Product) -> None:
    organization_id = str(product.integrator.organization_id)
    connected = product.connect(enable=False)
    connected.portal.post(f"/scenarios/{connected.id}/activate")
    sequence = chained(product, f"&object=scenario/{connected.id}")[0]["sequence"]
    installation = product.installation
    with psycopg.connect(installation.shard_dsn, autocommit=True) as owner:
        owner.execute(FLIP, (organization_id, sequence))
        try:
            refused = installation.command("audit", "verify", "--organization", organization_id, check=False)
        finally:
            owner.execute(FLIP, (organization_id, sequence))
    assert refused.returncode == 1
    assert f"Row {sequence} " in refused.stderr
    assert "was changed" in refused.stderr
    held = installation.command("audit", "verify", "--organization", organization_id)
    assert "0 do not hold" in held.stdout


def test_the_command_line_lists_exports_and_leaves_rows_of_its_own(product: Product, tmp_path: Any) -> None:
    organization_id, installation = str(product.integrator.organization_id), product.installation
    of = ("--organization", organization_id)
    installation.command("token", "mint", product.integrator.key_id, "--sub", "dana")
    [minted] = installation.ask("audit", "list", *of, "--action", "portal_token.mint", "--limit", "1")
    assert (minted["object"], minted["detail"]) == (f"portal_key/{product.integrator.key_id}", {"sub": "dana"})
    file = tmp_path / "trail.jsonl"
    told = installation.ask("audit", "export", *of, "--output", str(file))
    assert told["rows"] == len(file.read_text().splitlines()) >= len(installation.ask("audit", "list", *of)) > 0
    for wrong in (["list", *of, "--from", "x"], ["verify", "--anchor", "x"]):
        refused = installation.command("audit", *wrong, check=False)
        assert refused.returncode == 1
        assert refused.stderr.strip().endswith(".")


def test_words_of_an_attack_are_told_where_screening_is_on_and_refuse_nothing(tmp_path: Path) -> None:
    with installed("embedded", tmp_path / "w", None, INPUT_SCREENING="report") as served:
        integrator = new_organization(served, served.server().start().url)
        attack = "Robert'; DROP TABLE students;--"
        made = integrator.administrator().post("/customers", {"name": attack, "externalId": "robert"})
        assert made["name"] == attack
        [act] = served.ask("audit", "list", "--organization", str(integrator.organization_id), "--action", "probe.seen")
        assert (act["object"], act["detail"]) == ("POST /portal/api/bridge/customers", {"body": ["sql"]})
