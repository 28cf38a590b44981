"""What the modules of a run are called."""

import json

from make_bridge.domain.executions.captions import captioned

BLUEPRINT = json.dumps(
    {
        "flow": [
            {
                "id": 1,
                "module": "gateway:CustomWebHook",
                "version": 1,
                "parameters": {"hook": 1},
                "metadata": {"designer": {"name": "New order"}},
            },
            {"id": 2, "module": "util:SetVariables", "version": 1, "mapper": {}},
        ]
    }
).encode()


def step(module_id, module):
    return {"moduleId": module_id, "module": module}


def names(steps, blueprint):
    return [(one["name"], one["app"]) for one in captioned(steps, blueprint)]


def test_the_author_s_caption_comes_before_the_module_s_own_name():
    steps = [step(1, "gateway:CustomWebHook"), step(2, "util:SetVariables")]
    assert names(steps, BLUEPRINT) == [("New order", "Webhooks"), ("Set multiple variables", "Tools")]


def test_without_a_readable_blueprint_a_module_still_has_a_name():
    for blueprint in (None, b"{}", b"not json"):
        assert names([step(1, "gateway:CustomWebHook"), step(9, "new:Thing")], blueprint) == [
            ("Custom webhook", "Webhooks"),
            ("Thing", "new"),
        ]


def test_what_is_known_of_a_step_stays():
    [kept] = captioned([step(2, "util:SetVariables") | {"outputs": [{"a": 1}]}], BLUEPRINT)
    assert kept["outputs"] == [{"a": 1}]
