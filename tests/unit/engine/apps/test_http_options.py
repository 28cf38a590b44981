"""The app http beyond one plain call: cookies, certificates, pages, files in bodies, options of the editor."""

import itertools
from typing import Any

import pytest

from make_bridge.engine.ports import Credential
from make_bridge.engine.runner.run import run
from support.blueprints import module, program, request
from support.scripted import Answer, make_world

URL = "https://api.example/x"
V3, V4 = "http:ActionSendData", "http:MakeRequest"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
CERTIFICATES = Credential(kind="certificate", secret="private", settings={"certificate": PEM, "ca": "authority"})


async def _run_all(*modules: dict[str, Any], answers: Any = (), credentials: Any = None) -> tuple[Any, Any]:
    world = make_world(answers or [Answer()], credentials=credentials)
    return await run(program(*modules), request(), world.ports), world


async def _run(name: str, mapper: dict[str, Any], *answers: Answer, credentials: Any = None, **parameters: Any):
    made = module(1, name, {"url": URL, **mapper}, parameters=parameters)
    return await _run_all(made, answers=answers, credentials=credentials)


async def _sent(name: str, mapper: dict[str, Any], **parameters: Any):
    result, world = await _run(name, mapper, **parameters)
    assert result.error is None, result.error
    return world.target.requests[0]


def answer(url: str, body: Any, **more: Any) -> Answer:
    return Answer.from_json({"url": url, "json": body, **more})


async def _pages(mapper: dict[str, Any], *answers: Answer) -> tuple[list[Any], list[str], Any]:
    result, world = await _run(V4, {"parseResponse": True, **mapper}, *answers)
    bundles = result.steps[0].outputs if result.steps else []
    return [bundle["data"] for bundle in bundles], [sent.url for sent in world.target.requests], result


async def test_pages_are_read_by_offset_until_one_is_not_full():
    data, urls, _ = await _pages(
        {"paginationType": "offsetBased", "paginationLimit": 2},
        answer(f"{URL}?offset=0&limit=2", {"items": [1, 2]}),
        answer(f"{URL}?offset=2&limit=2", {"items": [3, 4]}),
        answer(f"{URL}?offset=4&limit=2", {"items": [5]}),
    )
    assert data == [{"items": [1, 2]}, {"items": [3, 4]}, {"items": [5]}]
    assert len(urls) == 3


async def test_pages_are_read_by_number_until_one_is_empty():
    mapper = {
        "paginationType": "pageBased",
        "paginationParameter": "p",
        "paginationStart": "0",
        "paginationItems": "data.result.rows",
    }
    rows = [[1], [2], []]
    answers = [answer(f"{URL}?p={number}", {"result": {"rows": row}}) for number, row in enumerate(rows)]
    data, urls, _ = await _pages(mapper, *answers)
    assert data == [{"result": {"rows": [1]}}, {"result": {"rows": [2]}}]
    assert urls == [f"{URL}?p=0", f"{URL}?p=1", f"{URL}?p=2"]


async def test_pages_follow_the_token_of_the_response_and_keep_the_query():
    data, urls, _ = await _pages(
        {
            "queryParameters": [{"name": "q", "value": "a"}],
            "paginationType": "tokenBased",
            "paginationNext": "paging.next",
            "paginationParameter": "after",
        },
        answer(f"{URL}?q=a&after=t2", {"n": 2, "paging": {"next": ""}}),
        answer(f"{URL}?q=a", {"n": 1, "paging": {"next": "t2"}}),
    )
    assert [part["n"] for part in data] == [1, 2]
    assert urls == [f"{URL}?q=a", f"{URL}?q=a&after=t2"]


async def test_pages_follow_addresses_of_the_body_and_of_the_link_header():
    mapper = {"paginationType": "urlBased", "paginationNext": "data.next"}
    data, urls, _ = await _pages(mapper, answer(f"{URL}?p=2", {"n": 2}), answer(URL, {"n": 1, "next": "x?p=2"}))
    assert (len(data), urls[1]) == (2, f"{URL}?p=2")
    linked = {"Link": f'<{URL}?p=1>; rel="first", <{URL}?p=2>; rel="next"'}
    data, urls, _ = await _pages(
        {"paginationType": "urlBased"}, answer(f"{URL}?p=2", {"n": 2}), answer(URL, {"n": 1}, headers=linked)
    )
    assert (len(data), urls[1]) == (2, f"{URL}?p=2")


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/x", "//evil.example/x", "http://api.example/x", "https://api.example:444/x"]
)
async def test_a_next_page_on_another_host_is_not_called(elsewhere):
    _, urls, result = await _pages(
        {"paginationType": "urlBased", "paginationNext": "next"}, answer(URL, {"next": elsewhere})
    )
    assert (result.error.type, urls) == ("DataError", [URL])


