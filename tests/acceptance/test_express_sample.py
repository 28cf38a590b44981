"""An integrator's Express application, signing and proxying as the official sample does, before the real product.

What the integrator's code does on the wire is Node's and the two libraries' doing, in the versions the sample pins;
so this meets what a client written by us would not: `content-length: 0` on a GET, a session's cookie on its way
through, a fresh token for every call.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.integrator import Wizard
from support.network import Reply, free_port, send
from support.waiting import until

# Starting a server, and once the installation of the sample, is part of the first test.
pytestmark = pytest.mark.timeout(400)
FOLDER = Path(__file__).parent / "express"
INSTALL_SECONDS = 100
ORDER = {"orderId": "a-17", "total": 20}


@pytest.fixture(scope="session")
def node_modules() -> None:
    """Install what the lock names, once, into the application's own folder."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} on this machine")
    lock = FOLDER / "package-lock.json"
    installed = FOLDER / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = subprocess.run(
        ["npm", "ci", "--no-progress"], cwd=FOLDER, check=False, capture_output=True, text=True, timeout=INSTALL_SECONDS
    )
    if npm.returncode != 0:
        pytest.skip(f"npm cannot install the Express sample here: {npm.stderr[-400:]}")


@dataclass(slots=True)
class Browser:
    """A signed-in user's browser: one cookie, and calls to the integrator's own address."""

    url: str
    cookie: str = ""

    def call(self, method: str, path: str, json_body: object = None) -> Reply:
        headers = {"Cookie": self.cookie} if self.cookie else {}
        reply = send(method, self.url + path, headers=headers, json_body=json_body)
        if "set-cookie" in reply.headers:
            self.cookie = reply.headers["set-cookie"].partition(";")[0]
        return reply

    def ask(self, method: str, path: str, json_body: object = None):
        reply = self.call(method, f"/proxy/api/bridge{path}", json_body)
        assert reply.status == 200, f"{method} {path}: {reply}"
        return reply.json()


@pytest.fixture
def browser(node_modules, product, tmp_path) -> Iterator[Browser]:
    """The application, serving; nobody is signed in."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": str(port),
        "ZONE_URL": product.url,
        "KEY_ID": product.integrator.key_id,
        "SECRET_KEY": product.integrator.secret,
    }
    with (
        (tmp_path / "express.log").open("wb") as log,
        subprocess.Popen(["node", FOLDER / "server.js"], env=environment, stdout=log, stderr=log) as application,
    ):
        browser = Browser(f"http://127.0.0.1:{port}")
        try:
            until(lambda: _answers(browser.url), "the Express application answers", within=30)
            yield browser
        finally:
            application.terminate()


def _answers(url: str) -> bool:
    try:
        return send("GET", url).status > 0
    except OSError:
        return False


def test_a_stranger_is_turned_away_by_the_integrator(browser):
    assert browser.call("GET", "/proxy/api/bridge/integrations/").status == 401


def test_a_customer_s_whole_life_goes_through_the_integrator_s_proxy(browser, product):
    assert browser.call("GET", "/login").status == 200
    cards = browser.ask("GET", "/integrations/")["integrations"]
    card = next(card for card in cards if card["template"]["instanceableId"] == product.orders)
    assert card["scenario"]["name"] == "Orders to your shop"

    begun = browser.ask("POST", f"/integrations/init/{card['template']['instanceableId']}")
    flow_id = begun["flow"]["id"]
    assert browser.ask("GET", f"/integrations/check-init/{flow_id}")["flow"]["isCompleted"] is False
    wizard = Wizard.at(begun["publicUrl"])
    wizard.walk(product.answers)
    flow = browser.ask("GET", f"/integrations/check-init/{flow_id}")["flow"]
    assert flow["isCompleted"]
    scenario_id = flow["result"]["scenarios"][0]["id"]

    done = {"integration": {"scenarioId": scenario_id}}
    assert browser.ask("POST", f"/integrations/{scenario_id}/activate") == done
    assert send("POST", wizard.hook_url, json_body=ORDER).status == 201
    run = browser.ask("POST", f"/integrations/{scenario_id}/run")
    assert run["executionId"]
    assert run["statusUrl"].endswith(f"/{run['executionId']}")
    until(lambda: ended(browser, scenario_id) == 2, "both executions have ended", within=10)
    assert browser.ask("POST", f"/integrations/{scenario_id}/deactivate") == done
    assert browser.ask("DELETE", f"/integrations/{scenario_id}")["message"]
    cards = browser.ask("GET", "/integrations/")["integrations"]
    assert all(card["scenario"].get("id") != scenario_id for card in cards)


def ended(browser, scenario_id) -> int:
    return sum(row["status"] > 0 for row in browser.ask("GET", f"/scenarios/{scenario_id}/logs"))


def test_options_and_refusals_pass_the_proxy_unchanged(browser, product):
    browser.call("GET", "/login")
    options = {"autoActivate": True, "scenario": {"name": "Through the proxy", "enable": False}}
    begun = browser.ask("POST", f"/integrations/init/{product.orders}", options)
    state = Wizard.at(begun["publicUrl"]).state()
    assert (state["phase"], state["scenario"]["name"]) == ("step", "Through the proxy")
    refused = browser.call("POST", "/proxy/api/bridge/integrations/4711/activate")
    assert refused.status == 404
    assert set(json.loads(refused.body)) == {"detail", "message", "code", "requestId"}


def test_many_calls_of_one_page_each_bring_a_token_of_their_own(browser):
    browser.call("GET", "/login")
    statuses = {browser.call("GET", "/proxy/api/bridge/integrations/").status for _ in range(10)}
    assert statuses == {200}
