"""How the pages look: readable for everybody (WCAG 2.2 AA, asked of axe), and never wider than the window.

Every page of a customer's way, in light and dark, on a desk and on a phone. With MAKE_BRIDGE_KEEP_SHOTS naming a
folder the pictures are kept there, to be looked at.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.browser import Visitor, broken_rules, heading, overflow, press, visit

pytestmark = pytest.mark.requires_server("chromium")
AXE = Path(__file__).resolve().parents[3] / "web" / "node_modules" / "axe-core" / "axe.min.js"
DESK, REVIEW = "Order desk", "Order review with your own rules"
SIZES = {"desk": (1280, 800), "phone": (380, 780)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """Looks at pages in one size and one scheme, and notes what is wrong with them."""

    visitor: Visitor
    view: str
    shots: Path
    faults: list[str] = field(default_factory=list)

    def look(self, page, name):
        """Look at a page as it stands, and at the frames in it."""
        page.screenshot(path=self.shots / f"{name}-{self.view}.png", full_page=True)
        for frame in page.frames:
            self.faults.extend(f"{name}: {fault}" for fault in broken_rules(frame, AXE))
        if wide := overflow(page):
            self.faults.append(f"{name}: {wide} pixels wider than the window")


@pytest.fixture(params=[f"{size}-{scheme}" for size in SIZES for scheme in ("light", "dark")])
def eye(request, browser, tmp_path):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run `make web`")
    size, _, scheme = request.param.partition("-")
    width, height = SIZES[size]
    visitor = visit(browser, width=width, height=height, dark=scheme == "dark")
    shots = Path(os.environ.get("MAKE_BRIDGE_KEEP_SHOTS") or tmp_path)
    shots.mkdir(parents=True, exist_ok=True)
    yield Eye(visitor=visitor, view=request.param, shots=shots)
    visitor.context.close()


def test_the_demo_page_is_readable_in_each_of_its_states(eye, demo, dana):
    page = eye.visitor.open(f"{demo.url}/demo")
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    eye.look(page, "demo-new")

    dana.connect(DESK, {})
    page.reload()
    press(page, "Send a sample order")
    page.get_by_role("button", expanded=False).filter(has_text="Handled the order").click()
    page.locator(".run-detail").get_by_text("Output").first.click()
    press(page, f"Recent runs of {DESK}")
    page.locator("portal-integrations").get_by_role("button", name="Ran by itself").click()
    expect(page.locator("portal-integrations").get_by_text("Standard lane")).to_be_visible()
    eye.look(page, "demo-handled")

    press(page, f"Remove {DESK}")
    expect(page.get_by_role("alertdialog")).to_be_visible()
    eye.look(page, "demo-remove")
    press(page, "Keep it")

    page.locator("portal-integrations").evaluate("(widget) => widget.setAttribute('mode', 'iframe')")
    press(page, f"Connect {REVIEW}")
    expect(page.frame_locator("portal-integrations iframe").get_by_role("button", name="Get started")).to_be_visible()
    eye.look(page, "demo-frame")
    assert eye.faults == []


def test_every_page_of_the_wizard_is_readable(eye, demo, dana):
    page = eye.visitor.open(dana.begin(REVIEW))
    expect(heading(page, REVIEW)).to_be_visible()
    eye.look(page, "wizard-intro")
    press(page, "Get started")
    expect(heading(page, "Your shop")).to_be_visible()
    eye.look(page, "wizard-address")
    press(page, "Save and continue")
    expect(heading(page, "Your rules")).to_be_visible()
    eye.look(page, "wizard-rules")
    press(page, "Save and continue")
    expect(page.get_by_role("alert")).to_be_visible()
    eye.look(page, "wizard-missing")
    page.get_by_label("Who reviews them").fill("Sam")
    press(page, "Save and continue")
    expect(heading(page, "Check and finish")).to_be_visible()
    eye.look(page, "wizard-check")
    press(page, "Finish and switch on")
    expect(heading(page, "All set")).to_be_visible()
    eye.look(page, "wizard-done")
    press(page, "Change the answers")
    expect(heading(page, "Settings")).to_be_visible()
    eye.look(page, "wizard-settings")
    press(page, "Change Your rules")
    expect(heading(page, "Your rules")).to_be_visible()
    page.get_by_label("Who reviews them").fill("Kim")
    press(page, "Done")
    expect(page.get_by_role("button", name="Save changes")).to_be_visible()
    eye.look(page, "wizard-settings-changed")
    press(page, "Save changes")
    expect(heading(page, "Saved")).to_be_visible()
    eye.look(page, "wizard-saved")
    page.goto("about:blank")
    page.goto(dana.begin(DESK))
    press(page, "Get started")
    expect(heading(page, "Ready to finish")).to_be_visible()
    eye.look(page, "wizard-nothing")
    page.goto(f"{demo.url}/flow/unknown")
    expect(heading(page, "This link has expired")).to_be_visible()
    eye.look(page, "wizard-expired")
    assert eye.faults == []
