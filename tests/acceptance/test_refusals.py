"""What the portal refuses: stolen, used and bent tokens, other people's things, bodies made to hurt.

Each refusal has the one shape of errors, says nothing it should not, and leaves nothing behind: what a customer could
list before is what it can list after.
"""

import json
import time
import uuid

import pytest

from acceptance.conftest import blueprint_of, failed_module
from support.integrator import API, new_organization, signed
from support.network import send

# Starting a server for the first test is part of that test.
pytestmark = pytest.mark.timeout(300)
JSON = {"Content-Type": "application/json"}
DEEP = 100_000
ORDER = {"orderId": "a-17", "total": 20}
# No JSON in the strict sense, whoever reads it.
MALFORMED = {
    "a-duplicate-key": b'{"autoActivate": true, "autoActivate": false}',
    "not-a-number": b'{"teamId": NaN}',
    "infinity": b'{"teamId": Infinity}',
    "a-nul-byte": b'{"algorithm": "\x00"}',
    "half-a-surrogate-pair": b'{"algorithm": "\\ud800"}',
    "a-raw-surrogate": b'{"algorithm": "\xed\xa0\x80"}',
    "no-utf-8": b'{"algorithm": "\xff"}',
    "deep-arrays": b"[" * DEEP + b"]" * DEEP,
    "deep-objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep-and-unfinished": b"[" * DEEP,
    "cut-short": b'{"autoActivate": tr',
    "a-huge-number": b'{"teamId": ' + b"9" * 5000 + b"}",
}
# JSON, but not what the portal takes: a webhook may hold it.
NOT_FOR_THE_PORTAL = {
    "an-escaped-nul": b'{"data": {"algorithm": "\\u0000"}}',
    "an-array": b"[]",
    "a-text": b'"text"',
}
NOT_FOR_INIT = {
    "a-wrong-type": b'{"autoActivate": "yes"}',
    "only-half-a-prefill": b'{"prefill": {"hard": {}}}',
    "a-nameless-scenario": b'{"scenario": {"name": "", "enable": true}}',
    "another-template": b'{"templateId": 4711}',
}
NOT_FOR_RUN = {"a-wrong-type": b'{"data": "yes"}', "a-wrong-flag": b'{"responsive": "yes"}'}
SHAPE = {"detail", "message", "code", "requestId"}


def cases(*groups):
    """Parameters named for what is wrong."""
    return [pytest.param(body, id=name) for group in groups for name, body in group.items()]


def assert_refused(reply, *statuses):
    """The one shape: a sentence, a kind, a code, and the id under which the log has it."""
    assert reply.status in statuses, reply
    problem = reply.json()
    assert (
        {"detail", "message", "code", "requestId"}
        <= set(problem)
        <= {"detail", "message", "code", "requestId", "fields"}
    )
    assert all(problem[name] for name in ("detail", "message", "code", "requestId"))
    assert "Traceback" not in reply.body.decode()
    assert reply.headers["content-type"].startswith("application/json")
    return problem


def everything(portal):
    """All that can be listed by a customer."""
    return portal.get("/integrations"), portal.get("/scenarios")


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# --- Tokens


@pytest.mark.attack("A16")
def test_a_token_opens_the_portal_once(product):
    token = product.integrator.token("dana")
    first = send("GET", f"{product.url}{API}/integrations/", headers=bearer(token))
    again = send("GET", f"{product.url}{API}/integrations/", headers=bearer(token))
    assert first.status == 200
    assert_refused(again, 401)
    assert "www-authenticate" in again.headers


def test_a_token_that_was_refused_for_its_request_is_used_up_all_the_same(product):
    token = product.integrator.token("dana")
    missing = send("GET", f"{product.url}{API}/scenarios/4711", headers=bearer(token))
    again = send("GET", f"{product.url}{API}/integrations/", headers=bearer(token))
    assert_refused(missing, 404)
    assert_refused(again, 401)


