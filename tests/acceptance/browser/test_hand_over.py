"""A person opens the link of a credential request: fills in, agrees at a provider, declines; how that looks.

With MAKE_BRIDGE_KEEP_SHOTS naming a folder the pictures are kept there, to be looked at.
"""

import json
import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.browser import broken_rules, heading, overflow, press, visit, window_opened_by

pytestmark = [pytest.mark.timeout(300), pytest.mark.requires_server("chromium")]
AXE = Path(__file__).resolve().parents[3] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"desk": (1280, 800), "phone": (380, 780)}
SECRET = "s3cret-of-the-shop"
WORDS = "We read your orders.\nNothing is written."


def request_of(integrator, **body):
    path = "/credential-requests/actions/create-by-credentials"
    return integrator.ask(
        "POST", path, {"teamId": integrator.team_id, "name": "Your shop", "description": WORDS} | body
    )


def states(integrator, made):
    found = integrator.ask("GET", f"/credential-requests/requests/{made['request']['id']}/detail")["requestDetail"]
    return [one["state"] for one in found["credentials"]], found


def card(page, name):
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name, exact=True))


def test_a_person_fills_in_agrees_and_declines(traveller, integrator):
    made = request_of(
        integrator,
        connections=[{"type": "shop", "scope": ["orders"], "description": "Your shop's orders"}],
        keys=[{"type": "apikeyauth", "nameOverride": "Shop key"}, {"type": "basicauth"}],
    )
    page = traveller.open(made["publicUri"])
    expect(heading(page, "Your shop")).to_be_visible()
    assert "#" not in page.url
    expect(page.get_by_text("Acme CRM asks you to connect")).to_be_visible()
    expect(page.get_by_text("We read your orders.")).to_be_visible()

    key = card(page, "Shop key")
    key.get_by_role("button", name="Hand over API key").click()
    expect(key.get_by_text("Please fill in “Key”.")).to_be_visible()
    expect(key.get_by_label("Key", exact=True)).to_be_focused()
    key.get_by_label("Key", exact=True).fill(SECRET)
    key.get_by_role("button", name="Hand over API key").click()
    expect(key.get_by_text("Handed over")).to_be_visible()
    assert SECRET not in page.content()

    connect = card(page, "Shop").get_by_role("button", name="Connect Shop")
    window = window_opened_by(page, connect.click)
    if not window.is_closed():
        window.wait_for_event("close")
    expect(card(page, "Shop").get_by_text("Handed over")).to_be_visible()

    basic = card(page, "User name and password")
    basic.get_by_role("button", name="Decline User name and password").click()
    expect(basic.get_by_label("Why you decline")).to_be_focused()
    basic.get_by_label("Why you decline").fill("Ask my colleague.")
    basic.get_by_role("button", name="Decline User name and password").click()
    expect(heading(page, "All set")).to_be_visible()
    page.reload()
    expect(heading(page, "All set")).to_be_visible()
    found, detail = states(integrator, made)
    assert found == ["authorized", "authorized", "declined"]
    assert detail["credentials"][2]["declineReason"] == "Ask my colleague."
    assert traveller.complaints == []
    assert SECRET not in json.dumps([request.url for request in traveller.requests])


def test_everything_can_be_done_by_keyboard(traveller, integrator):
    made = request_of(integrator, keys=[{"type": "basicauth"}, {"type": "apikeyauth"}])
    page = traveller.open(made["publicUri"])
    expect(heading(page, "Your shop")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_label("User name", exact=True)).to_be_focused()
    page.keyboard.type("shop")
    page.keyboard.press("Enter")
    expect(card(page, "User name and password").get_by_text("Handed over")).to_be_visible()
    expect(page.get_by_role("heading", name="User name and password", exact=True)).to_be_focused()
    decline = page.get_by_role("button", name="Decline API key")
    for _ in range(10):
        if decline.evaluate("(button) => button === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Why you decline")).to_be_focused()
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(heading(page, "All set")).to_be_focused()
    assert states(integrator, made)[0] == ["authorized", "declined"]
    assert traveller.complaints == []


def test_what_was_answered_elsewhere_and_a_link_that_ended_are_said(traveller, integrator):
    made = request_of(integrator, keys=[{"type": "basicauth"}, {"type": "apikeyauth"}])
    page = traveller.open(made["publicUri"])
    basic = card(page, "User name and password")
    basic.get_by_label("User name", exact=True).fill("shop")
    integrator.ask(
        "POST", f"/credential-requests/credentials/{made['credentials'][0]['id']}/decline", {"reason": "Too late"}
    )
    press(page, "Hand over User name and password")
    expect(basic.get_by_text("Declined", exact=True)).to_be_visible()
    expect(basic.get_by_text("Too late")).to_be_visible()
    traveller.expect_complaint("409")
    integrator.ask("DELETE", f"/credential-requests/requests/{made['request']['id']}?confirmed=true")
    card(page, "API key").get_by_label("Key", exact=True).fill(SECRET)
    press(page, "Hand over API key")
    expect(heading(page, "This link has ended")).to_be_visible()
    traveller.expect_complaint("401")
    page.goto(f"{integrator.url}/hand-over/unknown")
    expect(heading(page, "This link has ended")).to_be_visible()
    assert traveller.complaints == []


@pytest.mark.parametrize("view", [f"{size}-{scheme}" for size in SIZES for scheme in ("light", "dark")])
def test_every_state_of_the_page_is_readable(browser, integrator, tmp_path, view):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run `make web`")
    size, _, scheme = view.partition("-")
    width, height = SIZES[size]
    visitor = visit(browser, width=width, height=height, dark=scheme == "dark")
    shots = Path(os.environ.get("MAKE_BRIDGE_KEEP_SHOTS") or tmp_path)
    shots.mkdir(parents=True, exist_ok=True)
    faults: list[str] = []

    def look(name):
        page.screenshot(path=shots / f"hand-over-{name}-{view}.png", full_page=True)
        faults.extend(f"{name}: {fault}" for fault in broken_rules(page, AXE))
        if wide := overflow(page):
            faults.append(f"{name}: {wide} pixels wider than the window")

    made = request_of(
        integrator,
        connections=[
            {"type": "shop", "scope": ["orders", "https://shop.example/auth/invoices.readonly"]},
            {"type": "google", "description": "For your calendar"},
            {"type": "smtp"},
        ],
        keys=[{"type": "apikeyauth", "nameOverride": "Key of the shop", "description": WORDS}],
    )
    page = visitor.open(made["publicUri"])
    expect(heading(page, "Your shop")).to_be_visible()
    page.get_by_text("It asks for 2 rights").click()
    look("asked")
    press(page, "Hand over API key")
    press(page, "Decline Google")
    expect(page.get_by_label("Why you decline")).to_be_visible()
    look("wrong")
    press(page, "Decline Google")
    expect(card(page, "Google").get_by_text("Declined")).to_be_visible()
    card(page, "Key of the shop").get_by_label("Key", exact=True).fill(SECRET)
    press(page, "Hand over API key")
    expect(card(page, "Key of the shop").get_by_text("Handed over")).to_be_visible()
    look("half")
    for credential in made["credentials"][:3]:
        integrator.ask("POST", f"/credential-requests/credentials/{credential['id']}/decline")
    page.reload()
    expect(heading(page, "All set")).to_be_visible()
    look("end")
    page.goto(f"{integrator.url}/hand-over/unknown")
    expect(heading(page, "This link has ended")).to_be_visible()
    look("ended")
    visitor.context.close()
    assert faults == []
