"""The app http: what goes out, what comes in, and which error it becomes."""

import json
from typing import Any

import pytest

from make_bridge.engine.apps.http_response import failure_error, file_name
from make_bridge.engine.ports import Credential, HttpFailure, HttpRequest
from make_bridge.engine.runner.result import RunResult
from make_bridge.engine.runner.run import run
from support.blueprints import module, program, request
from support.scripted import Answer, World, make_world

URL = "https://api.example/x"


async def _run(
    name: str,
    mapper: dict[str, Any],
    *answers: Answer,
    credentials: dict[int, Credential] | None = None,
    **parameters: Any,
) -> tuple[RunResult, World]:
    compiled = program(module(1, name, {"url": URL, **mapper}, parameters=parameters))
    world = make_world(answers or [Answer()], credentials=credentials)
    return await run(compiled, request(), world.ports), world


async def _sent(name: str, mapper: dict[str, Any], **parameters: Any) -> HttpRequest:
    result, world = await _run(name, mapper, **parameters)
    assert result.error is None, result.error
    return world.target.requests[0]


async def _bundle(name: str, mapper: dict[str, Any], answer: Answer, **parameters: Any) -> dict[str, Any]:
    result, _ = await _run(name, mapper, answer, **parameters)
    assert result.error is None, result.error
    bundle = result.steps[0].outputs[0]
    assert isinstance(bundle, dict)
    return bundle


V3, V4 = "http:ActionSendData", "http:MakeRequest"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://a.example/p q?x=ü", "https://a.example/p%20q?x=%C3%BC"),
        ("https://a.example/%20?x=1#frag", "https://a.example/%20?x=1"),
        ("  https://a.example/  ", "https://a.example/"),
        ("HTTPS://a.example/a(b)='c'&d,e", "HTTPS://a.example/a(b)='c'&d,e"),
    ],
)
async def test_an_address_is_escaped_only_where_it_must_be(given, sent):
    assert (await _sent(V3, {"url": given})).url == sent
    assert (await _sent(V4, {"url": given})).url == sent


async def test_serializing_an_address_escapes_percent_signs_too():
    assert (
        await _sent(V3, {"url": "https://a.example/100%25", "serializeUrl": True})
    ).url == "https://a.example/100%2525"


@pytest.mark.parametrize(
    "url", ["ftp://a.example", "a.example", "javascript:alert(1)", "file:///etc/passwd", "https:/x"]
)
async def test_only_web_addresses_are_called(url):
    result, world = await _run(V4, {"url": url})
    assert (result.error and result.error.type, world.target.requests) == ("BundleValidationError", [])


async def test_a_query_is_appended_to_the_one_that_is_there():
    rows = [{"name": "a", "value": "1 2"}, {"name": "b&", "value": "/?"}, {"name": "", "value": "empty row"}]
    assert (await _sent(V3, {"qs": rows})).url == f"{URL}?a=1%202&b%26=%2F%3F"
    assert (await _sent(V4, {"url": f"{URL}?z=9", "queryParameters": rows})).url == f"{URL}?z=9&a=1%202&b%26=%2F%3F"


@pytest.mark.parametrize("name", [V3, V4])
@pytest.mark.parametrize(("bad", "value"), [("X-A", "x\r\nY: 1"), ("X A", "1"), ("X-A:", "1"), ("X-A", "x" * 20_000)])
async def test_headers_cannot_smuggle_lines(name, bad, value):
    result, world = await _run(name, {"headers": [{"name": bad, "value": value}]})
    assert (result.error and result.error.type, world.target.requests) == ("BundleValidationError", [])


async def test_headers_that_frame_the_message_are_left_to_the_client():
    rows = [
        {"name": "Content-Length", "value": "5"},
        {"name": "transfer-encoding", "value": "x"},
        {"name": "A", "value": "1"},
    ]
    assert (await _sent(V4, {"headers": rows})).headers == (("A", "1"),)


async def test_methods_are_read_in_any_case_and_unknown_ones_refused():
    assert (await _sent(V3, {"method": "PuT"})).method == "PUT"
    result, _ = await _run(V4, {"method": "TRACE"})
    assert result.error is not None
    assert "not a method" in result.error.message


@pytest.mark.parametrize(
    ("method", "offered"),
    [("get", False), ("head", False), ("options", False), ("post", True), ("put", True), ("delete", True)],
)
async def test_writes_offer_an_idempotency_key(method, offered):
    assert any(name == "Idempotency-Key" for name, _ in (await _sent(V4, {"method": method})).headers) is offered


async def test_an_idempotency_key_of_the_author_is_kept():
    rows = [{"name": "idempotency-key", "value": "mine"}]
    sent = await _sent(V4, {"method": "post", "headers": rows})
    assert [value for name, value in sent.headers if name.lower() == "idempotency-key"] == ["mine"]


