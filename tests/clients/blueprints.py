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