def bent_tokens(integrator):
    now = int(time.time())
    claims = {"sub": "dana", "jti": str(uuid.uuid4()), "iat": now, "exp": now + 60}
    head = {"alg": "HS256", "typ": "JWT", "kid": integrator.key_id}
    signing_input, _, signature = integrator.token("dana").rpartition(".")
    return {
        "nothing": "",
        "noise": "x.y.z",
        "8 kB": "e" * 8192,
        "8 kB of a real token": integrator.token("dana", note="n" * 8192),
        "no signature": f"{signing_input}.",
        "a bent signature": f"{signing_input}.{signature[::-1]}",
        "a signature of something else": f"{integrator.token('eve').rpartition('.')[0]}.{signature}",
        "the algorithm none": signed(head | {"alg": "none"}, claims, "").rpartition(".")[0] + ".",
        "another algorithm": signed(head | {"alg": "HS512"}, claims, integrator.secret),
        "another secret": signed(head, claims, "another secret of a decent length, to be sure"),
        "an unknown key": signed(head | {"kid": "nobody"}, claims, integrator.secret),
        "no key": signed({"alg": "HS256"}, claims, integrator.secret),
        "no jti": integrator.token("dana", jti=None),
        "no sub": signed(head, claims | {"sub": None}, integrator.secret),
        "no end": integrator.token("dana", exp=None),
        "an end that is over": integrator.token("dana", iat=now - 600, exp=now - 300),
        "a long life": integrator.token("dana", exp=now + 3600),
        "an end that is text": integrator.token("dana", exp="tomorrow"),
        "an end beyond all numbers": integrator.token("dana", exp=1e400),
        "a sub that is a number": signed(head, claims | {"sub": 4711}, integrator.secret),
        "an empty sub": integrator.token(""),
        "critical things unknown": signed(head | {"crit": ["b64"], "b64": False}, claims, integrator.secret),
    }


def test_a_bent_token_opens_nothing(product):
    admitted = {
        name: reply.status
        for name, token in bent_tokens(product.integrator).items()
        if (reply := send("GET", f"{product.url}{API}/integrations/", headers=bearer(token))).status not in {401, 431}
    }
    assert admitted == {}


@pytest.mark.attack("E34")
def test_a_request_without_credentials_is_refused_in_the_common_shape(product):
    assert_refused(send("GET", f"{product.url}{API}/integrations/"), 401)
    assert_refused(send("GET", f"{product.url}{API}/integrations/", headers={"Cookie": "connect.sid=s%3Ax"}), 401)
    assert_refused(send("GET", f"{product.url}{API}/integrations/", headers={"Authorization": "Basic eDp5"}), 401)


@pytest.mark.attack("A33")
def test_a_customer_s_token_is_not_an_administrator_s(product):
    customer = product.integrator.customer()
    assert_refused(customer.call("POST", "/templates", json_body={"blueprint": blueprint_of("sum")}), 403)
    assert_refused(customer.call("POST", "/customers", json_body={"name": "Eve", "externalId": "eve"}), 403)


# --- Other people's things


@pytest.mark.attack("G10")
def test_another_customer_s_scenario_does_not_exist(product, connected):
    execution_id = connected.call_hook(ORDER).headers["x-execution-id"]
    stranger = product.integrator.customer()
    paths = [
        ("GET", f"/scenarios/{connected.id}"),
        ("GET", f"/scenarios/{connected.id}/usage"),
        ("GET", f"/scenarios/{connected.id}/logs"),
        ("GET", f"/scenarios/{connected.id}/logs/{execution_id}"),
        ("GET", f"/scenarios/{connected.id}/blueprint"),
        ("GET", f"/scenarios/{connected.id}/blueprints"),
        ("GET", f"/scenarios/{connected.id}/interface"),
        ("POST", f"/scenarios/{connected.id}/activate"),
        ("POST", f"/scenarios/{connected.id}/deactivate"),
        ("POST", f"/scenarios/{connected.id}/run"),
        ("POST", f"/integrations/{connected.id}/activate"),
        ("POST", f"/integrations/{connected.id}/deactivate"),
        ("POST", f"/integrations/{connected.id}/run"),
        ("DELETE", f"/integrations/{connected.id}"),
    ]
    for method, path in paths:
        theirs = assert_refused(stranger.call(method, path), 404)
        nobodys = assert_refused(stranger.call(method, path.replace(str(connected.id), "4711")), 404)
        del theirs["requestId"], nobodys["requestId"]
        assert theirs == nobodys, f"{method} {path} tells that somebody has it"
    assert stranger.get("/scenarios") == {"scenarios": []}
    assert connected.portal.get(f"/scenarios/{connected.id}")["isActive"]
    assert len(connected.logs()) == 1


