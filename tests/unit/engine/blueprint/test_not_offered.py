"""Modules that are left out on purpose: validation says so, and what to use instead."""

import pytest

from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.mistakes import NOT_OFFERED
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.blueprint.validate import validate


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("code:ExecuteCode", "http:MakeRequest"),
        ("email:ActionCreateDraft", "email:ActionSendEmail"),
        ("email:ActionSendMeEmail", "email:ActionSendEmail"),
        ("email:TriggerNewEmail", "gateway:CustomMailHook"),
    ],
)
def test_a_module_that_is_left_out_has_a_finding_with_the_way_round(name, instead):
    blueprint = {"name": "x", "flow": [{"id": 1, "module": name, "version": 1, "mapper": {}}], "metadata": {}}
    (finding,) = [found for found in validate(parse_blueprint(blueprint), CATALOGUE) if found.module_id == 1]
    assert instead in (finding.fix or "")
    assert instead in CATALOGUE


def test_nothing_is_left_out_and_offered():
    assert set(NOT_OFFERED) & set(CATALOGUE) == set()
