"""Bad input of every class, at every route that takes a body: one shape of refusal, and nothing is done."""

import itertools

import pytest

from make_bridge.domain.executions.messages import RunScenario
from support.portal import refusal

MB = 1024 * 1024
BODIES = {
    "duplicate keys": b'{"data": {"a": 1}, "data": {"a": 2}}',
    "duplicate keys, escaped": b'{"data": {}, "d\\u0061ta": {}}',
    "NaN": b'{"data": {"a": NaN}}',
    "Infinity": b'{"data": {"a": -Infinity}}',
    "a number no float holds": b'{"data": {"a": 1e999}}',
    "NUL in text": b'{"data": {"a": "x\\u0000"}}',
    "NUL in a key": b'{"\\u0000": 1}',
    "a NUL byte": b'{"data": "\x00"}',
    "half a surrogate pair": b'{"data": {"a": "\\ud800"}}',
    "the other half": b'{"data": {"a": "\\udc00 "}}',
    "bytes that are no UTF-8": b'{"data": {"a": "\xff\xfe"}}',
    "a surrogate in UTF-8": b'{"data": {"a": "\xed\xa0\x80"}}',
    "UTF-16": '{"data": {}}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "too deep": b'{"data": ' + b'{"a":' * 201 + b"1" + b"}" * 202,
    "100 000 deep": b"[" * 100_000 + b"]" * 100_000,
    "100 000 deep, never closed": b'{"a":' * 100_000,
    "cut off": b'{"data": {"a": "b',
    "more than one value": b"{} {}",
    "a comment": b"{} // x",
    "a trailing comma": b'{"data": {},}',
    "single quotes": b"{'data': {}}",
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"7",
    "a form": b"data=1&responsive=true",
}
ROUTES = (
    ("POST", "/integrations/init/9216", "dana"),
    ("POST", "/scenarios/7168/run", "dana"),
    ("POST", "/integrations/7168/run", "dana"),
    ("POST", "/customers", "*"),
    ("POST", "/templates", "*"),
    ("PATCH", "/templates/9216", "*"),
    ("PUT", "/templates/9216", "*"),
    ("POST", "/scenarios", "*"),
    ("PUT", "/scenarios/7168/blueprint", "*"),
    ("POST", "/scenarios/7168/clone", "*"),
)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_is_no_honest_json_object_is_refused_everywhere(portal, body):
    for method, target, sub in ROUTES:
        answer = await portal.send(method, target, sub=sub, body=body)
        assert answer.status in {400, 422}
        refusal(answer, answer.status, answer.json()["code"])
    assert portal.buses.dispatched == []


@pytest.mark.attack("C18")
@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
async def test_a_form_is_refused_even_when_its_text_is_json(portal, kind):
    for method, target, sub in ROUTES:
        answer = await portal.send(method, target, sub=sub, body=b"{}", headers=[("Content-Type", kind)])
        refusal(answer, 415, "unsupported_media_type")
    assert portal.buses.dispatched == []


async def test_ten_megabytes_are_refused_unread(portal):
    for method, target, sub in ROUTES:
        answer = await portal.send(method, target, sub=sub, body=b"x" * (10 * MB))
        refusal(answer, 413, "too_large")
        assert answer.taken == 0
    assert portal.directories.used == set()


async def test_a_body_without_end_is_cut_off(portal):
    for method, target, sub in ROUTES:
        answer = await portal.send(method, target, sub=sub, body=itertools.repeat(b"x" * 65536))
        refusal(answer, 413, "too_large")
        assert answer.taken <= 5 * MB
        assert answer.header("connection") == "close"
    assert portal.buses.dispatched == []


async def test_nobody_without_credentials_has_a_body_read(portal):
    for method, target, _ in ROUTES:
        answer = await portal.send(method, target, sub=None, body=itertools.repeat(b"x" * 65536))
        refusal(answer, 401, "token_missing")
        assert answer.taken == 0


async def test_a_body_where_none_is_taken_is_no_matter(portal):
    answer = await portal.get("/scenarios/7168", body=b"{ this is not JSON")
    assert answer.status == 200


async def test_a_token_of_eight_kilobytes_is_refused_unread(portal):
    for method, target, _ in ROUTES:
        answer = await portal.send(method, target, authorization="Bearer " + ("a" * 2730 + ".") * 3)
        refusal(answer, 401, "token_invalid")
    assert portal.directories.looked_up == []


@pytest.mark.parametrize(
    "character", ["%00", "%ED%A0%80", "%FF", "%0A", "%2e%2e%2f", "..%2f..", "'", "%25", "%E2%80%AE"]
)
async def test_a_path_of_strange_characters_names_nothing(portal, character):
    for target in (
        f"/scenarios/{character}",
        f"/scenarios/7168{character}/logs",
        f"/integrations/check-init/{character}",
    ):
        refusal(await portal.get(target), 404, "not_found")
    assert portal.buses.dispatched == []


@pytest.mark.parametrize(
    "data", ['{"a": "Sel\\u00e9ct * from orders; DROP TABLE x --"}', '{"a": "\\ud83d\\ude00 \\u202e"}']
)
async def test_honest_text_of_any_kind_comes_through(portal, data):
    portal.buses.answers[RunScenario] = "0" * 32
    assert (await portal.post("/scenarios/7168/run", body=f'{{"data": {data}}}'.encode())).status == 200
    assert portal.buses.one(RunScenario).inputs["a"]


async def test_an_unforeseen_error_of_the_domain_tells_nothing(portal):
    portal.buses.answers[RunScenario] = RuntimeError("hunter2")
    answer = await portal.post("/scenarios/7168/run")
    refusal(answer, 500, "internal_error")
    assert b"hunter2" not in answer.body


async def test_an_address_nobody_serves_is_told_in_the_same_shape(portal):
    refusal(await portal.get("/nothing"), 404, "not_found")
    answer = await portal.send("PUT", "/scenarios/7168")
    refusal(answer, 405, "method_not_allowed")
    assert answer.header("allow") == "DELETE, GET, PATCH"
