"""What a server quotes of the credential that it was called with, the scenario does not see."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from make_bridge.engine.apps.concealing import CONCEALED, SHORTEST, Concealed
from make_bridge.engine.ports import Credential, HttpResponse
from make_bridge.engine.runner.run import run
from support.blueprints import module, program, request
from support.scripted import Answer, make_world

URL = "https://api.example/x"
SECRET = 'a key/with "signs" & é'
V4 = "http:MakeRequest"
KEYS = {
    1: Credential(kind="api_key", secret="Key s3cret-of-ann", name="X-Key"),
    2: Credential(kind="api_key", secret=SECRET, name="key", placement="query"),
    3: Credential(kind="basic", user="ann", secret="pa55word-of-ann"),
    4: Credential(kind="bearer", secret="t0ken-of-ann"),
    5: Credential(kind="api_key", secret="short", name="X-Key"),
}
USED: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "key": ("http:ActionSendDataAPIKeyAuth", {"auth": 1}, ["Key s3cret-of-ann", "s3cret-of-ann"]),
    "query": ("http:ActionSendDataAPIKeyAuth", {"auth": 2}, [SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1]]),
    "basic": (
        "http:ActionSendDataBasicAuth",
        {"key": 3},
        ["pa55word-of-ann", base64.b64encode(b"ann:pa55word-of-ann").decode()],
    ),
    "bearer": ("http:ActionSendDataOAuth", {"account": 4}, ["Bearer t0ken-of-ann", "t0ken-of-ann"]),
    "version 4": (V4, {"authenticationType": "oAuth", "oAuthAccount": 4}, ["t0ken-of-ann"]),
}


async def ran(name, parameters, *answers, **mapper):
    compiled = program(module(1, name, {"url": URL, **mapper}, parameters=parameters))
    world = make_world(answers, credentials=KEYS)
    return await run(compiled, request(), world.ports), world


@pytest.mark.parametrize("status", [200, 400, 401])
@pytest.mark.parametrize("kind", USED)
async def test_a_quoted_credential_is_in_no_output_and_no_error(kind, status):
    name, parameters, quoted = USED[kind]
    for text in quoted:
        said = [("Content-Type", "text/plain"), ("X-Was", f"it was {text.encode().decode('latin-1')}")]
        answer = Answer(status=status, headers=said, body=f"you sent {text}, I think".encode())
        result, _ = await ran(name, {**parameters, "handleErrors": True}, answer)
        shown = repr(result.steps) + repr(result.error) + repr(result.error and result.error.detail)
        assert f"you sent {CONCEALED}, I think" in shown.replace("Bearer ", "")
        assert text not in shown


async def test_a_quoted_credential_is_in_no_parsed_answer():
    answer = Answer.from_json({"json": {"headers": {"authorization": "Bearer t0ken-of-ann"}, "total": 3}})
    result, _ = await ran("http:ActionSendDataOAuth", {"account": 4}, answer, parseResponse=True)
    [bundle] = result.steps[0].outputs
    assert bundle["data"] == {"headers": {"authorization": f"Bearer {CONCEALED}"}, "total": 3}
    assert bundle["fileSize"] == len(answer.body) - len("t0ken-of-ann") + len(CONCEALED)


async def test_texts_as_short_as_ordinary_words_are_left_alone():
    answer = Answer(headers=[("Content-Type", "text/plain")], body=b"a short text")
    result, _ = await ran("http:ActionSendDataAPIKeyAuth", {"auth": 5}, answer)
    assert result.steps[0].outputs[0]["data"] == "a short text"
    assert Concealed().more("x" * (SHORTEST - 1)).marks == ()
    assert Concealed().more("x" * SHORTEST).text("x" * SHORTEST) == CONCEALED


async def test_what_others_say_is_given_as_it_came():
    body = bytes(range(256))
    response = HttpResponse(status=200, headers=(("A", "b"),), body=body, url=URL)
    assert Concealed().response(response) is response
    assert Concealed().more("nowhere in it").response(response) == response


async def test_a_credential_in_the_next_page_s_address_leads_there_and_is_not_shown():
    following = f"{URL}?page=2&key={quote(SECRET, safe='')}"
    first = Answer.from_json({"json": {"items": [1], "next": following}, "times": 1})
    second = Answer.from_json({"json": {"items": [2]}})
    parameters = {"authenticationType": "apiKey", "apiKeyKeychain": 2}
    pages = {"paginationType": "urlBased", "paginationNext": "data.next", "parseResponse": True}
    result, world = await ran(V4, parameters, first, second, **pages)
    assert [bundle["data"]["items"] for bundle in result.steps[0].outputs] == [[1], [2]]
    assert world.target.requests[1].url.startswith(following)
    assert result.steps[0].outputs[0]["data"]["next"] == f"{URL}?page=2&key={CONCEALED}"


def test_what_is_concealed_shows_nothing_of_itself():
    assert "s3cret" not in repr(Concealed().more("s3cret-of-ann"))
