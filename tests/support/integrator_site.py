"""An integrator's own product in a browser: one page with the widget, and the proxy that signs for its customer.

It is served as `http://localhost:…` while the bridge is `http://127.0.0.1:…`: two hosts, therefore two sites, so the
browser treats the wizard as a third party. The page's policy is as strict as one can be written; only the bridge may
give it a script and be framed, and it connects to nobody but its own proxy.
"""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from string import Template

from support.integrator import Integrator
from support.network import Reply, send
from support.server import Installation

_PROXY = "/proxy/"
_ICON = "/favicon.ico"
_POLICY = Template(
    "default-src 'none'; script-src $bridge; connect-src 'self'; frame-src $bridge; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_PAGE = Template(
    """<!doctype html>
<html lang="en">
  <head>
    <title>My product</title>
    <script type="module" src="$bridge/portal/static/js/portal-integrations.js"></script>
  </head>
  <body>
    <h1>My product</h1>
    <portal-integrations urlOrPrefix="/proxy" mode="$mode"></portal-integrations>
  </body>
</html>
"""
)


class IntegratorSite:
    """See the module; every page shows the same signed-in customer, who has a name of their own."""

    def __init__(self, integrator: Integrator, port: int, customer: str) -> None:
        self.origin = f"http://localhost:{port}"
        self._port = port
        self._integrator = integrator
        self._customer = customer

    def page(self, mode: str) -> str:
        """Return the address of the page with the widget in this mode."""
        return f"{self.origin}/{mode}"

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serve on a thread until the end of the block."""
        server = _Server(("127.0.0.1", self._port), _handler(self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, method: str, path: str, content_type: str | None, body: bytes | None) -> Reply:
        """Answer as the integrator's backend: the proxy, or the page."""
        if path == _ICON:
            return Reply(status=204, headers={}, body=b"")
        bridge = self._integrator.url
        if not path.startswith(_PROXY):
            page = _PAGE.substitute(bridge=bridge, mode=path.strip("/"))
            headers = {"content-type": "text/html", "content-security-policy": _POLICY.substitute(bridge=bridge)}
            return Reply(status=200, headers=headers, body=page.encode())
        headers = {"Authorization": f"Bearer {self._integrator.token(self._customer)}"}
        if content_type:
            headers["Content-Type"] = content_type
        answer = send(method, f"{bridge}/portal/{path.removeprefix(_PROXY)}", headers=headers, body=body)
        return Reply(
            status=answer.status, headers={"content-type": answer.headers.get("content-type", "")}, body=answer.body
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a browser that closes a tab hangs up in the middle of its answers."""


def _handler(site: IntegratorSite) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length) if length else None
            answer = site.answer(self.command, self.path, self.headers.get("content-type"), body)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - the names that the library calls

        def log_message(self, *_: object) -> None:
            """Say nothing; the browser is the one that is asked."""

    return Handler


def organization_at(installation: Installation, bridge: str, origin: str) -> Integrator:
    """Make an organization whose pages are at this origin."""
    made = installation.ask("org", "create", "My product", "--origin", origin)
    return Integrator(
        url=bridge,
        organization_id=made["organizationId"],
        team_id=made["teamId"],
        key_id=made["keyId"],
        secret=made["secret"],
        api_token=made["apiToken"],
    )
