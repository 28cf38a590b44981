"""Parked events from the outside: seen and asked for by the command line, taken by the served product."""

import psycopg
import pytest

from acceptance.conftest import Product
from support.waiting import until

pytestmark = pytest.mark.timeout(120)
WITHIN = 20.0
TYPE = "test.parked.v1"
# What a consumer that fails leaves: a test cannot break the consumers of a product that others use.
PARK = """
INSERT INTO shard.parked_events
    (consumer, event_id, organization_id, position, type, subject, payload, error, created_at)
VALUES ('counting', gen_random_uuid(), %s, 1, %s, 'thing/1', convert_to('{}', 'UTF8'), 'ValueError: number 1', now())
RETURNING replace(id::text, '-', '')
"""
COUNTED = "SELECT events FROM shard.event_counts WHERE organization_id = %s AND type = %s"


def test_an_operator_sees_what_is_parked_over_all_organizations_and_has_it_tried_again(product: Product) -> None:
    installation, organization_id = product.installation, product.integrator.organization_id
    with psycopg.connect(installation.shard_dsn, autocommit=True) as connection:
        [parked_id] = connection.execute(PARK, (organization_id, TYPE)).fetchone() or ("",)
        [shown] = [parked for parked in installation.ask("events", "parked") if parked["id"] == parked_id]
        assert (shown["organizationId"], shown["consumer"], shown["error"], shown["event"]["type"]) == (
            organization_id,
            "counting",
            "ValueError: number 1",
            TYPE,
        )
        assert installation.ask("events", "parked", "--consumer", "nobody") == []
        assert parked_id in installation.command("events", "parked").stdout
        assert installation.ask("events", "replay", parked_id) == [parked_id]

        def taken() -> bool:
            return connection.execute(COUNTED, (organization_id, TYPE)).fetchone() == (1,)

        until(taken, "the consumer has taken it after all", within=WITHIN)
    assert [parked for parked in installation.ask("events", "parked") if parked["id"] == parked_id] == []


def test_what_names_no_parked_event_is_refused_with_a_sentence(product: Product) -> None:
    for wrong, said in (
        (["replay"], "--all"),
        (["replay", "x"], "32 hexadecimal characters"),
        (["replay", "0" * 32], "nothing was asked for"),
    ):
        refused = product.installation.command("events", *wrong, check=False)
        assert refused.returncode == 1
        assert said in refused.stderr
