"""What the modules of a run are called: by their author's caption, else by the module's own name.

The views ask it, so that no page has to show ``gateway:CustomWebHook`` or "module 4" to a person. Read from the
blueprint version that the run used, because a later version may call its modules otherwise.
"""

from collections.abc import Mapping
from typing import Any

from make_bridge.engine.apps.catalogue import APPS, CATALOGUE
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.kernel.errors import InvalidInput

JsonObject = dict[str, Any]


def captioned(steps: list[JsonObject], blueprint: bytes | None) -> list[JsonObject]:
    """Return the steps, each with ``name`` and ``app`` as people know them."""
    captions = _captions(blueprint) if blueprint is not None else {}
    return [step | _named(step, captions) for step in steps]


def _named(step: JsonObject, captions: Mapping[int, str]) -> JsonObject:
    module = str(step["module"])
    app, _, action = module.partition(":")
    spec = CATALOGUE.get(module)
    name = captions.get(step["moduleId"]) or (spec.label if spec else action or module)
    return {"name": name, "app": APPS.get(app, app)}


def _captions(blueprint: bytes) -> dict[int, str]:
    try:
        return {node.id: node.label for node in parse_blueprint(blueprint).modules() if node.label}
    except InvalidInput:
        return {}
