"""The page that describes the API: drawn from what this very server serves, and usable with a token."""

import pytest
from playwright.sync_api import expect

from support.browser import overflow, visit
from support.network import send

pytestmark = pytest.mark.requires_server("chromium")


@pytest.fixture(params=[(1280, 800, False), (380, 780, True)], ids=["desk", "phone in the dark"])
def visitor(request, browser):
    width, height, dark = request.param
    visitor = visit(browser, width=width, height=height, dark=dark)
    yield visitor
    visitor.context.close()


def test_the_api_can_be_read_and_tried(visitor, demo):
    page = visitor.open(f"{demo.url}/docs")
    expect(page.get_by_role("heading", name="Make Bridge")).to_be_visible()
    sections = page.locator(".opblock-tag")
    served = {tag for path in send("GET", f"{demo.url}/openapi.json").json()["paths"].values()
              for operation in path.values() for tag in operation["tags"]}  # fmt: skip
    expect(sections).to_have_count(len(served))
    page.get_by_placeholder("Filter").fill("Enumerations")
    expect(sections).to_have_count(1)
    sections.click()
    page.get_by_role("button", name="get /api/v2/enums/timezones", exact=False).first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    # Nobody is signed in here, and the answer is the server's own.
    expect(page.locator(".live-responses-table .response .response-col_status")).to_contain_text("401")
    visitor.expect_complaint("401")
    assert overflow(page) == 0
    assert visitor.complaints == []
