"""Blueprints in few words, for tests of the engine and of whoever runs scenarios."""

import json
from collections.abc import Sequence
from typing import Any

from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.compile import compile_blueprint
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.runner.request import RunRequest
from support.scripted import STARTED_AT

Json = dict[str, Any]
_VERSIONS = {"http:MakeRequest": 4}


def module(number: int, name: str, mapper: object = None, **rest: Any) -> Json:
    """One module; `rest` are its other keys (parameters, filter, onerror, flags, routes …)."""
    return {
        "id": number,
        "module": name,
        "version": _VERSIONS.get(name, 3 if name.startswith("http:") else 1),
        "parameters": {},
        "mapper": mapper,
        **rest,
    }


def webhook(number: int = 1) -> Json:
    return module(number, "gateway:CustomWebHook", {}, parameters={"hook": 1})


def when(a: str, operator: str, b: str | None = None) -> Json:
    """A filter with one condition."""
    condition = {"a": a, "o": operator} | ({} if b is None else {"b": b})
    return {"name": "", "conditions": [[condition]]}


def router(number: int, *flows: Sequence[Json], **rest: Any) -> Json:
    return module(number, "builtin:BasicRouter", routes=[{"flow": list(flow)} for flow in flows], **rest)


def call(number: int, method: str, url: str, body: str = "", **rest: Any) -> Json:
    mapper = {"url": url, "method": method, "parseResponse": True}
    if body:
        mapper |= {"contentType": "json", "inputMethod": "jsonString", "jsonStringBodyContent": body}
    return module(number, "http:MakeRequest", mapper, **rest)


def feeder(number: int, array: str, **rest: Any) -> Json:
    return module(number, "builtin:BasicFeeder", {"array": array}, **rest)


def aggregator(number: int, source: int, mapper: Json, **rest: Any) -> Json:
    return module(number, "builtin:BasicAggregator", mapper, parameters={"feeder": source}, **rest)


def returns(number: int, **outputs: str) -> Json:
    return module(number, "scenario-service:ReturnData", outputs)


def blueprint(*flow: Json, **scenario: Any) -> Json:
    """A blueprint; keyword arguments are `metadata.scenario` settings."""
    return {"name": "test", "flow": list(flow), "metadata": {"version": 1, "scenario": scenario}}


def program(*flow: Json, **scenario: Any) -> Program:
    """The same, compiled."""
    return compile_blueprint(parse_blueprint(json.dumps(blueprint(*flow, **scenario))), CATALOGUE)


def request(*bundles: Json, **rest: Any) -> RunRequest:
    """A request to run with these trigger bundles."""
    values: Json = {
        "execution_id": "e" * 32,
        "organization_id": 1,
        "team_id": 2,
        "scenario_id": 3,
        "scenario_name": "Orders",
        "started_at": STARTED_AT,
        "seed": 7,
        "trigger_bundles": list(bundles),
    }
    return RunRequest(**values | rest)
