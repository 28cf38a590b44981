"""The wizard in an integrator's page on another site: in a frame and in a window, without any cookie.

One of the project's first experiments, kept as a test (docs/decisions/0005-wizard-in-frames.md). The integrator's
page is `http://localhost:…` with a strict policy, the bridge is `http://127.0.0.1:…`, and the browser blocks cookies
of third parties. A frame of another site then has storage of its own, or none at all; the wizard needs neither.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.browser import Visitor, launch, visit, window_opened_by
from support.integrator import Integrator
from support.integrator_site import IntegratorSite, organization_at
from support.network import free_port

pytestmark = pytest.mark.requires_server("chromium")
ORDERS = json.loads((Path(__file__).parents[1] / "orders.json").read_text())
OWN_STORAGE, NO_STORAGE = "storage-of-its-own", "no-storage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """An organization with a published template, and the one origin that it registered."""

    integrator: Integrator
    port: int

    @property
    def bridge(self) -> str:
        return self.integrator.url


@pytest.fixture(scope="module")
def embedding(demo) -> Embedding:
    port = free_port()
    integrator = organization_at(demo.installation, demo.url, f"http://localhost:{port}")
    integrator.publish(ORDERS)
    return Embedding(integrator=integrator, port=port)


@pytest.fixture
def site(embedding, request) -> Iterator[IntegratorSite]:
    """The integrator's site at its registered origin; its customer is new in each test."""
    site = IntegratorSite(embedding.integrator, embedding.port, request.node.name)
    with site.serving():
        yield site


@pytest.fixture(params=[OWN_STORAGE, NO_STORAGE])
def visitor(request, browser, playwright, server, embedding, tmp_path) -> Iterator[Visitor]:
    """A customer whose browser gives a frame of another site storage of its own, or none."""
    with contextlib.ExitStack() as stack:
        if request.param == NO_STORAGE:
            browser = launch(playwright, server("chromium"), partitioned=False)
            stack.callback(browser.close)
        visitor = visit(browser, embedding.bridge)
        stack.callback(visitor.context.close)
        yield visitor


@pytest.fixture
def elsewhere(embedding, request) -> Iterator[IntegratorSite]:
    """The same page with the same key, at an origin that the organization did not register."""
    site = IntegratorSite(embedding.integrator, free_port(), request.node.name)
    with site.serving():
        yield site


one_browser = pytest.mark.parametrize("visitor", [OWN_STORAGE], indirect=True)


def connect(page):
    """Press Connect on the card and return the flow's secret, which nobody is to see."""
    with page.expect_response("**/init/*") as begun:
        page.get_by_role("button", name=f"Connect {ORDERS['name']}").click()
    return begun.value.json()["publicUrl"].partition("#")[2]


def frame_in(page):
    """The wizard's frame twice: as a place to act in, and as what the browser makes of it."""
    wizard = page.frame_locator("portal-integrations iframe")
    expect(wizard.get_by_role("heading", name=ORDERS["name"])).to_be_visible()
    return wizard, next(frame for frame in page.frames if "/flow/" in frame.url)


def card_of(page):
    return page.locator("portal-integrations").get_by_role("listitem", name=ORDERS["name"])


def note_steps(page):
    """Let the page note the steps of which the widget tells it: the wizard's window told the widget in a message."""
    page.evaluate(
        """() => {
          window.steps = [];
          document.addEventListener("bridge:wizard-step", ({ detail }) => window.steps.push(detail.index));
        }"""
    )


def walk(wizard):
    """Go from the first page to the last; the key that is asked for is made on the way."""
    wizard.get_by_role("button", name="Get started").click()
    proceed = wizard.get_by_role("button", name="Save and continue")
    expect(wizard.get_by_role("heading", name="Webhooks")).to_be_visible()
    proceed.click()
    wizard.get_by_label("Key", exact=True).fill("shop-key-5b0c6f0e")
    proceed.click()
    wizard.get_by_label("URL").fill("https://shop.example/orders")
    proceed.click()
    expect(wizard.get_by_role("heading", name="Check and finish")).to_be_visible()
    wizard.get_by_role("button", name="Finish").click()
    expect(wizard.get_by_role("heading", name="All set")).to_be_visible()


def storage_of(frame):
    """What storage a frame of another site got, after a first-party page stored something."""
    return frame.evaluate(
        """() => {
          try { return localStorage.getItem("probe") ?? "storage-of-its-own" }
          catch { return "no-storage" }
        }"""
    )


def places_of(secret, request):
    """Where a request carries the secret: the address, the body, or headers by their names."""
    parts = {"address": request.url, "body": request.post_data or ""} | request.all_headers()
    return {place for place, text in parts.items() if secret in text}


