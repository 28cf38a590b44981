"""Requests that nobody wrote, made by schemathesis of the description of the routes: fit ones and unfit ones.

Half of them name things that are there. Whatever is sent, the answer is no fault of the server's, a refusal is a
sentence in the shape all refusals have, and nothing of the inside is in it. The requests are the same in every run;
``MAKE_BRIDGE_TEST_EXAMPLES`` makes more of them for each route.
"""

import json
import os
from pathlib import Path
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from attacks.scene import INSIDE
from support.belongings import KINDS, LISTS, Belongings
from support.bridge import PORTAL

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs/reference/openapi.json").read_text(encoding="utf-8"))
EXAMPLES = int(os.environ.get("MAKE_BRIDGE_TEST_EXAMPLES", "20"))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
# What takes away what others need comes last, and the keys that sign the requests last of all.
ROUTES = sorted(
    ((path, method) for path, methods in DOCUMENT["paths"].items() for method in methods),
    key=lambda route: ("keys" in route[0], route[1] == "delete", route),
)


@pytest.fixture(scope="module")
async def own(bridge):
    """One of each thing, for requests that name something."""
    belongings = Belongings(party=await bridge.organization("Generated"), sub="dana", mark="mark")
    await belongings.every()
    return belongings


@pytest.mark.parametrize(("path", "method"), ROUTES, ids=[f"{method} {path}" for path, method in ROUTES])
async def test_no_generated_request_finds_a_fault(own, path, method):
    wrong = []
    for case in cases_of(path, method, own.known):
        answer = await send(own.party, case)
        fault = fault_of(answer, own.party.facts)
        if fault:
            wrong.append(f"{fault}: {case.formatted_path} {case.query} {case.body!r:.500} {answer.body!r:.1000}")
    assert not wrong, "\n".join(wrong)


def cases_of(path, method, known):
    """Make requests, the same every time, and all of them before the first is sent."""
    made = []
    strategy = st.one_of([SCHEMA[path][method.upper()].as_strategy(generation_mode=mode) for mode in MODES])

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip
    @given(case=strategy, names_what_is_there=st.booleans())
    def gather(case, names_what_is_there):
        if names_what_is_there:
            name_known(case, known)
        made.append(case)

    gather()
    return made


def fault_of(answer, facts):
    """Say what is wrong with an answer, in a word, or nothing."""
    shown = answer.body + repr(answer.headers).encode()
    if answer.status >= 500:
        return "fault"
    if INSIDE.search(shown) is not None:
        return "inside"
    if any(secret.encode() in shown for secret in (facts.secret, facts.api_token)):
        return "secret"
    if answer.status >= 400:
        told = answer.json()
        if set(told) - {"fields"} != {"detail", "message", "code", "requestId"} or not told["detail"].endswith("."):
            return "shape"
    return ""


def name_known(case, known):
    """Put ids of things that are there into the places of ids."""
    for place in (case.path_parameters, case.query):
        for name in place or {}:
            if name in KINDS:
                place[name] = known[KINDS[name]]
    if isinstance(case.body, dict):
        for name in case.body:
            if name in KINDS:
                value = known[KINDS[name]]
                case.body[name] = [value] if name in LISTS else int(value) if value.isdigit() else value


async def send(party, case):
    """Send a case as it stands, with good credentials."""
    is_for_portal = case.path.startswith(PORTAL)
    shown = f"Bearer {party.token('*')}" if is_for_portal else f"Token {party.facts.api_token}"
    headers = [("Authorization", shown)]
    headers += [(name, value) for name, value in (case.headers or {}).items() if is_sendable(value)]
    raw = raw_body(case.body)
    if raw:
        headers.append(("Content-Type", "application/json"))
    query = urlencode(case.query or {}, doseq=True, errors="replace")
    target = f"{case.formatted_path}?{query}" if query else case.formatted_path
    return await party.bridge.client.send(case.method, target, headers=headers, body=raw)


def is_sendable(value):
    return isinstance(value, str) and value.isprintable() and value.isascii()


def raw_body(body):
    if isinstance(body, bytes):
        return body
    if isinstance(body, str | int | float | bool | list | dict) or body is None:
        return json.dumps(body).encode()
    return b""
