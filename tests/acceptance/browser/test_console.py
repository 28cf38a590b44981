"""The console in a browser: signing in, sessions, password, members, keys and tokens, and how its pages look.

Each test ends by asking whether the browser complained: of an error in a script, of something the page's policy
refused, of a request to any host but the server.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.browser import broken_rules, heading, overflow, press, visit
from support.network import send
from support.waiting import until

pytestmark = [pytest.mark.requires_server("chromium"), pytest.mark.timeout(300)]
AXE = Path(__file__).resolve().parents[3] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"desk": (1280, 800), "phone": (380, 780)}
PASSWORD = "correct horse battery"
REFUSED = "the server responded with a status of 401"


class Company:
    """An organization at the served product, and its people."""

    def __init__(self, demo, folder):
        self.url, self._installation, self._file = f"{demo.url}/console", demo.installation, folder / "password"
        self._file.write_text(PASSWORD)
        self.organization = str(self._installation.ask("org", "create", "Acme CRM")["organizationId"])

    def person(self, name, role="owner"):
        """Make a person and return their address."""
        email = f"{name}-{self.organization}@acme.example"
        given = ("--organization", self.organization, "--role", role, "--password-file", self._file)
        self._installation.ask("user", "create", email, *given)
        return email


@pytest.fixture
def company(demo, tmp_path):
    return Company(demo, tmp_path)


def enter(page, email, password=PASSWORD):
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    press(page, "Sign in")


def go(page, title):
    page.get_by_role("navigation").get_by_role("link", name=title).click()
    expect(heading(page, title)).to_be_focused()


def test_a_person_signs_in_and_out(visitor, company):
    email = company.person("dana")
    page = visitor.open(company.url)
    expect(heading(page, "Sign in")).to_be_visible()
    enter(page, email, "not the password")
    expect(page.get_by_role("alert")).to_contain_text("do not belong together here")
    visitor.expect_complaint(REFUSED)
    enter(page, email)
    expect(heading(page, "Portal keys")).to_be_visible()
    expect(page.get_by_role("banner")).to_contain_text(email)
    assert page.evaluate("document.cookie") == ""
    [cookie] = visitor.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    page.reload()
    expect(heading(page, "Portal keys")).to_be_visible()
    press(page, "Sign out")
    expect(heading(page, "Sign in")).to_be_visible()
    assert visitor.context.cookies() == []
    page.reload()
    expect(heading(page, "Sign in")).to_be_visible()
    assert visitor.complaints == []


def test_a_session_that_is_ended_elsewhere_is_signed_out_here(visitor, browser, company):
    email = company.person("dana")
    here, other = visitor.open(f"{company.url}/sessions"), visit(browser)
    enter(here, email)
    there = other.open(company.url)
    enter(there, email)
    expect(heading(there, "Portal keys")).to_be_visible()
    go(there, "My sessions")
    rows = there.get_by_role("main").get_by_role("listitem")
    expect(rows).to_have_count(2)
    rows.filter(has_not_text="this one").get_by_role("button", name=re.compile("^End")).click()
    there.keyboard.press("Escape")
    expect(rows).to_have_count(2)
    rows.filter(has_not_text="this one").get_by_role("button", name=re.compile("^End")).click()
    press(there, "End it")
    expect(rows).to_have_count(1)
    expect(there.get_by_text("You are signed in nowhere else.")).to_be_visible()
    here.get_by_role("navigation").get_by_role("link", name="API tokens").click()
    expect(heading(here, "Sign in")).to_be_visible()
    expect(here.get_by_text("Your session has ended.")).to_be_visible()
    visitor.expect_complaint(REFUSED)
    enter(here, email)
    expect(heading(here, "API tokens")).to_be_visible()
    go(there, "Portal keys")
    go(there, "My sessions")
    press(there, "End all other sessions")
    press(there, "End it")
    expect(there.get_by_text("All other sessions have ended.")).to_be_visible()
    assert (visitor.complaints, other.complaints) == ([], [])
    other.context.close()


def test_an_owner_rotates_and_revokes_a_key(visitor, company):
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visitor.open(company.url)
    enter(page, company.person("dana"))
    rows = page.get_by_role("main").get_by_role("listitem")
    expect(rows).to_have_count(1)
    before = rows.locator("h2 .mono").inner_text()
    press(page, "Rotate the current key")
    press(page, "Rotate it")
    expect(page.get_by_role("heading", name="The new key")).to_be_visible()
    secret = page.locator(".secret dd").last.inner_text()
    press(page, "Copy the secret")
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    press(page, "I have kept it")
    assert secret not in page.content()
    expect(rows.filter(has_text=before)).to_contain_text("accepted until")
    rows.filter(has_text=before).get_by_role("button", name=re.compile("^Revoke")).click()
    press(page, "Revoke it")
    expect(rows).to_have_count(1)
    expect(page.get_by_role("status")).to_contain_text([f"The key {before} is revoked."])
    assert visitor.complaints == []


def test_an_owner_makes_a_token_that_works_and_revokes_it(visitor, demo, company):
    page = visitor.open(f"{company.url}/tokens")
    enter(page, company.person("dana"))
    press(page, "Create a token")
    page.get_by_label("What it is for").fill("<b>Nightly</b> build")
    press(page, "Create the token")
    expect(page.get_by_text("Choose at least one.")).to_be_visible()
    page.get_by_label("organizations:read").check()
    press(page, "Create the token")
    token = page.locator(".secret dd").inner_text()
    expect(page.get_by_role("heading", name="<b>Nightly</b> build", exact=True)).to_be_visible()
    address = f"{demo.url}/api/v2/organizations/{company.organization}/tokens"
    call = {"Authorization": f"Token {token}"}
    assert send("GET", address, headers=call).status == 200
    row = page.get_by_role("main").get_by_role("listitem").filter(has_text="Nightly")
    row.get_by_role("button", name=re.compile("^Revoke")).click()
    press(page, "Revoke it")
    expect(row).to_have_count(0)
    until(lambda: send("GET", address, headers=call).status == 401, "the token is refused", within=6.0)
    assert visitor.complaints == []


def test_a_person_changes_their_password_and_other_browsers_are_signed_out(visitor, browser, company):
    email, another = company.person("dana", "viewer"), "another long password"
    page, elsewhere = visitor.open(company.url), visit(browser)
    enter(page, email)
    there = elsewhere.open(company.url)
    enter(there, email)
    expect(heading(there, "Portal keys")).to_be_visible()
    go(page, "My password")

    def change(current, new, again):
        page.get_by_label("Current password", exact=True).fill(current)
        page.get_by_label("New password", exact=True).fill(new)
        page.get_by_label("New password, once more", exact=True).fill(again)
        press(page, "Change the password")

    change(PASSWORD, another, "something else entirely")
    expect(page.get_by_text("This differs from the new password above.")).to_be_visible()
    change("not the password", another, another)
    expect(page.get_by_text("This is not your current password.")).to_be_visible()
    visitor.expect_complaint("the server responded with a status of 422")
    change(PASSWORD, another, another)
    expect(page.get_by_text("Your password is changed, and one other session has ended.")).to_be_visible()
    assert page.get_by_label("New password", exact=True).input_value() == ""
    there.get_by_role("navigation").get_by_role("link", name="My sessions").click()
    expect(heading(there, "Sign in")).to_be_visible()
    elsewhere.expect_complaint(REFUSED)
    enter(there, email, another)
    expect(there.get_by_role("main").get_by_role("listitem")).to_have_count(2)
    assert (visitor.complaints, elsewhere.complaints) == ([], [])
    elsewhere.context.close()


def test_an_owner_adds_a_person_changes_their_role_and_removes_them(visitor, browser, company):
    owner, nina = company.person("dana"), f"nina-{company.organization}@acme.example"
    page, other = visitor.open(f"{company.url}/members"), visit(browser)
    enter(page, owner)
    expect(page.get_by_text("Nobody else is in this organization yet.")).to_be_visible()
    own = page.get_by_role("main").get_by_role("listitem")
    own.get_by_role("button", name=re.compile("^Leave")).click()
    press(page, "Leave it")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("last owner")
    visitor.expect_complaint("the server responded with a status of 409")
    page.keyboard.press("Escape")
    press(page, "Add a person")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type(nina)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Role")).to_be_focused()
    page.get_by_label("Role").select_option("editor")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"{nina} may sign in")).to_be_visible()
    password = page.locator(".secret dd").last.inner_text()
    press(page, "I have kept it")
    assert password not in page.content()
    there = other.open(company.url)
    enter(there, nina, password)
    expect(there.get_by_role("banner")).to_contain_text("editor")
    expect(there.get_by_role("navigation").get_by_role("link", name="Members")).to_have_count(0)
    row = page.get_by_role("main").get_by_role("listitem").filter(has_text=nina)
    row.get_by_role("button", name=re.compile("^Change the role")).click()
    row.get_by_label("Role", exact=True).select_option("admin")
    row.get_by_role("button", name="Change the role").click()
    expect(page.get_by_text(f"{nina} is an admin now.")).to_be_visible()
    there.get_by_role("navigation").get_by_role("link", name="My sessions").click()
    expect(heading(there, "Sign in")).to_be_visible()
    enter(there, nina, password)
    expect(there.get_by_role("banner")).to_contain_text("admin")
    go(there, "Members")
    theirs = there.get_by_role("main").get_by_role("listitem").filter(has_text=owner)
    expect(theirs).to_be_visible()
    expect(theirs.get_by_role("button")).to_have_count(0)
    row.get_by_role("button", name=re.compile("^Remove")).click()
    press(page, "Remove them")
    expect(row).to_have_count(0)
    there.get_by_role("navigation").get_by_role("link", name="My sessions").click()
    expect(heading(there, "Sign in")).to_be_visible()
    enter(there, nina, password)
    expect(there.get_by_role("alert")).to_contain_text("do not belong together here")
    other.expect_complaint(REFUSED)
    assert (visitor.complaints, other.complaints) == ([], [])
    other.context.close()


def test_members_that_cannot_be_read_are_asked_for_again(visitor, company):
    page = visitor.open(company.url)
    enter(page, company.person("dana"))
    page.route("**/console/api/members", lambda route: route.abort())
    go(page, "Members")
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    expect(page.get_by_role("button", name="Add a person")).to_have_count(0)
    visitor.expect_complaint("net::ERR_FAILED")
    page.unroute("**/console/api/members")
    press(page, "Try again")
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    assert visitor.complaints == []


def test_a_viewer_looks_and_is_offered_no_change(visitor, company):
    page = visitor.open(company.url)
    enter(page, company.person("vera", "viewer"))
    expect(page.get_by_text("may look at keys and not change them")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    assert visitor.complaints == []


def test_a_server_that_is_away_is_said_and_asked_again(visitor, company):
    page = visitor.open(company.url)
    enter(page, company.person("dana"))
    expect(heading(page, "Portal keys")).to_be_visible()
    page.route("**/console/api/sessions", lambda route: route.abort())
    go(page, "My sessions")
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    visitor.expect_complaint("net::ERR_FAILED")
    page.unroute("**/console/api/sessions")
    press(page, "Try again")
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    assert visitor.complaints == []


@pytest.fixture(params=[f"{size}-{scheme}" for size in SIZES for scheme in ("light", "dark")])
def view(request, browser):
    size, _, scheme = request.param.partition("-")
    width, height = SIZES[size]
    visitor = visit(browser, width=width, height=height, dark=scheme == "dark")
    yield request.param, visitor
    visitor.context.close()


@dataclass(slots=True)
class Eye:
    """Looks at pages: a picture for people, and what axe and the window's width have against each."""

    name: str
    folder: Path
    faults: list[str] = field(default_factory=list)

    def look(self, page, what):
        page.screenshot(path=self.folder / f"console-{what}-{self.name}.png", full_page=True)
        self.faults.extend(f"{what}: {fault}" for fault in broken_rules(page, AXE))
        if wide := overflow(page):
            self.faults.append(f"{what}: {wide} pixels wider than the window")


