"""People at the served console, by HTTP alone: made with the command, signed in, ended here and felt everywhere."""

import time
from dataclasses import dataclass

import pytest

from support.network import send
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
PASSWORD = "correct horse battery"
COOKIE = "mb-local"
FELT_WITHIN = 5.0


@dataclass(slots=True)
class Browser:
    """A browser at one server: keeps the cookie, and the token its page was told."""

    url: str
    cookie: str | None = None
    token: str | None = None

    def send(self, method, path, body=None, **headers):
        given = {"Origin": self.url}
        if self.cookie is not None:
            given["Cookie"] = f"{COOKIE}={self.cookie}"
        if self.token is not None:
            given["X-CSRF-Token"] = self.token
        return send(method, f"{self.url}/console/api{path}", headers=given | headers, json_body=body)

    def sign_in(self, email, password=PASSWORD):
        reply = self.send("POST", "/sign-in", {"email": email, "password": password})
        if reply.status == 200:
            self.cookie = reply.headers["set-cookie"].partition(";")[0].partition("=")[2]
            self.token = reply.json()["session"]["csrfToken"]
        return reply

    def at(self, url):
        """The same browser, led to another process."""
        return Browser(url, self.cookie, self.token)

    def is_in(self):
        return self.send("GET", "/sessions").status == 200


def make_person(product, folder, name, role="owner"):
    """Make a person with the command, and return their address."""
    organization = product.integrator.organization_id
    file = folder / "password"
    file.write_text(PASSWORD + "\n")
    email = f"{name}-{organization}@acme.example"
    made = product.installation.ask(
        *("user", "create", email, "--organization", str(organization), "--role", role, "--password-file", file)
    )
    assert made["isNew"]
    return email


@pytest.fixture
def product(product_in):
    return product_in("embedded")


def test_b01_a_session_sent_before_sign_in_is_replaced(product, tmp_path):
    email = make_person(product, tmp_path, "fixed")
    browser = Browser(product.url, cookie="x" * 43)
    first = browser.sign_in(email).json()["session"]
    assert browser.cookie != "x" * 43
    before = browser.at(product.url)
    second = browser.sign_in(email).json()["session"]
    assert second["id"] != first["id"]
    assert browser.is_in()
    assert not before.is_in()


def test_b02_the_cookie_cannot_be_read_by_scripts_and_has_no_prefix_it_could_not_keep(product, tmp_path):
    reply = Browser(product.url).sign_in(make_person(product, tmp_path, "cookie"))
    assert reply.headers["set-cookie"].startswith(f"{COOKIE}=")
    assert reply.headers["set-cookie"].split("; ")[1:] == ["Path=/", "HttpOnly", "SameSite=Lax"]


def test_b10_nobody_gives_themselves_a_role(product, tmp_path):
    viewer = Browser(product.url)
    email = make_person(product, tmp_path, "viewer", "viewer")
    assert viewer.sign_in(email).json()["session"]["role"] == "viewer"
    body = {"email": email, "password": PASSWORD, "role": "owner"}
    reply = viewer.send("POST", "/sign-in", body)
    assert (reply.status, reply.json()["fields"]) == (422, {"role": "is not known here"})
    assert viewer.send("GET", "/session").json()["session"]["role"] == "viewer"


def test_b13_a_viewer_hands_out_no_token_and_an_owner_does(product, tmp_path):
    path = f"/v2/organizations/{product.integrator.organization_id}/tokens"
    new = {"label": "CI", "permissions": ["scenarios:read"]}
    viewer, owner = Browser(product.url), Browser(product.url)
    viewer.sign_in(make_person(product, tmp_path, "looking", "viewer"))
    owner.sign_in(make_person(product, tmp_path, "owning"))
    reply = viewer.send("POST", path, new)
    assert reply.status == 403
    assert "viewer" in reply.json()["detail"]
    made = owner.send("POST", path, new).json()["token"]
    api = {"Authorization": f"Token {made['token']}"}
    assert send("GET", f"{product.url}/api/v2{path.removeprefix('/v2')}", headers=api).status == 403
    assert owner.send("DELETE", f"{path}/{made['id']}?confirmed=true").status == 200


def test_b15_the_console_is_framed_by_nobody(product):
    page = send("GET", f"{product.url}/console")
    assert page.status == 200
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"


def test_a_page_elsewhere_changes_nothing_even_with_the_cookie(product, tmp_path):
    browser = Browser(product.url)
    browser.sign_in(make_person(product, tmp_path, "forged"))
    for headers in ({"Origin": "https://evil.example"}, {"X-CSRF-Token": "0" * 64}):
        assert browser.send("POST", "/sign-out", **headers).status == 403
    assert browser.is_in()


def test_the_command_lists_disables_and_sets_passwords(product, tmp_path):
    email = make_person(product, tmp_path, "managed", "editor")
    run, ask = product.installation.command, product.installation.ask
    organization = str(product.integrator.organization_id)
    [listed] = [user for user in ask("user", "list", "--organization", organization) if user["email"] == email]
    assert (listed["role"], listed["isDisabled"], listed["sessions"]) == ("editor", False, 0)
    browser = Browser(product.url)
    browser.sign_in(email)
    assert ask("user", "sessions", "revoke", email) == {"ended": 1}
    until(lambda: not browser.is_in(), "the session is refused", within=FELT_WITHIN)
    (tmp_path / "another").write_text("another long password")
    run("user", "set-password", email, "--password-file", tmp_path / "another")
    assert browser.sign_in(email).status == 401
    assert browser.sign_in(email, "another long password").status == 200
    run("user", "disable", email)
    until(lambda: not browser.is_in(), "the session is refused", within=FELT_WITHIN)
    refused = browser.sign_in(email, "another long password")
    assert (refused.status, refused.json()["code"]) == (401, "sign_in_failed")
    run("user", "enable", email)
    assert browser.sign_in(email, "another long password").status == 200


def test_the_command_takes_no_password_as_an_argument_and_asks_only_a_terminal(product):
    refused = product.installation.command(
        *("user", "create", "nobody@acme.example", "--organization", "1", "--role", "owner"), check=False
    )
    assert refused.returncode == 1
    assert "--password-file" in refused.stderr
    assert product.installation.command("user", "set-password", "a@b", "secret", check=False).returncode == 2


def test_b03_b04_a_session_ended_in_one_process_is_refused_by_the_other_within_five_seconds(product_in, tmp_path):
    product = product_in("external-one")
    second = product.installation.server("console-second").start()
    try:
        here = Browser(product.url)
        here.sign_in(make_person(product, tmp_path, "twice"))
        there = here.at(second.url)
        assert there.is_in()
        began = time.monotonic()
        assert here.send("POST", "/sign-out").status == 200
        assert not here.is_in()
        until(lambda: not there.is_in(), "the other process refuses the session", within=FELT_WITHIN + 5)
        assert time.monotonic() - began <= FELT_WITHIN
        assert not here.is_in()
    finally:
        assert second.end() is None


def test_b08_guessing_stops_and_locks_out_nobody_else(product_in, tmp_path):
    product = product_in("embedded")
    email, neighbour = make_person(product, tmp_path, "guessed"), make_person(product, tmp_path, "neighbour")
    replies = [Browser(product.url).sign_in(email, f"guess number {number}") for number in range(7)]
    assert [reply.status for reply in replies] == [401] * 5 + [429] * 2
    assert int(replies[-1].headers["retry-after"]) > 3000
    assert Browser(product.url).sign_in(email).status == 429
    assert Browser(product.url).sign_in(neighbour).status == 200