@pytest.mark.parametrize(
    ("mapper", "body", "content_type"),
    [
        ({"bodyType": "raw", "contentType": "application/json", "data": '{"a": 1}'}, b'{"a": 1}', "application/json"),
        ({"bodyType": "raw", "contentType": "text/plain", "data": "é"}, "é".encode(), "text/plain"),
        ({"bodyType": "raw", "data": {"a": [1, None]}}, b'{"a":[1,null]}', "text/plain"),
        ({"bodyType": "raw", "contentType": "custom", "data": "x"}, b"x", None),
        ({"bodyType": "", "data": ""}, None, None),
        (
            {
                "bodyType": "x_www_form_urlencoded",
                "formFields": [{"key": "a b", "value": "c&d"}, {"key": "n", "value": 1}],
            },
            b"a+b=c%26d&n=1",
            "application/x-www-form-urlencoded",
        ),
    ],
)
async def test_older_bodies(mapper, body, content_type):
    sent = await _sent(V3, {"method": "post", **mapper})
    assert (sent.body, dict(sent.headers).get("Content-Type")) == (body, content_type)


@pytest.mark.parametrize(
    ("mapper", "body", "content_type"),
    [
        (
            {"contentType": "json", "inputMethod": "jsonString", "jsonStringBodyContent": "[1]"},
            b"[1]",
            "application/json",
        ),
        (
            {"contentType": "json", "inputMethod": "dataStructure", "bodyContent": {"a": True}},
            b'{"a":true}',
            "application/json",
        ),
        (
            {"contentType": "urlEncoded", "bodyContent": [{"name": "a", "value": "b c"}]},
            b"a=b+c",
            "application/x-www-form-urlencoded",
        ),
        ({"contentType": "custom", "bodyContent": "<a/>", "customContentType": "text/xml"}, b"<a/>", "text/xml"),
        ({}, None, None),
    ],
)
async def test_current_bodies(mapper, body, content_type):
    sent = await _sent(V4, {"method": "post", **mapper})
    assert (sent.body, dict(sent.headers).get("Content-Type")) == (body, content_type)


async def test_a_multipart_body_is_the_same_for_the_same_step_and_quotes_names():
    rows = [
        {"key": 'a"b\r\n', "value": "text"},
        {"key": "f", "fieldType": "file", "fileName": "x.txt", "data": "content"},
    ]
    mapper = {"method": "post", "bodyType": "multipart_form_data", "formFields": rows}
    first, second = await _sent(V3, mapper), await _sent(V3, mapper)
    assert first == second
    boundary = dict(first.headers)["Content-Type"].partition("boundary=")[2]
    assert (
        first.body
        == (
            f'--{boundary}\r\nContent-Disposition: form-data; name="a%22b%0D%0A"\r\n\r\ntext\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\n'
            f"Content-Type: text/plain\r\n\r\ncontent\r\n--{boundary}--\r\n"
        ).encode()
    )


@pytest.mark.parametrize(("given", "used"), [("", 40), (5, 5), ("300", 300)])
async def test_timeouts_are_passed_to_the_port(given, used):
    assert (await _sent(V3, {"timeout": given})).timeout == used


async def test_a_timeout_out_of_bounds_is_refused():
    result, _ = await _run(V4, {"timeout": 301})
    assert result.error is not None
    assert "at most 300" in result.error.message


async def test_redirects_are_followed_as_the_fields_say():
    assert (await _sent(V3, {"method": "get"})).follow_redirects is True
    assert (await _sent(V3, {"method": "get", "followRedirect": False})).follow_redirects is False
    assert (await _sent(V3, {"method": "post"})).follow_redirects is False
    assert (await _sent(V3, {"method": "post", "followAllRedirects": True})).follow_redirects is True
    assert (await _sent(V4, {"method": "post"})).follow_redirects is True
    assert (await _sent(V4, {"allowRedirects": False})).follow_redirects is False


KEYS = {
    1: Credential(kind="api_key", secret="s1", name="X-Key"),
    2: Credential(kind="api_key", secret="s 2", name="key", placement="query"),
    3: Credential(kind="basic", user="ann", secret="pw"),
    4: Credential(kind="bearer", secret="t0"),
}


