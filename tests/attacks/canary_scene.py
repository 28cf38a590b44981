"""A product with canaries in every place for a secret, and a day's work that uses each of them.

One organization with a scenario for each kind of credential, at a target that quotes whatever it is sent; an account at
an OAuth provider, an endpoint of its own, a person at the console. What is secret about them is added to the sweep when
it is made; the answer that shows it once is looked at by nobody. All other answers are swept as they come.
"""

import base64
import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from acceptance.test_console_sessions import Browser
from acceptance.test_oauth import BLUEPRINT, agree
from attacks.canaries import Sweep
from support.blueprints import blueprint, module, router, webhook, when
from support.embedded import children_of, dsn_of
from support.integrator import Connected, Integrator, new_organization
from support.network import Reply, free_port, send
from support.oauth_server import OAuthProvider
from support.server import Installation, ServerProcess
from support.target import Target
from support.waiting import until

WITHIN = 30.0
_SWITCHED_OFF = 409
# Where the product shows a secret again and again, because whoever may read it there is to use it.
SHOWN_BY = {
    "hook token": (
        "GET /api/v2/hooks",
        r"GET /api/v2/scenarios/\d+/triggers",
        "GET /portal/api/bridge/scenarios",
        "GET /portal/api/bridge/integrations",
        "the wizard",
    ),
    "credential in": ("calls to the shop",),
    "credential of told": ("calls to the shop",),
}
KINDS: dict[str, tuple[str, str, str]] = {
    "header": ("http:ActionSendDataAPIKeyAuth", "auth", "Credentials"),
    "query": ("http:ActionSendDataAPIKeyAuth", "auth", "Credentials"),
    "basic": ("http:ActionSendDataBasicAuth", "key", "Credentials"),
    "bearer": ("http:ActionSendDataOAuth", "account", "Connection"),
    "certificate": ("http:ActionSendDataClientCertAuth", "certificate", "Credentials"),
}


def canary(kind: str) -> str:
    """Make a value that nothing else can be."""
    return f"canary{kind}{secrets.token_hex(12)}"


def values_of(kind: str, secret: str) -> dict[str, str]:
    match kind:
        case "header":
            return {"key": f"Key {secret}", "placement": "header", "name": "X-Api-Key"}
        case "query":
            return {"key": f"{secret}/+%:é", "placement": "query", "name": "api_key"}
        case "basic":
            return {"user": "dana", "password": secret}
        case "bearer":
            return {"accessToken": secret}
        case _:
            pem = "-----BEGIN {0}-----\n{1}\n-----END {0}-----"
            return {
                "certificate": pem.format("CERTIFICATE", "AAAA"),
                "key": pem.format("PRIVATE KEY", secret),
                "ca": "",
            }


def calling(kind: str) -> dict[str, Any]:
    """A scenario that calls where the webhook says, and then answers with what it got or throws it."""
    name, parameter, _ = KINDS[kind]
    sending = {
        "url": "{{1.url}}",
        "method": "post",
        "bodyType": "raw",
        "contentType": "text/plain",
        "data": "{{1.op}}",
        "timeout": "1",
        "followAllRedirects": True,
    }
    throwing = module(
        5, "builtin:ThrowError", {"message": "It said {{4.value}}"}, filter=when("{{1.then}}", "text:equal", "throw")
    )
    answering = {
        "status": "200",
        "body": "{{4.value}}",
        "headers": [{"key": "X-Said", "value": "{{2.cookieHeaders[1]}}"}],
    }
    flow = (
        webhook(),
        module(2, name, sending, parameters={parameter: 99, "handleErrors": True}),
        module(4, "util:ComposeTransformer", {"value": "{{2.data}} {{2.headers[1].value}}"}),
        router(3, [throwing], [module(6, "gateway:WebhookRespond", answering)]),
    )
    made = blueprint(*flow, dlq=True, maxErrors=1000)
    made["flow"][0]["metadata"] = {"interface": [{"name": one, "type": "text"} for one in ("url", "op", "then")]}
    return made | {"name": f"Calls with {kind}"}


