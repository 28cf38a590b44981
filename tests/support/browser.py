"""Chromium as customers have it, and a person in it: what their pages asked for and what the browser complained of.

Playwright's defaults make a browser that is kinder than a customer's: pop-ups are never blocked and storage is not
partitioned by site. Both are taken back here, and cookies of third parties are blocked, because an embedded wizard
has to work there.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Frame, Locator, Page, Playwright, Request

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--no-first-run",
    "--test-third-party-cookie-phaseout",
)
# Playwright names features to disable in one flag; of two such flags the last one counts. Here is what its list is
# good for, without ThirdPartyStoragePartitioning.
_DISABLED = "HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,MediaRouter,OptimizationHints,PaintHolding,Translate"
PATIENCE = 15_000
_INNER = frozenset({"data", "blob"})
_TOLD = frozenset({"error", "warning"})
# A refusal by the page's policy is an event; as a line of the console it is collected with everything else.
_TELL_REFUSALS = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.effectiveDirective} refused ${event.blockedURI} ${event.sample}`);
});
"""
_AXE_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
_AXE_RUN = """
async (rules) => {
  const options = {
    iframes: false,
    runOnly: { type: "tag", values: rules },
    rules: { "target-size": { enabled: true } },
  };
  const { violations } = await window.axe.run(document, options);
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.flat().join(" ")}: ${failureSummary}`));
}
"""


def launch(playwright: Playwright, program: Path, *, partitioned: bool = True) -> Browser:
    """Start Chromium; where storage is not `partitioned`, a frame of another site gets none at all."""
    disabled = _DISABLED if partitioned else f"{_DISABLED},ThirdPartyStoragePartitioning"
    return playwright.chromium.launch(
        executable_path=program,
        args=[*FLAGS, f"--disable-features={disabled}"],
        ignore_default_args=["--disable-popup-blocking"],
    )


class Visitor:
    """A person with a fresh browser profile, who is to meet the origins they open, these, and no other.

    What all their windows and frames ask for and say is collected from the beginning.
    """

    def __init__(self, context: BrowserContext, origins: tuple[str, ...]) -> None:
        self.context = context
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        self._origins = set(origins)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(_TELL_REFUSALS)
        context.on("request", self._ask)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))

    def open(self, url: str) -> Page:
        """Open a page in a new tab."""
        self._origins.add(_origin(url))
        page = self.context.new_page()
        page.goto(url)
        return page

    def expect_complaint(self, words: str) -> None:
        """Wait until the browser complained in these words, and forget that it did."""
        if not any(words in said for said in self.complaints):
            self.context.wait_for_event("console", lambda message: words in message.text)
        self.complaints[:] = [said for said in self.complaints if words not in said]

    def _ask(self, request: Request) -> None:
        self.requests.append(request)
        if urlsplit(request.url).scheme not in _INNER and _origin(request.url) not in self._origins:
            self.complaints.append(f"a request to another host: {request.url}")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in _TOLD:
            self.complaints.append(f"{message.type}: {message.text} ({message.location['url']})")


def _origin(url: str) -> str:
    address = urlsplit(url)
    return f"{address.scheme}://{address.netloc}"


def visit(browser: Browser, *origins: str, width: int = 1280, height: int = 800, dark: bool = False) -> Visitor:
    """Let a person in."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        locale="en-GB",
    )
    return Visitor(context, origins)


def window_opened_by(page: Page, act: Callable[[], None]) -> Page:
    """Do something that opens a window, and return the window."""
    with page.expect_popup() as opened:
        act()
    return opened.value


def press(page: Page, name: str) -> None:
    """Press the button of this name."""
    page.get_by_role("button", name=name, exact=True).click()


def heading(page: Page, name: str) -> Locator:
    """The heading that says which page this is."""
    return page.get_by_role("heading", name=name, exact=True, level=1)


def broken_rules(page: Page | Frame, axe: Path) -> list[str]:
    """Run axe over a page as it stands and return where it breaks WCAG 2.2 AA."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe.read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(_AXE_RUN, list(_AXE_RULES))
    return found


def overflow(page: Page) -> int:
    """Return by how many pixels a page can be scrolled sideways."""
    pixels: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return pixels
