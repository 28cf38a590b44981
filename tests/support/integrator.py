"""An integrator's side of the Bridge API: tokens as the official sample signs them, calls, the wizard over HTTP.

Written from the wire, not from the product: it shares no code with it, so that a mistake cannot stand on both sides.
"""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.network import Reply, send
from support.server import Installation

API = "/portal/api/bridge"
LIFETIME_SECONDS = 120
_MAX_STEPS = 50
JsonObject = dict[str, Any]


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: Mapping[str, object], claims: Mapping[str, object], secret: str) -> str:
    """Put a token together: HS256 over whatever the header and the claims say."""
    parts = [_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)]
    signature = hmac.new(secret.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _base64url(signature)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrator:
    """An organization with its secret, at one server."""

    url: str
    organization_id: int
    team_id: int
    key_id: str
    secret: str = field(repr=False)
    api_token: str = field(repr=False)

    def token(self, sub: str, **changes: object) -> str:
        """Sign a fresh token as the official sample does; `changes` replace claims, None takes one out."""
        now = int(time.time())
        claims: JsonObject = {"sub": sub, "jti": str(uuid.uuid4()), "iat": now, "exp": now + LIFETIME_SECONDS}
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        return signed({"alg": "HS256", "typ": "JWT", "kid": self.key_id}, claims, self.secret)

    def customer(self, sub: str | None = None) -> "Portal":
        """Act for a customer, by default for one nobody has met before."""
        return Portal(integrator=self, sub=sub or f"customer-{uuid.uuid4()}")

    def administrator(self) -> "Portal":
        return Portal(integrator=self, sub="*")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask the Make API for something that is allowed, with the organization's token."""
        headers = {"Authorization": f"Token {self.api_token}"}
        return _good(method, path, send(method, f"{self.url}/api/v2{path}", headers=headers, json_body=body))

    def publish(self, blueprint: JsonObject) -> int:
        """Make a template of a blueprint, publish it, and return what `init` takes."""
        administrator = self.administrator()
        template_id = administrator.post("/templates", {"blueprint": blueprint})["id"]
        version_id: int = administrator.post(f"/templates/{template_id}/publish")["publicVersionId"]
        return version_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """The portal for one `sub`, with a fresh token for every call."""

    integrator: Integrator
    sub: str

    def call(self, method: str, path: str, **options: Any) -> Reply:
        """Send one request below `/portal/api/bridge`; the options are those of `send`."""
        headers = {"Authorization": f"Bearer {self.integrator.token(self.sub)}", **options.pop("headers", {})}
        return send(method, self.integrator.url + API + path, headers=headers, **options)

    def get(self, path: str) -> Any:
        """Read something that is there."""
        return _good("GET", path, self.call("GET", path))

    def post(self, path: str, json_body: object = None) -> Any:
        """Do something that is allowed."""
        return _good("POST", path, self.call("POST", path, json_body=json_body))

    def delete(self, path: str) -> Any:
        return _good("DELETE", path, self.call("DELETE", path))

    def begin(self, version_id: int, **options: Any) -> "Wizard":
        """Start a flow and return its wizard."""
        return Wizard.at(self.post(f"/integrations/init/{version_id}", options or None)["publicUrl"])

    def connect(self, version_id: int, answers: Mapping[str, object], **options: Any) -> "Connected":
        """Walk the wizard to its end and return the scenario it made."""
        wizard = self.begin(version_id, **options)
        state = wizard.walk(answers)
        return Connected(portal=self, id=state["scenario"]["id"], hook_url=wizard.hook_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A customer's scenario with the address of its webhook."""

    portal: Portal
    id: int
    hook_url: str

    def logs(self) -> list[JsonObject]:
        logs: list[JsonObject] = self.portal.get(f"/scenarios/{self.id}/logs")
        return logs

    def log(self, execution_id: str) -> JsonObject:
        log: JsonObject = self.portal.get(f"/scenarios/{self.id}/logs/{execution_id}")
        return log

    def call_hook(self, json_body: object = None, **options: Any) -> Reply:
        return send("POST", self.hook_url, json_body=json_body, **options)


class Wizard:
    """The calls that the wizard's page makes, made without the page."""

    def __init__(self, url: str, flow_id: str, secret: str) -> None:
        self.url = url
        self.flow_id = flow_id
        self.secret = secret
        self.hook_url = ""

    @classmethod
    def at(cls, public_url: str) -> "Wizard":
        """Open a `publicUrl`; the secret is what stands behind the `#`."""
        page, _, secret = public_url.partition("#")
        zone, _, flow_id = page.partition("/flow/")
        return cls(zone, flow_id, secret)

    def call(self, method: str, path: str = "", json_body: object = None, **headers: str) -> Reply:
        given = {"Flow-Secret": self.secret} | headers
        return send(method, f"{self.url}/flow-api/{self.flow_id}{path}", headers=given, json_body=json_body)

    def state(self) -> JsonObject:
        return self._shown(self.call("GET"))

    def start(self) -> JsonObject:
        return self._shown(self.call("POST", "/start"))

    def save(self, step_id: str, values: Mapping[str, object]) -> JsonObject:
        return self._shown(self.call("POST", f"/steps/{step_id}", {"values": dict(values)}))

    def create(self, step_id: str, uuid_: str, name: str, values: Mapping[str, object]) -> int:
        """Make a connection or a key and return its id."""
        body = {"uuid": uuid_, "name": name, "values": dict(values)}
        made: int = _good("POST", "components", self.call("POST", f"/steps/{step_id}/components", body))["id"]
        return made

    def finalize(self) -> JsonObject:
        return self._shown(self.call("POST", "/finalize"))

    def walk(self, answers: Mapping[str, object]) -> JsonObject:
        """Go from wherever the flow is to its end.

        `answers` are by the field's label or name; for a connection or key they are the values to make one of.
        A field without an answer keeps the value it shows.
        """
        state = self.state()
        for _ in range(_MAX_STEPS):
            match state["phase"]:
                case "intro":
                    state = self.start()
                case "step":
                    step = next(step for step in state["steps"] if step["id"] == state["currentStep"])
                    state = self.save(step["id"], dict(self._answered(step, answers)))
                case "check":
                    state = self.finalize()
                case _:
                    return state
        raise AssertionError(f"the wizard comes to no end: {state}")

    def _answered(self, step: JsonObject, answers: Mapping[str, object]) -> Iterable[tuple[str, object]]:
        for asked in step["fields"]:
            given = answers.get(asked["label"], answers.get(asked["name"]))
            component = asked["component"]
            if component is not None and component["kind"] == "hook":
                continue
            if component is not None and isinstance(given, Mapping):
                yield asked["uuid"], self.create(step["id"], asked["uuid"], component["label"], given)
            else:
                yield asked["uuid"], asked["value"] if given is None else given

    def _shown(self, reply: Reply) -> JsonObject:
        state: JsonObject = _good("flow", self.flow_id, reply)
        for step in state["steps"]:
            for asked in step["fields"]:
                if asked["component"] and asked["component"]["hookUrl"]:
                    self.hook_url = asked["component"]["hookUrl"]
        return state


def _good(method: str, path: str, reply: Reply) -> Any:
    assert reply.status == 200, f"{method} {path}: {reply}"
    return reply.json()


def new_organization(
    installation: Installation, url: str, name: str = "Acme CRM", *, origin: str = "http://127.0.0.1:3000"
) -> Integrator:
    """Make an organization with the command, beside the server at `url`."""
    made = installation.ask("org", "create", name, "--origin", origin)
    return Integrator(
        url=url,
        organization_id=made["organizationId"],
        team_id=made["teamId"],
        key_id=made["keyId"],
        secret=made["secret"],
        api_token=made["apiToken"],
    )


def import_template(installation: Installation, organization_id: int, file: Path) -> int:
    """Import a blueprint with the command, publish it, and return what `init` takes."""
    organization = ("--organization", str(organization_id))
    imported = installation.ask("template", "import", file, *organization)
    published = installation.ask("template", "publish", str(imported["templateId"]), *organization)
    version_id: int = published["versionId"]
    return version_id