@pytest.mark.attack("G10")
def test_another_customer_s_flow_does_not_exist(product):
    wizard = product.integrator.customer().begin(product.orders)
    stranger = product.integrator.customer()
    assert_refused(stranger.call("GET", f"/integrations/check-init/{wizard.flow_id}"), 404)
    assert_refused(stranger.call("GET", "/integrations/check-init/nothing"), 404)


@pytest.mark.attack("G10")
def test_another_organization_s_template_does_not_exist(product):
    other = new_organization(product.installation, product.url, "Globex")
    theirs = other.publish(blueprint_of("sum"))
    customer = product.integrator.customer()
    before = everything(customer)
    assert_refused(customer.call("POST", f"/integrations/init/{theirs}"), 404)
    assert_refused(customer.call("POST", "/integrations/init/4711"), 404)
    assert_refused(customer.call("POST", f"/integrations/init/{2**63}"), 404)
    assert_refused(customer.call("POST", "/integrations/init/one"), 404)
    assert everything(customer) == before
    assert other.customer().call("POST", f"/integrations/init/{theirs}").status == 200


@pytest.mark.attack("A22", "G10")
def test_another_team_is_out_of_reach(product):
    customer = product.integrator.customer()
    assert_refused(customer.call("GET", f"/integrations?teamId={product.integrator.team_id}"), 404)
    assert_refused(customer.call("GET", "/integrations?teamId=x"), 400)


def test_nobody_is_sent_to_an_origin_that_is_not_registered(product):
    customer = product.integrator.customer()
    elsewhere = {"redirectUri": "https://evil.example/"}
    assert_refused(customer.call("POST", f"/integrations/init/{product.orders}", json_body=elsewhere), 400, 422)
    at_home = {"redirectUri": "http://127.0.0.1:3000/done"}
    assert customer.call("POST", f"/integrations/init/{product.orders}", json_body=at_home).status == 200


# --- Addresses


@pytest.mark.parametrize("path", ["/integrations", "/scenarios"])
def test_lists_are_there_with_and_without_a_slash_and_never_redirect(product, path):
    customer = product.integrator.customer()
    plain, slashed = customer.call("GET", path), customer.call("GET", f"{path}/")
    assert (plain.status, slashed.status) == (200, 200)
    assert plain.body == slashed.body
    assert_refused(customer.call("GET", f"{path}//"), 404)


def test_the_short_names_lead_to_the_same_things(product):
    integrator, customer = product.integrator, product.integrator.customer("alias")
    for short, path in (("/api/bridge/integrations", "/integrations"), ("/api/scenarios", "/scenarios")):
        reply = send("GET", product.url + short, headers=bearer(integrator.token("alias")))
        assert reply.status == 200, reply
        assert reply.json() == customer.get(path)


def test_a_route_that_does_not_exist_and_a_method_that_is_not_taken_have_the_common_shape(product):
    customer = product.integrator.customer()
    assert_refused(customer.call("GET", "/nothing/here"), 404)
    wrong = customer.call("PUT", "/integrations/")
    assert_refused(wrong, 405)
    assert "GET" in wrong.headers["allow"]


@pytest.mark.parametrize(
    "path",
    [
        "/scenarios/%00",
        "/scenarios/%ed%a0%80",
        "/scenarios/%ff",
        "/scenarios/1%2f..%2f2",
        "/scenarios/../integrations",
        "/scenarios/-1",
        "/scenarios/1e3",
        "/scenarios/" + "9" * 400,
        "/integrations/check-init/%00",
        "/integrations/check-init/" + "f" * 400,
        "/scenarios/1/logs/" + "g" * 32,
        "/scenarios/1/logs/%00",
    ],
)
def test_an_address_that_names_nothing_is_not_found(product, path):
    assert_refused(product.integrator.customer().call("GET", path), 404)


def test_an_address_longer_than_the_limit_is_refused(product):
    assert_refused(product.integrator.customer().call("GET", "/scenarios/" + "9" * 9000), 414)


# --- Bodies


