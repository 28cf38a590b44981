"""A scenario's states and the facts read out of its blueprint.

A blueprint is kept as it came. What the product needs to know of it (the apps it uses, whether its
first module is instant, its declared inputs) is derived here once, when it is saved.
"""

import unicodedata
from enum import StrEnum
from typing import Any

from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import MAX_ID, HookId
from make_bridge.kernel.lifecycle import Lifecycle

JsonObject = dict[str, Any]
HOOK_MODULES = frozenset({"gateway:CustomWebHook", "gateway:CustomMailHook"})
HOOK_TYPES = ("gateway-webhook", "gateway-mailhook")
MAX_NAME = 120
MAX_HOOK_NAME = 128
MAX_DESCRIPTION = 240


class ScenarioState(StrEnum):
    """Whether triggers may start executions."""

    INACTIVE = "inactive"
    ACTIVE = "active"


LIFECYCLE = Lifecycle(
    "scenario",
    {
        ScenarioState.INACTIVE: (ScenarioState.ACTIVE, ScenarioState.INACTIVE),
        ScenarioState.ACTIVE: (ScenarioState.INACTIVE, ScenarioState.ACTIVE),
    },
)


def first_module(blueprint: JsonObject) -> JsonObject | None:
    """Return the first module of the main flow, if there is one."""
    flow = blueprint.get("flow")
    first = flow[0] if isinstance(flow, list) and flow else None
    return first if isinstance(first, dict) else None


def needs_hook(blueprint: JsonObject) -> bool:
    """Say whether the first module waits for a webhook."""
    first = first_module(blueprint)
    return first is not None and first.get("module") in HOOK_MODULES


def named_hook(blueprint: JsonObject) -> HookId | None:
    """Return the webhook that the first module names."""
    first = first_module(blueprint)
    parameters = first.get("parameters") if first is not None and needs_hook(blueprint) else None
    number = parameters.get("hook") if isinstance(parameters, dict) else None
    return HookId(number) if isinstance(number, int) and 0 < number <= MAX_ID else None


def with_hook(blueprint: JsonObject, hook_id: int) -> JsonObject:
    """Return the blueprint with the hook's id in its first module's parameters."""
    first = first_module(blueprint)
    if first is None:
        return blueprint
    parameters = first.get("parameters")
    changed = {**first, "parameters": {**(parameters if isinstance(parameters, dict) else {}), "hook": hook_id}}
    return {**blueprint, "flow": [changed, *blueprint["flow"][1:]]}


def interface_of(blueprint: JsonObject) -> JsonObject:
    """Return ``{input, output}`` from the new or the older form; None where nothing is declared."""
    new, old = blueprint.get("interface"), blueprint.get("io")
    if isinstance(new, dict):
        return {"input": new.get("input"), "output": new.get("output")}
    if isinstance(old, dict):
        return {"input": old.get("input_spec"), "output": old.get("output_spec")}
    return {"input": None, "output": None}


def checked_name(name: str) -> str:
    """Return a usable scenario name or raise."""
    clean = name.strip()
    if not clean or len(clean) > MAX_NAME:
        message = f"A scenario's name has 1 to {MAX_NAME} characters."
        raise InvalidInput(message, fields={"name": message})
    return clean


def checked_description(text: str) -> str:
    """Return a usable description or raise; an empty one takes it away."""
    clean = text.strip()
    is_plain = not any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in clean.replace("\n", ""))
    if len(clean) > MAX_DESCRIPTION or not is_plain:
        message = f"A scenario's description has at most {MAX_DESCRIPTION} characters and no control characters."
        raise InvalidInput(message, fields={"description": message})
    return clean


def with_interface(blueprint: JsonObject, declared: JsonObject) -> JsonObject:
    """Return the blueprint with these inputs and outputs declared, in the newer of the two forms."""
    return {name: member for name, member in blueprint.items() if name != "io"} | {"interface": declared}


def checked_hook_name(name: str) -> str:
    """Return a usable name of a webhook or raise."""
    clean = name.strip()
    if not clean or len(clean) > MAX_HOOK_NAME or any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in clean):
        message = f"A webhook's name has 1 to {MAX_HOOK_NAME} characters and no control characters."
        raise InvalidInput(message, fields={"name": message})
    return clean


def checked_hook_type(name: str) -> str:
    """Return the type of a new hook or raise."""
    if name not in HOOK_TYPES:
        message = f"There is no webhook of the type '{name[:50]}' here: the types are {' and '.join(HOOK_TYPES)}."
        raise InvalidInput(message, fields={"typeName": message})
    return name
