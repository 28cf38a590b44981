"""A template to test with: a webhook that tells two shops about an order, with gaps a customer fills."""

import copy
from typing import Any

from make_bridge.domain.templates.controller import Controller, read_controller
from make_bridge.domain.templates.places import Ground
from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.parse import parse_blueprint

JsonObject = dict[str, Any]

BLUEPRINT: JsonObject = {
    "name": "Tell the shops",
    "description": "Sends each order on.",
    "flow": [
        {
            "id": 1,
            "module": "gateway:CustomWebHook",
            "version": 1,
            "parameters": {"hook": 4711, "maxResults": 1},
            "mapper": {},
            "metadata": {
                "interface": [
                    {"name": "orderId", "type": "number", "label": "Order id"},
                    {
                        "name": "buyer",
                        "type": "collection",
                        "label": "Buyer",
                        "spec": [{"name": "first name", "type": "text", "label": "First name"}],
                    },
                ]
            },
        },
        {
            "id": 2,
            "module": "builtin:BasicRouter",
            "version": 1,
            "mapper": None,
            "routes": [
                {
                    "flow": [
                        {
                            "id": 3,
                            "module": "http:ActionSendDataAPIKeyAuth",
                            "version": 3,
                            "parameters": {"auth": 99, "handleErrors": True},
                            "mapper": {
                                "url": "",
                                "method": "post",
                                "headers": [{"name": "X-Shop", "value": ""}],
                                "data": "{{1.orderId}}",
                                "timeout": "",
                            },
                            "onerror": [
                                {
                                    "id": 7,
                                    "module": "util:ComposeTransformer",
                                    "version": 1,
                                    "mapper": {"value": "failed"},
                                }
                            ],
                        }
                    ]
                },
                {
                    "flow": [
                        {
                            "id": 4,
                            "module": "http:ActionSendDataAPIKeyAuth",
                            "version": 3,
                            "parameters": {"auth": 99},
                            "mapper": {
                                "url": "https://second.example/orders",
                                "method": "post",
                                "data": "{{1.orderId}}",
                            },
                        }
                    ]
                },
            ],
        },
    ],
    "metadata": {"version": 1},
}


def blueprint(**changes: Any) -> JsonObject:
    """Return a copy of the blueprint, changed at its top level."""
    return {**copy.deepcopy(BLUEPRINT), **changes}


def ground(document: JsonObject | None = None) -> Ground:
    """Return a blueprint with the real catalogue."""
    return Ground(parse_blueprint(document or blueprint()), CATALOGUE, {"type": "immediately"})


def field(uuid: str, module_id: object, domain: str, path: object, **members: Any) -> JsonObject:
    """Write one field of a controller."""
    return {"uuid": uuid, "moduleId": module_id, "domain": domain, "path": path, **members}


def controller(*fields: JsonObject, steps: list[JsonObject] | None = None) -> Controller:
    """Read a controller of these fields."""
    return read_controller({"version": 1, "fields": list(fields), "steps": steps or []})