@dataclass
class CanaryScene:
    """See the module."""

    installation: Installation
    server: ServerProcess
    integrator: Integrator
    shop: Target
    elsewhere: Target
    ears: Target
    provider: OAuthProvider
    folder: Path
    sweep: Sweep = field(default_factory=lambda: Sweep(shown_by=SHOWN_BY))

    def api(self, method: str, path: str, body: object = None) -> Reply:
        headers = {"Authorization": f"Token {self.integrator.api_token}"}
        return send(method, f"{self.server.url}/api/v2{path}", headers=headers, json_body=body)

    def ask(self, method: str, path: str, body: object = None, *, shows_once: bool = False) -> Any:
        """Ask the operators' API; what shows a secret once is not looked at."""
        reply = self.api(method, path, body)
        assert reply.status in {200, 202}, f"{method} {path}: {reply}"
        if not shows_once:
            self.look(f"{method} /api/v2{path}", reply)
        return reply.json()

    def look(self, place: str, reply: Reply) -> None:
        head = "\n".join(f"{name}: {value}" for name, value in reply.headers.items())
        self.sweep.look(place, head.encode() + b"\n\n" + reply.body)

    def command(self, *arguments: str | Path) -> str:
        done = self.installation.command(*arguments)
        self.sweep.look(f"make-bridge {' '.join(map(str, arguments))}", done.stdout + done.stderr)
        return done.stdout

    def work(self) -> None:
        """Everything."""
        self._add_what_there_is()
        self._call_with_every_credential()
        self._have_an_account()
        self._tell_an_endpoint()
        self._sign_a_hook()
        self._be_refused()
        self._sign_in()
        self._have_reports()
        self._be_handed_credentials()
        self._name_values_and_functions()

    def _add_what_there_is(self) -> None:
        data, sweep = self.installation.data_dir, self.sweep
        root = (data / "root.key").read_text().strip()
        sweep.add("root key", root)
        sweep.add("root key, its bytes", bytes.fromhex(root))
        sweep.add("database password", dsn_of(data).rpartition("password=")[2])
        sweep.add("portal key", self.integrator.secret)
        sweep.add("API token", self.integrator.api_token)
        used = self.integrator.token("dana")
        sweep.add("portal token", used.rpartition(".")[2])
        for _ in range(2):
            self.look("GET integrations", self._with(used))

    def _with(self, token: str) -> Reply:
        headers = {"Authorization": f"Bearer {token}"}
        return send("GET", f"{self.server.url}/portal/api/bridge/integrations", headers=headers)

    def _call_with_every_credential(self) -> None:
        for path in ("/quotes", "/refuses", "/denies", "/fails"):
            self.shop.quoting.add(path)
        self.shop.statuses |= {"/refuses": 400, "/denies": 401, "/fails": 503, "/away": 307}
        self.shop.headers["/away"] = {"Location": f"{self.elsewhere.url}/there"}
        self.elsewhere.quoting.add("/there")
        for kind in KINDS:
            self._call_with(kind)

    def _call_with(self, kind: str) -> None:
        secret = canary(kind)
        self.sweep.add(f"credential in {kind}", secret)
        if kind == "basic":
            self.sweep.add("credential in basic, encoded", base64.b64encode(f"dana:{secret}".encode()))
        connected = self._connect(calling(kind), {KINDS[kind][2]: values_of(kind, secret)}, kind)
        for path, then in (
            ("/quotes", ""),
            ("/quotes", "throw"),
            ("/refuses", ""),
            ("/denies", ""),
            ("/fails", ""),
            ("/away", ""),
        ):
            self._run(connected, f"{self.shop.url}{path}", then, kind)
        hold = self.shop.hold()
        self._run(connected, f"{self.shop.url}/late", "", kind)
        hold.release()
        self._run(connected, f"http://127.0.0.1:{free_port()}/", "", kind)
        if kind != "certificate":
            until(lambda: self._was_sent(secret), f"{kind} was really sent", within=WITHIN)

    def _was_sent(self, secret: str) -> bool:
        encoded = base64.b64encode(f"dana:{secret}".encode()).decode()
        sent = [str(call.headers) + str(call.query) for call in self.shop.calls]
        return any(secret in one or encoded in one for one in sent)

    def _connect(self, made: dict[str, Any], answers: Mapping[str, object], name: str) -> Connected:
        """Walk the wizard with a canary for its secret."""
        customer = self.integrator.customer(f"{name}@acme.example")
        version_id = self.integrator.publish(made)
        options = {"autoActivate": True, "scenario": {"name": made["name"], "enable": True}}
        wizard = customer.begin(version_id, **options)
        self.sweep.add(f"flow secret of {name}", wizard.secret)
        state = wizard.walk(answers)
        self.look("the wizard", wizard.call("GET"))
        connected = Connected(portal=customer, id=state["scenario"]["id"], hook_url=wizard.hook_url)
        token = connected.hook_url.rpartition("/")[2]
        self.sweep.add(f"hook token of {name}", token)
        return connected

    def _run(self, connected: Connected, url: str, then: str, kind: str) -> None:
        reply = self._called(connected, url, then, kind)
        if reply.status == _SWITCHED_OFF:
            connected.portal.post(f"/scenarios/{connected.id}/activate")
            reply = self._called(connected, url, then, kind)
        execution_id = reply.headers["x-execution-id"]
        until(lambda: connected.log(execution_id)["status"], f"{kind} at {url} has ended", within=WITHIN)

    def _called(self, connected: Connected, url: str, then: str, kind: str) -> Reply:
        reply = connected.call_hook({"url": url, "op": f"{kind} {url}", "then": then})
        self.look(f"POST /hook of {kind}, {url.rpartition('/')[2]} {then}", reply)
        return reply

    def _have_an_account(self) -> None:
        client = self.provider.client("bridge")
        client.secret = canary("client")
        self.sweep.add("client secret", client.secret)
        self.provider.faults["/quote"] = _quote
        facts = {
            "name": "Shop",
            "clientId": "bridge",
            "clientSecret": client.secret,
            "authorizeUrl": f"{self.provider.url}/authorize",
            "tokenUrl": f"{self.provider.url}/token",
            "revokeUrl": f"{self.provider.url}/revoke",
            "issuer": self.provider.url,
            "sendsIssuer": True,
            "scopes": ["orders"],
            "hosts": [self.provider.host],
        }
        application = self.ask("POST", "/oauth-applications", facts)["oauthApplication"]
        client.redirect_uris.append(application["redirectUri"])
        body = {"teamId": self.integrator.team_id, "applicationId": application["id"], "name": "My shop"}
        made = self.ask("POST", "/oauth-connections", body)["oauthConnection"]
        begun = self.ask("POST", f"/oauth-connections/{made['id']}/authorize", shows_once=True)
        self.sweep.add("ticket of a consent", begun["startUrl"].rpartition("#")[2])
        page, query = agree(self.server, begun["startUrl"])
        assert page.status == 200, page
        self.look("GET /oauth/callback", page)
        for name in ("code", "state"):
            self.sweep.add(f"{name} of a consent", query[name][0])
        self._use_the_account(made["id"])

    def _use_the_account(self, connection_id: int) -> None:
        customer = self.integrator.administrator()
        made: dict[str, Any] = dict(BLUEPRINT)
        flow: list[dict[str, Any]] = json.loads(json.dumps(BLUEPRINT["flow"]))
        flow[1] |= {"parameters": {"account": connection_id, "handleErrors": True}}
        flow[1] |= {"mapper": flow[1]["mapper"] | {"url": f"{self.provider.url}/quote", "parseResponse": False}}
        flow[2] |= {"mapper": {"status": "201", "body": "{{2.data}}", "headers": []}}
        made |= {"flow": flow}
        scenario = customer.post("/scenarios", {"blueprint": made})
        scenario_id = scenario["scenario"]["id"]
        customer.post(f"/scenarios/{scenario_id}/activate")
        hook = scenario["hookUrl"]

        def is_called() -> bool:
            reply = send("POST", hook, json_body={})
            self.look("POST /hook of an account", reply)
            return reply.status == 201

        until(is_called, "the account is used", within=WITHIN)
        # It is renewed once, then refused by a provider that quotes what it was asked.
        self.provider.faults["/quote"] = _deny
        self.look("POST /hook of an account", send("POST", hook, json_body={}))
        self.provider.faults["/token"] = _refuse
        customer.call("POST", f"/scenarios/{scenario_id}/activate")
        self.look("POST /hook of an account", send("POST", hook, json_body={}))
        for number, issued in enumerate(self.provider.issued):
            self.sweep.add(f"access token {number}", issued.access)
            if issued.refresh is not None:
                self.sweep.add(f"refresh token {number}", issued.refresh)
        assert len(self.provider.issued) > 1

        def lost() -> bool:
            found = self.ask("GET", f"/oauth-connections/{connection_id}")["oauthConnection"]
            return bool(found["state"] == "needs_consent")

        until(lost, "the connection needs consent", within=WITHIN)

    def _tell_an_endpoint(self) -> None:
        """Late in the day: it is told of what fails from now on."""
        self.ears.quoting.add("/events")
        wanted = {"url": f"{self.ears.url}/events", "events": ["execution.*", "scenario.*"]}
        endpoint = self.ask("POST", "/webhook-endpoints", wanted, shows_once=True)["webhookEndpoint"]
        secret = endpoint["secret"].removeprefix("whsec_")
        self.sweep.add("endpoint's secret", secret)
        self.sweep.add("endpoint's secret, its bytes", base64.b64decode(secret))
        self._call_with_again("told")

    def _call_with_again(self, name: str) -> None:
        secret = canary(name)
        self.sweep.add(f"credential of {name}", secret)
        connected = self._connect(calling("header"), {"Credentials": values_of("header", secret)}, name)
        self._run(connected, f"{self.shop.url}/quotes", "throw", name)
        self._run(connected, f"{self.shop.url}/refuses", "", name)
        until(lambda: self.ears.calls_to("/events"), "the endpoint is told", within=WITHIN)

    def _sign_a_hook(self) -> None:
        connected = self._connect(calling("header"), {"Credentials": values_of("header", canary("signed"))}, "signed")
        hooks = self.ask("GET", f"/hooks?teamId={self._team_of(connected)}")["hooks"]
        [hook_id] = [hook["id"] for hook in hooks if hook["scenarioId"] == connected.id]
        secret = canary("signing")
        self.sweep.add("secret of a hook's senders", secret)
        self.ask("PATCH", f"/hooks/{hook_id}", {"signature": {"scheme": "stripe", "secrets": [secret]}})

        def is_refused() -> bool:
            reply = connected.call_hook({"url": self.shop.url}, headers={"Stripe-Signature": f"t=1,v1={secret}"})
            self.look("POST /hook, signed wrongly", reply)
            return reply.status == 401

        until(is_refused, "the hook is signed", within=WITHIN)

    def _team_of(self, connected: Connected) -> int:
        found = self.integrator.administrator().get("/customers")["customers"]
        return int(
            next(one["teamId"] for one in found if one.get("externalId", one.get("sub")) == connected.portal.sub)
        )

    def _be_refused(self) -> None:
        """Secrets where they do not belong, or a little wrong."""
        integrator, wrong = self.integrator, canary("wrong")
        self.sweep.add("credential that is refused", wrong)
        for method, path, headers in (
            ("GET", "/portal/api/bridge/integrations", {"Authorization": f"Bearer {integrator.api_token}"}),
            (
                "GET",
                f"/portal/api/bridge/integrations?token={wrong}",
                {"Authorization": f"Bearer {wrong}.{wrong}.{wrong}"},
            ),
            ("GET", "/api/v2/hooks", {"Authorization": f"Token {wrong}"}),
            ("GET", f"/api/v2/hooks?teamId={wrong}", {"Authorization": f"Token {integrator.api_token}"}),
            ("GET", "/flow-api/none", {"Flow-Secret": wrong, "Cookie": f"session={wrong}"}),
            ("POST", f"/hook/{wrong}", {"Authorization": f"Basic {base64.b64encode(wrong.encode()).decode()}"}),
            ("GET", f"/oauth/callback/1?code={wrong}&state={wrong}", {}),
            ("POST", "/console/api/sign-in", {"Origin": self.server.url}),
        ):
            body = {"email": "nobody@acme.example", "password": wrong} if method == "POST" else None
            reply = send(method, self.server.url + path, headers=headers, json_body=body)
            assert 400 <= reply.status < 500, reply
            self.look(f"{method} {path.partition('?')[0]}, refused", reply)

    def _sign_in(self) -> None:
        password, file = canary("password"), self.folder / "password"
        self.sweep.add("password", password)
        file.write_text(password + "\n")
        organization = str(self.integrator.organization_id)
        self.command(
            "user",
            "create",
            "dana@acme.example",
            "--organization",
            organization,
            "--role",
            "owner",
            "--password-file",
            file,
        )
        browser = Browser(self.server.url)
        assert browser.sign_in("dana@acme.example", password).status == 200
        assert browser.cookie is not None
        self.sweep.add("session", browser.cookie)
        self.look("GET /console/api/sessions", browser.send("GET", "/sessions"))

    def _have_reports(self) -> None:
        today = time.strftime("%Y-%m-%d", time.gmtime())
        for kind in ("usage", "executions"):
            asked = self.api("POST", "/reports", {"kind": kind, "from": today, "to": today})
            assert asked.status == 202, asked
            self.look("POST /api/v2/reports", asked)
            path = asked.headers["location"].removeprefix("/api/v2")
            done = lambda path=path: self.ask("GET", path)["report"]["state"] == "completed"  # noqa: E731
            until(done, "the report is finished", within=WITHIN)
            self.look(f"report of {kind}", self.api("GET", f"{path}/content"))

    def _be_handed_credentials(self) -> None:
        """Somebody with a link fills in a key, and leaves another open that was prefilled."""
        keys = [{"type": "apikeyauth"}, {"type": "apikeyauth", "prefill": {"hard": {"key": canary("prefilled")}}}]
        self.sweep.add("prefilled credential", keys[1]["prefill"]["hard"]["key"])  # type: ignore[index]
        body = {"teamId": self.integrator.team_id, "keys": keys}
        made = self.ask("POST", "/credential-requests/actions/create-by-credentials", body, shows_once=True)
        page, _, secret = made["publicUri"].partition("#")
        self.sweep.add("secret of a credential request's link", secret)
        handed = canary("handed")
        self.sweep.add("credential that was handed over", handed)
        address, holder = page.replace("/hand-over/", "/hand-over-api/"), {"Flow-Secret": secret}
        self.look("GET of a credential request", send("GET", address, headers=holder))
        reply = send(
            "POST",
            f"{address}/credentials/{made['credentials'][0]['id']}",
            headers=holder,
            json_body={"values": {"key": handed, "placement": "header", "name": "X-Api-Key"}},
        )
        assert reply.status == 200, reply
        self.look("POST to a credential request", reply)

    def _name_values_and_functions(self) -> None:
        """Nothing of them is a secret; what is read back of them is looked at all the same."""
        team, value = self.integrator.team_id, {"name": "place", "typeId": 2, "value": "Vienna"}
        self.ask("POST", f"/organizations/{self.integrator.organization_id}/variables", value)
        self.ask("POST", f"/teams/{team}/variables", value)
        code = {"name": "shout", "description": "", "code": "function shout(text) { return text + '!'; }"}
        self.ask("POST", f"/functions?teamId={team}", code)