@pytest.mark.parametrize(
    ("name", "parameters", "header"),
    [
        ("http:ActionSendDataAPIKeyAuth", {"auth": 1}, ("X-Key", "s1")),
        ("http:ActionSendDataBasicAuth", {"key": "3"}, ("Authorization", "Basic YW5uOnB3")),
        ("http:ActionSendDataOAuth", {"account": 4}, ("Authorization", "Bearer t0")),
        (V4, {"authenticationType": "apiKey", "apiKeyKeychain": 1}, ("X-Key", "s1")),
        (V4, {"authenticationType": "basicAuth", "basicAuthKeychain": 3}, ("Authorization", "Basic YW5uOnB3")),
        (V4, {"authenticationType": "oAuth", "oAuthAccount": 4}, ("Authorization", "Bearer t0")),
    ],
)
async def test_credentials_come_from_the_port_and_replace_the_authors_header(name, parameters, header):
    rows = [{"name": header[0].lower(), "value": "old"}]
    result, world = await _run(name, {"headers": rows}, credentials=KEYS, **parameters)
    assert world.target.requests[0].headers == (header,)
    assert world.keyring.asked == [(int(next(value for value in parameters.values() if str(value).isdigit())), URL)]
    assert header[1] not in repr(result.steps)


async def test_a_key_may_be_placed_in_the_query():
    _, world = await _run("http:ActionSendDataAPIKeyAuth", {}, credentials=KEYS, auth=2)
    assert world.target.requests[0].url == f"{URL}?key=s%202"


async def test_a_credential_shows_nothing_of_itself():
    assert "s1" not in repr(KEYS[1])
    assert "ann" not in repr(KEYS[3])


async def test_a_missing_credential_is_an_access_error_and_nothing_is_sent():
    result, world = await _run("http:ActionSendDataAPIKeyAuth", {}, auth=77)
    assert (result.error and result.error.type, world.target.requests) == ("InvalidAccessTokenError", [])
    result, world = await _run(V4, {}, authenticationType="apiKey")
    assert (result.error and result.error.type, world.target.requests) == ("InvalidConfigurationError", [])


def _answer(kind: str, body: bytes, **rest: Any) -> Answer:
    return Answer(headers=(("Content-Type", kind),) if kind else (), body=body, **rest)


@pytest.mark.parametrize(
    ("kind", "body", "parsed", "unparsed"),
    [
        ("application/json", b'{"a": 1.0}', {"a": 1}, '{"a": 1.0}'),
        ("application/problem+json; charset=utf-8", b"[1]", [1], "[1]"),
        ("application/json", b'{"a": 1, "a": 2}', {"a": 2}, '{"a": 1, "a": 2}'),
        ("application/json", b"", "", ""),
        ("text/plain", "é".encode(), "é", "é"),
        ("text/plain; charset=iso-8859-1", b"\xe9", "é", "é"),
        ("text/html; charset=nonsense-9", b"\xc3\xa9", "é", "é"),
        ("text/html; charset=idna", b"\xc3\xa9", "é", "é"),
        ("application/octet-stream", b"\x00\xff", b"\x00\xff", b"\x00\xff"),
        ("image/png", b"abc", b"abc", b"abc"),
        ("", b"plain", "plain", "plain"),
        ("", b"\xff\x00", b"\xff\x00", b"\xff\x00"),
        ("application/x-www-form-urlencoded", b"a=1&b=x+y", {"a": "1", "b": "x y"}, "a=1&b=x+y"),
        (
            "text/xml",
            b"<r n='1'><i>a</i><i>b</i>t</r>",
            {"r": {"_attributes": {"n": "1"}, "i": ["a", "b"], "_value": "t"}},
            None,
        ),
    ],
)
async def test_bodies_are_read_by_their_type(kind, body, parsed, unparsed):
    for name in (V3, V4):
        assert (await _bundle(name, {"parseResponse": True}, _answer(kind, body)))["data"] == parsed
        if unparsed is not None:
            assert (await _bundle(name, {"parseResponse": False}, _answer(kind, body)))["data"] == unparsed


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{nope"),
        ("application/json", b'{"a": NaN}'),
        ("application/json", b"[" * 5000 + b"]" * 5000),
        ("text/xml", b"<a><b></a>"),
        ("text/xml", b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'),
        ("text/xml", b"<a>" * 300 + b"</a>" * 300),
    ],
)
async def test_a_body_that_is_not_what_it_says_is_a_data_error(kind, body):
    result, _ = await _run(V4, {"parseResponse": True}, _answer(kind, body))
    assert result.error is not None
    assert result.error.type == "DataError"