async def test_a_page_that_leads_round_is_read_once():
    _, urls, result = await _pages(
        {"paginationType": "urlBased", "paginationNext": "next", "paginationMaxPages": 50},
        answer(URL, {"next": f"{URL}?again"}),
    )
    assert result.error is None
    assert urls == [URL, f"{URL}?again"]


async def test_pages_stop_at_their_number_with_a_warning():
    _, urls, result = await _pages(
        {"paginationType": "pageBased", "paginationMaxPages": 3}, answer(URL, {"items": [1]})
    )
    assert (len(urls), result.status) == (3, "warning")
    assert "more pages" in result.warnings[0].message


async def test_all_pages_share_the_size_of_one_answer_and_each_has_its_own_key():
    _, world = await _run(
        V4,
        {"method": "post", "paginationType": "pageBased", "paginationMaxPages": 3, "parseResponse": True},
        answer(URL, {"items": [1]}),
    )
    sent = world.target.requests
    size = len(b'{"items": [1]}')
    assert [first.max_bytes - then.max_bytes for first, then in itertools.pairwise(sent)] == [size, size]
    assert len({dict(call.headers)["Idempotency-Key"] for call in sent}) == 3


async def test_a_page_that_fails_is_the_modules_error():
    _, _, result = await _pages(
        {"paginationType": "pageBased"},
        answer(f"{URL}?page=2", {}, status=503),
        answer(f"{URL}?page=1", {"items": [1]}),
    )
    assert result.error.type == "ConnectionError"


@pytest.mark.parametrize(
    ("mapper", "said"),
    [({"paginationType": "guess"}, "pagination"), ({"paginationType": "tokenBased"}, "token of the next page")],
)
async def test_pagination_that_cannot_work_is_refused_before_a_call(mapper, said):
    result, world = await _run(V4, mapper)
    assert said in result.error.message
    assert world.target.requests == []


async def test_cookies_pass_between_modules_that_share_them_and_no_others():
    shares = {"url": URL, "shareCookies": True}
    result, world = await _run_all(
        module(1, V3, shares),
        module(2, V4, shares),
        module(3, V4, {"url": URL}),
        answers=[Answer(headers=(("Set-Cookie", "sid=1; Path=/"),))],
    )
    assert result.error is None
    first, second, third = (call.cookies for call in world.target.requests)
    assert third is None
    first.take(URL, ["sid=1; Path=/"])
    assert second.header(URL) == "sid=1"