@pytest.fixture
def eye(view, tmp_path):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run `make web`")
    folder = Path(os.environ.get("MAKE_BRIDGE_KEEP_SHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return Eye(view[0], folder)


def test_every_page_of_the_console_is_readable(view, eye, company):
    _, visitor = view
    look = eye.look
    email = company.person("dana")
    page = visitor.open(company.url)
    expect(heading(page, "Sign in")).to_be_visible()
    look(page, "sign-in")
    enter(page, email, "not the password")
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "refused")
    enter(page, email)
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    look(page, "keys")
    press(page, "Rotate the current key")
    expect(page.get_by_role("dialog")).to_be_visible()
    look(page, "rotate")
    press(page, "Rotate it")
    expect(page.get_by_role("heading", name="The new key")).to_be_visible()
    look(page, "new-key")
    go(page, "API tokens")
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    look(page, "tokens")
    press(page, "Create a token")
    press(page, "Create the token")
    look(page, "new-token")
    go(page, "My sessions")
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    look(page, "sessions")
    assert eye.faults == []


def test_the_pages_of_password_and_members_are_readable(view, eye, company):
    _, visitor = view
    look = eye.look
    page = visitor.open(company.url)
    enter(page, company.person("dana"))
    expect(heading(page, "Portal keys")).to_be_visible()
    go(page, "My password")
    look(page, "password")
    page.get_by_label("Current password", exact=True).fill("not the password")
    for label in ("New password", "New password, once more"):
        page.get_by_label(label, exact=True).fill("another long password")
    press(page, "Change the password")
    expect(page.get_by_text("This is not your current password.")).to_be_visible()
    look(page, "password-refused")
    go(page, "Members")
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    look(page, "members")
    press(page, "Add a person")
    page.get_by_label("E-mail address").fill(f"maximilian.von-und-zu-musterhausen-{company.organization}@acme.example")
    look(page, "new-member")
    press(page, "Add the person")
    expect(page.get_by_role("heading", name=re.compile("may sign in"))).to_be_visible()
    look(page, "first-password")
    press(page, "I have kept it")
    row = page.get_by_role("main").get_by_role("listitem").filter(has_text="maximilian")
    row.get_by_role("button", name=re.compile("^Change the role")).click()
    look(page, "role")
    row.get_by_role("button", name="Cancel").click()
    row.get_by_role("button", name=re.compile("^Remove")).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look(page, "remove")
    assert eye.faults == []
