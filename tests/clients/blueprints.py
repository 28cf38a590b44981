"""Blueprints as Make's own editor writes them."""

from typing import Any


def greeting() -> dict[str, Any]:
    """A scenario that takes a name and gives a greeting."""
    return {
        "name": "Greet",
        "flow": [
            {
                "id": 1,
                "module": "scenario-service:ReturnData",
                "version": 2,
                "parameters": {},
                "mapper": {"greeting": "Hello, {{var.input.name}}!"},
                "metadata": {"expect": [{"name": "greeting", "type": "text", "label": "greeting", "required": True}]},
            }
        ],
        "interface": {
            "input": [{"name": "name", "type": "text", "required": True}],
            "output": [{"name": "greeting", "type": "text", "required": True}],
        },
        "scheduling": {"type": "on-demand"},
        "metadata": {"version": 1, "instant": False, "scenario": {"roundtrips": 1, "dlq": False}},
    }


def ordering(address: str, connection: int) -> dict[str, Any]:
    """A scenario that notes an order, hands it to a shop with a connection, and gives back what the shop says.

    What the shop does not take is kept as an incomplete execution.
    """
    noted = {
        "id": 1,
        "module": "util:SetVariable",
        "version": 1,
        "parameters": {},
        "mapper": {"name": "order", "scope": "roundtrip", "value": "{{var.input.order}}"},
    }
    handed_over = {
        "id": 2,
        "module": "http:MakeRequest",
        "version": 4,
        "parameters": {"authenticationType": "oAuth", "oAuthAccount": connection},
        "mapper": {
            "url": address, "method": "post", "contentType": "json", "inputMethod": "jsonString",
            "jsonStringBodyContent": '{"order": "{{1.order}}"}', "parseResponse": True, "stopOnHttpError": True,
        },
    }  # fmt: skip
    given_back = {
        "id": 3,
        "module": "scenario-service:ReturnData",
        "version": 2,
        "parameters": {},
        "mapper": {"received": "{{2.data.received}}"},
    }
    return {
        "name": "Order",
        "flow": [noted, handed_over, given_back],
        "interface": {
            "input": [{"name": "order", "type": "text", "required": True}],
            "output": [{"name": "received", "type": "boolean"}],
        },
        "scheduling": {"type": "on-demand"},
        "metadata": {"version": 1, "instant": False, "scenario": {"roundtrips": 1, "dlq": True}},
    }
