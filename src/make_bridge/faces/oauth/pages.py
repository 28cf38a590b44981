"""The pages of a consent: small, made here, closed to everything but their own few lines of script.

What people read in them is text and never markup; who asks for what arrives as JSON and is written as text by the
script. No page holds a ticket, a code, a state or a token.
"""

import html
import secrets
from dataclasses import dataclass
from typing import Final

from starlette.responses import HTMLResponse

_STYLE: Final = """
body{font:1rem/1.5 system-ui,sans-serif;margin:0;color:#1a1a1a;background:#fff}
main{max-width:28rem;margin:12vh auto;padding:0 1.5rem}
h1{font-size:1.25rem}
button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;background:#1f4fd8;color:#fff;cursor:pointer}
button:focus-visible{outline:3px solid #8fb0ff;outline-offset:2px}
@media (prefers-color-scheme:dark){body{color:#eee;background:#111}}
"""
# The ticket stands in the fragment, which is sent to nobody; it leaves the address before anything else is done. A page
# that this server's own wizard has opened goes on by itself: there somebody has just asked for it.
_START: Final = """
const said = document.getElementById("said"), go = document.getElementById("go");
const ticket = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
function isOurs() {
  try { return window.opener !== null && window.opener.location.origin === location.origin; } catch { return false; }
}
async function begin() {
  const answer = await fetch("/oauth/start", {
    method: "POST", headers: { "Content-Type": "application/json" }, cache: "no-store",
    body: JSON.stringify({ ticket }),
  });
  const told = await answer.json();
  if (!answer.ok) { said.textContent = told.detail; return; }
  if (isOurs()) { location.replace(told.address); return; }
  said.textContent = `${told.organization} asks you to connect your account at ${told.application} ` +
    `as “${told.connection}”.`;
  go.hidden = false;
  go.addEventListener("click", () => location.assign(told.address));
  go.focus();
}
begin().catch(() => { said.textContent = "This server could not be reached. Close this window and try again."; });
"""
# What the provider sent is used up, and need not stay in the address.
_CLEAN: Final = """
history.replaceState(null, "", location.pathname);
"""
_DONE: Final = """
try { new BroadcastChannel("make-bridge-oauth").postMessage("connected"); } catch { /* then the page asks by itself */ }
window.close();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    title: str
    body: str
    script: str = ""


def start_page() -> HTMLResponse:
    """Return the page that a ticket opens."""
    body = (
        '<p id="said" role="status">One moment…</p><button id="go" type="button" hidden>Continue</button>'
        "<noscript><p>This page needs JavaScript.</p></noscript>"
    )
    return _answer(_Page(title="Connect an account", body=body, script=_START))


def done_page(connection: str) -> HTMLResponse:
    """Return the page that says that all went well, and closes itself."""
    body = f"<p>“{html.escape(connection)}” is connected. You can close this window.</p>"
    return _answer(_Page(title="Connected", body=body, script=_CLEAN + _DONE))


def failed_page(sentence: str, status: int) -> HTMLResponse:
    """Return the page that says why nothing was connected."""
    body = f'<p role="alert">{html.escape(sentence)}</p>'
    return _answer(_Page(title="Not connected", body=body, script=_CLEAN), status)


def _answer(page: _Page, status: int = 200) -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            f"style-src 'nonce-{nonce}'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    script = f'<script nonce="{nonce}">{page.script}</script>' if page.script else ""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{page.title}</title><style nonce="{nonce}">{_STYLE}</style></head>'
        f"<body><main><h1>{page.title}</h1>{page.body}</main>{script}</body></html>"
    )
    headers = {"content-security-policy": policy, "cache-control": "no-store"}
    return HTMLResponse(text, status_code=status, headers=headers)