async def _quote(request: web.Request) -> web.StreamResponse:
    return web.json_response({"sub": "dana", "headers": dict(request.headers)})


async def _deny(request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": dict(request.headers)}, status=401)


async def _refuse(request: web.Request) -> web.StreamResponse:
    said = f"{(await request.read()).decode()} {request.headers.get('Authorization', '')}"
    return web.json_response({"error": "invalid_grant", "error_description": said, "error_uri": said}, status=400)


class ProcessWatch:
    """Looks again and again at arguments and environment of every process below this one, while something is done."""

    def __init__(self, of: int) -> None:
        self.seen: dict[str, bytes] = {}
        self._of = of
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="process watch", daemon=True)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self._look_below(self._of)

    def _look_below(self, parent: int) -> None:
        for pid in children_of(parent):
            for fact in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    content = Path(f"/proc/{pid}/{fact}").read_bytes()
                    self.seen[f"{fact} of {content[:80]!r} {pid}"] = content
            self._look_below(pid)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join(10)


def make_scene(
    installation: Installation, targets: Callable[[], Target], provider: OAuthProvider, folder: Path
) -> CanaryScene:
    """Serve it."""
    server = installation.server().start()
    return CanaryScene(
        installation=installation,
        server=server,
        integrator=new_organization(installation, server.url),
        shop=targets(),
        elsewhere=targets(),
        ears=targets(),
        provider=provider,
        folder=folder,
    )
