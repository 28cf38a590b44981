"""Jobs from the outside: one that the product makes itself, seen and handled by the API and by the command line."""

from typing import Any

import psycopg
import pytest

from acceptance.conftest import Product
from support.network import Reply, send
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
WITHIN = 30.0
# What three dead workers leave: a test cannot kill the workers of a product that others use.
GIVE_UP = "UPDATE shard.jobs SET state = 'failed' WHERE id = %(id)s"
LETTER = """
INSERT INTO shard.dead_letters (id, organization_id, kind, reason, attempts)
SELECT id, organization_id, type, 'It was begun 3 times.', 3 FROM shard.jobs WHERE id = %(id)s
"""


def api(product: Product, method: str, path: str, json_body: object = None) -> Reply:
    headers = {"Authorization": f"Token {product.integrator.api_token}"}
    return send(method, f"{product.url}/api/v2{path}", headers=headers, json_body=json_body)


def ask(product: Product, method: str, path: str) -> Any:
    reply = api(product, method, path)
    assert reply.status == 200, f"{method} {path}: {reply}"
    return reply.json()


def job_when(product: Product, job_id: str, state: str) -> Any:
    def look() -> Any:
        job = ask(product, "GET", f"/jobs/{job_id}")["job"]
        return job if job["state"] == state else None

    return until(look, f"the job is {state}", within=WITHIN)


def test_a_job_is_done_by_the_served_product_and_handled_by_both_faces(product: Product) -> None:
    installation, mine = product.installation, ["--organization", str(product.integrator.organization_id)]
    job_id = ask(product, "POST", "/dead-letters/replay")["job"]["id"]
    done = job_when(product, job_id, "completed")
    assert done["result"] == {"replayed": 0, "leftOut": 0}
    [shown] = [job for job in installation.ask("jobs", "list", *mine) if job["id"] == job_id]
    assert shown == installation.ask("jobs", "show", job_id, *mine)
    assert (shown["state"], shown["type"]) == ("completed", "executions.replay_dead_letters")
    assert job_id in installation.command("jobs", "list", *mine, "--state", "completed").stdout
    for act in ("cancel", "retry"):
        refused = installation.command("jobs", act, job_id, *mine, check=False)
        assert refused.returncode == 1
        assert "This job is completed" in refused.stderr
    assert installation.command("jobs", "show", "x", *mine, check=False).returncode == 1


def test_a_given_up_job_is_listed_and_replayed_from_the_command_line(product: Product) -> None:
    installation, mine = product.installation, ["--organization", str(product.integrator.organization_id)]
    job_id = ask(product, "POST", "/dead-letters/replay")["job"]["id"]
    job_when(product, job_id, "completed")
    with psycopg.connect(installation.shard_dsn) as connection:
        connection.execute(GIVE_UP, {"id": job_id})
        connection.execute(LETTER, {"id": job_id})
    [letter] = [found for found in installation.ask("dead-letters", "list", *mine) if found["id"] == job_id]
    assert (letter["kind"], letter["attempts"]) == ("executions.replay_dead_letters", 3)
    assert job_id in installation.command("dead-letters", "list", *mine).stdout
    assert installation.ask("dead-letters", "replay", job_id, *mine) == {"executions": [], "jobs": [job_id]}
    job_when(product, job_id, "completed")
    assert product.installation.metric("jobs_total", type="executions.replay_dead_letters", result="completed") >= 2


def test_a_stranger_s_token_finds_nothing(product: Product) -> None:
    job_id = ask(product, "POST", "/dead-letters/replay")["job"]["id"]
    assert send("GET", f"{product.url}/api/v2/jobs/{job_id}").status == 401
    refused = product.installation.command("jobs", "show", job_id, "--organization", "1", check=False)
    assert refused.returncode == 1
