"""One browser and one demo server for all tests in here, and what a failed test leaves behind.

The demo has one customer, Dana. A test that wants her without any integration asks for `dana`; states further on she
reaches by the wizard's own calls, so that a test drives in the browser only what it is about.
"""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Playwright, expect, sync_playwright

from support.browser import PATIENCE, Visitor, launch, visit
from support.integrator import Integrator, Wizard, new_organization
from support.network import send
from support.oauth_server import OAuthProvider, serving_provider
from support.server import ServerProcess, installed, installed_anew, show_logs

PAGES = Path(__file__).resolve().parents[3] / "web" / "dist" / "wizard" / "index.html"
INTEGRATIONS = "/proxy/api/bridge/integrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dana:
    """The demo's customer, by the calls that her browser would make."""

    url: str

    def forget_everything(self) -> None:
        """Remove all that she has connected."""
        for scenario in (card["scenario"] for card in self._cards()):
            if scenario.get("id") is not None:
                assert send("DELETE", f"{self.url}{INTEGRATIONS}/{scenario['id']}").status == 200

    def begin(self, name: str) -> str:
        """Begin to set an integration up and return where its wizard is."""
        card = next(card for card in self._cards() if card["scenario"]["name"] == name)
        init = f"{self.url}{INTEGRATIONS}/init/{card['template']['instanceableId']}"
        reply = send("POST", init, json_body={"scenario": {"name": name, "enable": True}})
        address: str = reply.json()["publicUrl"]
        return address

    def connect(self, name: str, answers: Mapping[str, object]) -> None:
        """Set an integration up and switch it on."""
        assert Wizard.at(self.begin(name)).walk(answers)["phase"] == "done"

    def _cards(self) -> list[dict[str, Any]]:
        cards: list[dict[str, Any]] = send("GET", f"{self.url}{INTEGRATIONS}/").json()["integrations"]
        return cards


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="package")
def browser(playwright: Playwright, server: Callable[[str], Path]) -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    browser = launch(playwright, server("chromium"))
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The product in demo mode, with its own database."""
    assert PAGES.exists(), "the pages are not built: run `make web`"
    with installed_anew("embedded", tmp_path_factory.mktemp("demo"), None, MODE="demo") as installation:
        yield installation.server().start()


@pytest.fixture
def dana(demo: ServerProcess) -> Dana:
    """The demo's customer, who has connected nothing."""
    dana = Dana(url=demo.url)
    dana.forget_everything()
    return dana


@pytest.fixture
def visitor(browser: Browser, tmp_path: Path) -> Iterator[Visitor]:
    """A person with a fresh browser profile; `tmp_path` takes the pictures when the test fails."""
    visitor = visit(browser)
    yield visitor
    visitor.context.close()


@pytest.fixture(scope="module")
def provider() -> Iterator[OAuthProvider]:
    with serving_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def integrator(provider: OAuthProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Integrator]:
    """An integrator whose application is known to the provider."""
    settings = {"EGRESS_ALLOW": "127.0.0.1", "OAUTH_PLAIN_HTTP": "true"}
    with installed("embedded", tmp_path_factory.mktemp("consents"), None, **settings) as installation:
        integrator = new_organization(installation, installation.server().start().url)
        client = provider.client("bridge")
        facts = {
            "name": "Shop",
            "clientId": "bridge",
            "clientSecret": client.secret,
            "authorizeUrl": f"{provider.url}/authorize",
            "tokenUrl": f"{provider.url}/token",
            "hosts": [provider.host],
        }
        made = integrator.ask("POST", "/oauth-applications", facts)["oauthApplication"]
        client.redirect_uris.append(made["redirectUri"])
        yield integrator


@pytest.fixture
def traveller(browser: Browser, provider: OAuthProvider, tmp_path: Path) -> Iterator[Visitor]:
    """A visitor who goes to the provider, too."""
    visitor = visit(browser, provider.url)
    yield visitor
    visitor.context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what browser and server said beside what a failed test says."""
    report = yield
    if report.failed and call.when == "call":
        for value in item.funcargs.values():
            if isinstance(value, Visitor):
                show_windows(report, value, Path(str(item.funcargs["tmp_path"])))
            elif isinstance(value, ServerProcess):
                show_logs(report, value.installation.folder)
    return report


def show_windows(report: pytest.TestReport, visitor: Visitor, folder: Path) -> None:
    """Add what the browser said, and a picture of each window, to the report of a failed test."""
    report.sections.append(("the browser", "\n".join(visitor.complaints)))
    for number, page in enumerate(visitor.context.pages):
        picture = folder / f"window-{number}.png"
        with contextlib.suppress(Error):
            page.screenshot(path=picture)
            report.sections.append((f"window {number}", f"{page.url} {picture}"))