async def test_both_families_show_status_headers_and_size_their_own_way():
    answer = Answer(
        status=203,
        headers=(
            ("X-Two", "1"),
            ("x-two", "2"),
            ("Set-Cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("Content-Type", "text/plain"),
        ),
        body=b"12345",
    )
    old = await _bundle(V3, {}, answer)
    assert old == {
        "statusCode": 203,
        "headers": [
            {"name": "x-two", "value": "1"},
            {"name": "x-two", "value": "2"},
            {"name": "set-cookie", "value": "a=1"},
            {"name": "set-cookie", "value": "b=2"},
            {"name": "content-type", "value": "text/plain"},
        ],
        "cookieHeaders": ["a=1", "b=2"],
        "data": "12345",
        "fileSize": 5,
    }
    new = await _bundle(V4, {}, answer)
    assert new == {
        "data": "12345",
        "statusCode": 203,
        "headers": {"x-two": "1, 2", "set-cookie": ["a=1", "b=2"], "content-type": "text/plain"},
    }


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (204, None),
        (302, None),
        (399, None),
        (400, "DataError"),
        (401, "DataError"),
        (404, "DataError"),
        (429, "RateLimitError"),
        (500, "DataError"),
        (502, "ConnectionError"),
        (503, "ConnectionError"),
        (504, "ConnectionError"),
        (799, "DataError"),
    ],
)
async def test_statuses_become_errors_when_wanted(status, error):
    answer = Answer(status=status, headers=(("Content-Type", "text/plain"),), body=b"why")
    for result, _ in (await _run(V3, {}, answer, handleErrors=True), await _run(V4, {}, answer)):
        assert (result.error.type if result.error else None) == error
        if result.error:
            assert str(status) in result.error.message
            assert isinstance(result.error.detail, dict)
            assert result.error.detail["data"] == "why"
    assert (await _bundle(V3, {}, answer, handleErrors=False))["statusCode"] == status
    assert (await _bundle(V4, {"stopOnHttpError": False}, answer))["statusCode"] == status


async def test_a_refused_credential_is_an_access_error():
    result, _ = await _run(
        "http:ActionSendDataAPIKeyAuth", {}, Answer(status=403), credentials=KEYS, auth=1, handleErrors=True
    )
    assert result.error is not None
    assert result.error.type == "InvalidAccessTokenError"


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ("connect", "ConnectionError"),
        ("timeout", "ModuleTimeoutError"),
        ("refused", "InvalidConfigurationError"),
        ("too_large", "MaxFileSizeExceededError"),
    ],
)
async def test_a_call_without_an_answer_is_an_error_of_its_kind(failure, error):
    result, _ = await _run(V3, {}, Answer(fail=failure))
    assert result.error is not None
    assert result.error.type == error


def test_a_call_that_was_not_made_says_when_to_try_again():
    error = failure_error(HttpFailure("connect", "Calls are paused. Try again in 12 s.", retry_after=11.2))
    assert (error.error_type, error.message) == ("ConnectionError", "Calls are paused. Try again in 12 s.")
    assert error.detail == {"retryAfter": 12}
    assert failure_error(HttpFailure("connect", "Gone.")).detail is None


async def test_a_file_keeps_its_bytes_and_its_name():
    answer = Answer(headers=(("Content-Disposition", 'attachment; filename="../etc/r\\éport.pdf"'),), body=b"\x00\x01")
    bundle = await _bundle("http:ActionGetFile", {}, answer)
    assert (bundle["fileName"], bundle["data"], bundle["fileSize"]) == ("éport.pdf", b"\x00\x01", 2)
    result, _ = await _run("http:ActionGetFile", {}, Answer(status=404))
    assert result.error is not None


@pytest.mark.parametrize(
    ("url", "disposition", "name"),
    [
        ("https://a.example/dir/My%20file.txt?x=1", "", "My file.txt"),
        ("https://a.example/", "", "file"),
        ("https://a.example/x", "attachment; filename*=UTF-8''na%C3%AFve.txt", "naïve.txt"),
        ("https://a.example/x", "attachment; filename=a.txt", "a.txt"),
    ],
)
def test_file_names(url, disposition, name):
    headers = (("content-disposition", disposition),) if disposition else ()
    assert file_name(url, headers) == name


async def test_transfer_counts_what_went_out_and_came_in():
    result, _ = await _run(V4, {"method": "post", "jsonStringBodyContent": "12345"}, Answer(body=b"1234567"))
    assert result.transfer == 12


async def test_mapped_values_are_not_escaped_in_a_json_string_as_in_make():
    compiled = program(
        module(1, "util:ComposeTransformer", {"value": 'a "quote"'}),
        module(2, V4, {"url": URL, "method": "post", "jsonStringBodyContent": '{"a": "{{1.value}}"}'}),
        module(3, "json:TransformToJSON", {"object": {"a": "{{1.value}}"}}),
    )
    world = make_world([Answer()])
    result = await run(compiled, request(), world.ports)
    assert world.target.requests[0].body == b'{"a": "a "quote""}'
    created = result.steps[2].outputs[0]
    assert isinstance(created, dict)
    assert json.loads(str(created["json"])) == {"a": 'a "quote"'}