async def test_compression_is_asked_for_unless_switched_off():
    assert "Accept-Encoding" not in dict((await _sent(V3, {"gzip": True})).headers)
    assert dict((await _sent(V3, {"gzip": False})).headers)["Accept-Encoding"] == "identity"
    assert dict((await _sent(V4, {"requestCompressedContent": False})).headers)["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(("as_they_are", "query"), [(False, "a%5B0%5D=1&b=2&a%5B1%5D=3"), (True, "a=1&b=2&a=3")])
async def test_a_repeated_parameter_is_an_array_unless_told_otherwise(as_they_are, query):
    rows = [{"name": "a", "value": 1}, {"name": "b", "value": 2}, {"name": "a", "value": 3}]
    assert (await _sent(V3, {"qs": rows, "useQuerystring": as_they_are})).url == f"{URL}?{query}"


async def test_an_authority_of_ones_own_is_handed_to_the_port():
    assert (await _sent(V3, {"ca": f" {PEM}\n"})).trusted_ca == PEM
    result, world = await _run(V3, {"ca": "not a certificate"})
    assert (result.error.type, world.target.requests) == ("InvalidConfigurationError", [])


async def test_a_client_certificate_comes_from_a_key():
    for name, parameters in (
        ("http:ActionSendDataClientCertAuth", {"certificate": 5}),
        (V4, {"authenticationType": "noAuth", "tlsType": "mTls", "tlsKeychain": "5"}),
    ):
        _, world = await _run(name, {}, credentials={5: CERTIFICATES}, **parameters)
        (sent,) = world.target.requests
        assert (sent.client_certificate.certificate, sent.client_certificate.key) == (PEM, "private")
        assert sent.trusted_ca == "authority"
        assert "private" not in repr(sent)
        assert sent.credential == "5"


async def test_a_call_says_with_which_keys_it_goes_out_and_nothing_of_what_they_hold():
    keys = {5: CERTIFICATES, 7: Credential(kind="bearer", secret="t0")}
    parameters = {"authenticationType": "oAuth", "oAuthAccount": 7, "tlsType": "mTls", "tlsKeychain": 5}
    _, world = await _run(V4, {}, credentials=keys, **parameters)
    assert world.target.requests[0].credential == "7+5"
    assert (await _sent(V3, {"authUser": "ann", "authPass": "pw"})).credential == ""


@pytest.mark.parametrize(
    ("name", "mapper", "parameters", "said"),
    [
        (V3, {"useMtls": True}, {}, "ClientCertAuth"),
        (V4, {}, {"tlsType": "mTls"}, "without a key"),
        (V4, {}, {"proxyKeychain": 4}, "proxy"),
        (V4, {}, {"authenticationType": "apiKey", "apiKeyKeychain": 6}, "not for calls to web addresses"),
    ],
)
async def test_what_is_not_offered_is_said_and_nothing_is_sent(name, mapper, parameters, said):
    mail = Credential(kind="mail", secret="x")
    result, world = await _run(name, mapper, credentials={6: mail}, **parameters)
    assert result.error.type == "InvalidConfigurationError"
    assert said in result.error.message
    assert world.target.requests == []


async def test_files_of_a_body_have_their_type_and_may_be_mapped_whole():
    upload = {"name": 'p"1.png', "mime": "image/x-own", "data": b"\x89PNG"}
    bodies: list[Any] = []
    for name, mapper in (
        (V3, {"bodyType": "multipart_form_data", "formDataFields": [
            {"key": "a", "fieldType": "file", "fileName": "n.pdf", "data": "{{1.file.data}}"},
            {"key": "b", "value": "{{1.file}}"},
            {"key": "c", "value": "{{1.text}}"},
        ]}),
        (V4, {"contentType": "multipart", "multipartBodyContent": [
            {"name": "a", "multipartFieldType": "file", "fileName": "n.pdf", "data": "{{1.file.data}}"},
            {"name": "b", "value": "{{1.file}}", "multipartFieldType": "text"},
            {"name": "c", "value": "{{1.text}}"},
        ]}),
    ):  # fmt: skip
        world = make_world([Answer()])
        hook = module(1, "gateway:CustomWebHook", {}, parameters={"hook": 1})
        made = program(hook, module(2, name, {"url": URL, "method": "post", **mapper}))
        result = await run(made, request({"file": upload, "text": "ü\r\n--x"}), world.ports)
        assert result.error is None, result.error
        bodies.append(world.target.requests[0].body)
    assert bodies[0] == bodies[1]
    assert b'name="a"; filename="n.pdf"\r\nContent-Type: application/pdf\r\n\r\n\x89PNG\r\n' in bodies[0]
    assert b'name="b"; filename="p%221.png"\r\nContent-Type: image/x-own\r\n\r\n\x89PNG\r\n' in bodies[0]
    assert b'name="c"\r\n\r\n' + "ü".encode() + b"\r\n--x\r\n" in bodies[0]


async def test_a_target_is_resolved_without_asking_for_its_content():
    result, world = await _run("http:ActionResolveTargetURL", {})
    assert world.target.requests[0].method == "HEAD"
    assert result.steps[0].outputs[0] == {"url": URL, "statusCode": 200}


@pytest.mark.parametrize("headers", ["{{1.headers}}", [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]])
async def test_headers_are_spread_to_bundles(headers):
    rows = [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]
    hook = module(1, "gateway:CustomWebHook", {}, parameters={"hook": 1})
    spread = module(2, "http:ActionRetrieveHeaders", {"headers": headers})
    result = await run(program(hook, spread), request({"headers": rows}), make_world([]).ports)
    assert result.steps[1].outputs == rows