@pytest.mark.parametrize("body", cases(MALFORMED, NOT_FOR_THE_PORTAL, NOT_FOR_INIT))
def test_a_malformed_body_is_refused_and_starts_no_flow(product, body):
    customer = product.integrator.customer()
    before = everything(customer)
    reply = customer.call("POST", f"/integrations/init/{product.orders}", body=body, headers=JSON)
    assert_refused(reply, 400, 422)
    assert everything(customer) == before


@pytest.mark.parametrize("body", cases(MALFORMED, NOT_FOR_THE_PORTAL, NOT_FOR_RUN))
def test_a_malformed_body_starts_no_run(connected, body):
    reply = connected.portal.call("POST", f"/scenarios/{connected.id}/run", body=body, headers=JSON)
    assert_refused(reply, 400, 422)
    assert connected.logs() == []


@pytest.mark.attack("D13")
@pytest.mark.parametrize("body", cases(MALFORMED))
def test_a_malformed_webhook_is_refused_and_nothing_is_stored(connected, body):
    assert_refused(connected.call_hook(body=body, headers=JSON), 400)
    assert connected.logs() == []
    assert connected.call_hook(ORDER).status == 201


@pytest.mark.parametrize("megabytes", [2, 10])
def test_a_body_beyond_the_limit_is_refused(product, megabytes):
    customer = product.integrator.customer()
    before = everything(customer)
    body = json.dumps({"algorithm": "x" * (megabytes * 1024 * 1024)}).encode()
    assert_refused(customer.call("POST", f"/integrations/init/{product.orders}", body=body, headers=JSON), 413)
    assert everything(customer) == before


def test_a_webhook_beyond_the_limit_is_refused_and_nothing_is_stored(connected):
    body = json.dumps({"orderId": "x" * (10 * 1024 * 1024)}).encode()
    assert_refused(connected.call_hook(body=body, headers=JSON), 413)
    assert connected.logs() == []


@pytest.mark.attack("D13")
def test_a_body_that_says_it_is_a_form_is_refused(product):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    customer = product.integrator.customer()
    assert_refused(customer.call("POST", f"/integrations/init/{product.orders}", body=b"a=b", headers=form), 415)


def test_an_address_without_a_webhook_takes_nothing(product, connected):
    token = connected.hook_url.rpartition("/")[2]
    for bent in ("x", token[:-1], token + "x", token.swapcase(), "%00", "x" * 300):
        assert_refused(send("POST", f"{product.url}/hook/{bent}", json_body=ORDER), 404)
    assert connected.logs() == []


# --- Templates and scenarios that cannot run


@pytest.mark.attack("J06")
def test_a_template_with_an_unknown_module_stays_a_draft_and_the_refusal_names_the_place(product):
    administrator = product.integrator.administrator()
    blueprint = blueprint_of("sum")
    blueprint["flow"][1]["module"] = "acme:Teleport"
    made = administrator.post("/templates", {"blueprint": blueprint})
    catalogue = product.integrator.customer().get("/integrations")
    problem = assert_refused(administrator.call("POST", f"/templates/{made['id']}/publish"), 409)
    assert "acme:Teleport" in problem["detail"]
    assert "flow[1]" in problem["detail"]
    assert product.integrator.customer().get("/integrations") == catalogue
    administrator.delete(f"/templates/{made['id']}")


def test_a_function_that_does_not_exist_fails_the_run_and_the_log_names_the_module(product):
    administrator = product.integrator.administrator()
    blueprint = blueprint_of("sum")
    blueprint["flow"][1]["mapper"]["sum"] = "{{frobnicate(1.first)}}"
    made = administrator.post("/templates", {"blueprint": blueprint})
    version_id = administrator.post(f"/templates/{made['id']}/publish")["publicVersionId"]
    customer = product.integrator.customer()
    scenario = customer.connect(version_id, {})
    run = customer.post(f"/scenarios/{scenario.id}/run", {"responsive": True, "data": {"first": 1, "second": 2}})
    log = scenario.log(run["executionId"])
    assert (run["status"], log["status"], log["outputs"]) == (3, 3, None)
    assert "frobnicate" in log["error"]["message"]
    assert failed_module(log) == 2
    administrator.delete(f"/templates/{made['id']}")