def test_the_wizard_in_a_frame_needs_neither_cookies_nor_storage(visitor, site, embedding, request):
    first = visitor.open(f"{embedding.bridge}/live")
    first.evaluate("document.cookie = 'probe=1; SameSite=None; Secure'; localStorage.setItem('probe', 'first-party')")
    page = visitor.open(site.page("iframe"))
    note_steps(page)
    connect(page)
    wizard, frame = frame_in(page)
    assert first.evaluate("document.cookie") == "probe=1"
    assert frame.evaluate("document.cookie") == ""
    assert storage_of(frame) == request.node.callspec.params["visitor"]

    walk(wizard)
    expect(wizard.locator("code")).to_contain_text(f"{embedding.bridge}/hook/")
    wizard.get_by_role("button", name="Close").click()
    expect(page.locator("iframe")).to_be_hidden()
    expect(card_of(page)).to_contain_text(f"{ORDERS['name']} is set up.")
    assert page.evaluate("window.steps") == [0, 1, 2]
    assert [cookie["name"] for cookie in visitor.context.cookies()] == ["probe"]
    assert visitor.complaints == []


@one_browser
def test_the_wizard_in_a_window_stays_in_touch_with_the_page_that_opened_it(visitor, site):
    page = visitor.open(site.page("popup"))
    note_steps(page)
    wizard = window_opened_by(page, lambda: connect(page))
    with wizard.expect_event("close"):
        walk(wizard)
        assert page.evaluate("window.steps") == [0, 1, 2]
        wizard.get_by_role("button", name="Close").click()
    expect(card_of(page)).to_contain_text(f"{ORDERS['name']} is set up.")
    assert visitor.complaints == []


@pytest.mark.attack("C13", "H09")
@one_browser
def test_the_secret_is_only_ever_in_a_header_to_the_bridge(visitor, site, embedding):
    page = visitor.open(site.page("iframe"))
    secret = connect(page)
    wizard, frame = frame_in(page)
    assert secret
    assert "#" not in frame.evaluate("location.href")
    walk(wizard)

    carriers = {request.url: places_of(secret, request) for request in visitor.requests}
    calls = {url for url in carriers if url.startswith(f"{embedding.bridge}/flow-api/")}
    assert {url for url, places in carriers.items() if places} == calls
    assert all(carriers[url] == {"flow-secret"} for url in calls)
    assert not any("cookie" in request.all_headers() for request in visitor.requests)


def test_a_reload_goes_on_where_the_browser_gives_storage_and_else_says_what_to_do(visitor, site, request):
    page = visitor.open(site.page("iframe"))
    connect(page)
    wizard, frame = frame_in(page)
    wizard.get_by_role("button", name="Get started").click()
    expect(wizard.get_by_role("heading", name="Webhooks")).to_be_visible()
    frame.evaluate("location.reload()")
    stored = request.node.callspec.params["visitor"] == OWN_STORAGE
    expect(wizard.get_by_role("heading", level=1)).to_have_text("Webhooks" if stored else "This link has expired")
    assert visitor.complaints == []


@pytest.mark.attack("C09")
@one_browser
def test_a_page_at_an_origin_that_nobody_registered_cannot_frame_the_wizard(visitor, elsewhere, embedding):
    page = visitor.open(elsewhere.page("iframe"))
    connect(page)
    visitor.expect_complaint(f"frame-ancestors 'self' http://localhost:{embedding.port}")
    expect(page.frame_locator("portal-integrations iframe").get_by_role("button", name="Get started")).to_be_hidden()
    assert not any("/flow/" in frame.url for frame in page.frames)
    assert visitor.complaints == []


@pytest.mark.attack("C09")
@one_browser
def test_a_frame_that_was_refused_offers_a_window_instead(visitor, elsewhere, embedding):
    page = visitor.open(elsewhere.page("iframe"))
    connect(page)
    visitor.expect_complaint("frame-ancestors")
    offer = page.get_by_role("button", name="Open it in a window")
    expect(offer).to_be_visible()
    wizard = window_opened_by(page, offer.click)
    expect(wizard.get_by_role("heading", name=ORDERS["name"])).to_be_visible()
    expect(page.locator("portal-integrations dialog")).to_have_count(0)
    expect(card_of(page)).to_contain_text("Continue in the window that opened.")
    assert visitor.complaints == []


@one_browser
def test_a_page_that_tells_nobody_where_it_is_still_hears_from_its_frame(visitor, site):
    page = visitor.open(site.page("iframe"))
    page.evaluate(
        """() => {
          const policy = document.createElement("meta");
          Object.assign(policy, { name: "referrer", content: "no-referrer" });
          document.head.append(policy);
        }"""
    )
    note_steps(page)
    connect(page)
    wizard, _ = frame_in(page)
    wizard.get_by_role("button", name="Get started").click()
    expect(wizard.get_by_role("heading", name="Webhooks")).to_be_visible()
    page.wait_for_function("window.steps.length > 0")
    assert visitor.complaints == []
