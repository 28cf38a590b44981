"""The app gateway: which answers a scenario may give, on an address that is not its own."""

import pytest

from make_bridge.engine.runner.run import run
from support.blueprints import module, program, request
from support.scripted import make_world


async def _respond(mapper, **bundle):
    hook = module(1, "gateway:CustomWebHook", {}, parameters={"hook": 1})
    made = program(hook, module(2, "gateway:WebhookRespond", {"status": 200, **mapper}))
    return await run(made, request(bundle), make_world().ports)


def rows(*names):
    return {"headers": [{"key": name, "value": "v"} for name in names]}


@pytest.mark.parametrize(
    "name",
    [
        "Content-Type",
        "location",
        "Cache-Control",
        "X-Hook-Secret",
        "WebHook-Allowed-Origin",
        "Access-Control-Allow-Origin",
    ],
)
async def test_headers_of_an_answer_are_set(name):
    response = (await _respond(rows(name))).response
    assert (name, "v") in response.headers


@pytest.mark.attack("D15")
@pytest.mark.parametrize(
    "name",
    [
        "Set-Cookie", "set-cookie2", "Clear-Site-Data", "Strict-Transport-Security", "Content-Security-Policy",
        "X-Frame-Options", "X-Content-Type-Options", "WWW-Authenticate", "Server", "Date", "Refresh", "Alt-Svc",
        "Content-Encoding", "Service-Worker-Allowed", "x-execution-id", "X-Accel-Redirect", "x-accel-limit-rate",
        "X-Sendfile", "X-Sendfile-Type", "X-LIGHTTPD-send-file", "X-LiteSpeed-Location", "X-Reproxy-URL",
        "x-envoy-immediate-health-check-fail",
    ],
)  # fmt: skip
async def test_headers_that_speak_for_the_server_are_left_out_and_named(name):
    result = await _respond(rows(name, "X-Kept"))
    assert result.response.headers == (("X-Kept", "v"),)
    assert (result.status, name in result.warnings[0].message) == ("warning", True)


@pytest.mark.attack("D15")
@pytest.mark.parametrize("name", ["Upgrade", "keep-alive", "TE", "Trailer", "Proxy-Authenticate"])
async def test_headers_of_the_connection_are_refused(name):
    result = await _respond(rows(name))
    assert (result.error.type, result.response) == ("BundleValidationError", None)


@pytest.mark.attack("D15")
@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Connection"])
async def test_headers_that_frame_the_message_are_the_servers(name):
    assert (await _respond(rows(name))).response.headers == ()


@pytest.mark.attack("D15")
@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x=1", "a\nb", "a\x00", "a\rb"])
async def test_a_mapped_value_cannot_begin_a_new_header(value):
    result = await _respond({"headers": [{"key": "X-A", "value": "{{1.value}}"}]}, value=value)
    assert (result.error.type, result.response) == ("BundleValidationError", None)


async def test_a_mapped_value_of_any_script_can_be_written():
    result = await _respond({"headers": [{"key": "X-A", "value": "{{1.value}}"}]}, value="Größe €")
    ((_, value),) = result.response.headers
    assert value.encode("latin-1").decode() == "Größe €"


@pytest.mark.parametrize("status", [100, 101, 199, 600])
async def test_a_status_that_ends_no_answer_is_refused(status):
    result = await _respond({"status": "{{1.status}}"}, status=status)
    assert (result.error.type, result.response) == ("BundleValidationError", None)


async def test_a_mailhook_starts_a_scenario():
    made = program(
        module(1, "gateway:CustomMailHook", {}, parameters={"hook": 1}),
        module(2, "util:SetVariable2", {"name": "x", "value": "{{1.from.address}}", "scope": "roundtrip"}),
    )
    result = await run(made, request({"from": {"address": "a@b.example"}}), make_world().ports)
    assert result.steps[1].outputs == [{"x": "a@b.example"}]
