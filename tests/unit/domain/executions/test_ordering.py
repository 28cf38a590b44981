"""The ordering key of a run: from an expression over the trigger's bundle, short, storable, and never an error."""

from make_bridge.domain.executions.ordering import MAX_KEY, WHOLE_SCENARIO, Place, ordering_key
from make_bridge.engine.blueprint.model import Settings
from make_bridge.kernel.ids import ScenarioId, new_execution_id

PLACE = Place(execution_id=new_execution_id(), scenario_id=ScenarioId(7), seed=1)
BY_CUSTOMER = "{{1.customer}}"


def key(expression, trigger, **settings):
    return ordering_key(expression, Settings(**settings), PLACE, trigger)


def test_the_key_is_the_text_of_the_expression():
    assert key("{{lower(1.customer)}}-{{1.n}}", {"customer": "ACME", "n": 5}) == "acme-5"
    assert key(BY_CUSTOMER, {"customer": 5}) == key(BY_CUSTOMER, {"customer": "5"}) == "5"
    assert key("{{var.input.customer}} of {{var.scenario.id}}", {"customer": "a"}) == "a of 7"


def test_a_run_without_a_key_is_not_ordered():
    assert key(None, {"customer": "a"}) is None
    assert [key(BY_CUSTOMER, trigger) for trigger in ({}, {"customer": ""}, {"customer": None})] == [None] * 3


def test_a_scenario_in_order_as_a_whole_has_one_key_whatever_the_expression_says():
    assert key(BY_CUSTOMER, {"customer": "a"}, sequential=True) == WHOLE_SCENARIO
    assert key(None, {}, sequential=True) == WHOLE_SCENARIO


def test_an_expression_that_fails_or_costs_too_much_leaves_its_run_unordered():
    assert key("{{parseDate(1.customer; 'YYYY')}}", {"customer": "never"}) is None
    assert key("{{join(map(1.all; 'x'); ',')}}", {"all": [{"x": "y" * 50}] * 20_000}) is None
    assert key("{{1}}", {"all": ["y" * 50] * 20_000}) is None


def test_a_long_key_and_one_that_no_database_stores_become_digests():
    most = "k" * MAX_KEY
    assert key(BY_CUSTOMER, {"customer": most}) == most
    for text in (most + "k", "a\x00b", "a\ud800b", "a\nb"):
        digest = key(BY_CUSTOMER, {"customer": text})
        assert digest.startswith("sha256:")
        assert len(digest) == len("sha256:") + 64
        assert digest == key(BY_CUSTOMER, {"customer": text})
    assert key(BY_CUSTOMER, {"customer": most + "k"}) != key(BY_CUSTOMER, {"customer": most + "l"})


def test_the_key_of_a_confidential_scenario_is_not_shown():
    secret = key(BY_CUSTOMER, {"customer": "dana@example.com"}, confidential=True)
    assert "dana" not in secret
    assert secret == key(BY_CUSTOMER, {"customer": "dana@example.com"}, confidential=True)


def test_chance_gives_the_same_key_for_the_same_run():
    expression = "{{1.customer}}{{random}}{{uuid}}{{executionId}}{{timestamp}}"
    assert key(expression, {"customer": "a"}) == key(expression, {"customer": "a"})
