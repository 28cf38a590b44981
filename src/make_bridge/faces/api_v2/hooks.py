"""Webhooks: make, list, change, switch and delete them, and set what one asks of its callers.

``signature`` and ``dedupe`` are ours, Make has neither; their secrets are written and never read: an answer says how
many there are. The address is a secret itself, since whoever knows it may start the scenario: it is told to those who
may write scenarios. While a webhook learns, each call adds to the structure that ``interface`` shows, in the form that
data structures and the interface of a webhook module have; after a number of calls it has learned enough.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.scenarios.hook_messages import DeleteHook, DescribeHook, EditHook, HookFacts, ListHooks
from make_bridge.domain.scenarios.inbound import DedupeRule
from make_bridge.domain.scenarios.messages import CreateHook
from make_bridge.domain.scenarios.signatures import TIMED, SignatureRule
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import (
    JsonObject,
    Operation,
    access,
    require_confirmation,
    required_team,
    respond,
    row_id,
)
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, Page, narrowed, part_of
from make_bridge.faces.api_v2.parameters import CONFIRMED, IS_ASSIGNED, THE_TEAM, text
from make_bridge.faces.api_v2.scenario_bodies import (
    DedupeBody,
    HookChangesBody,
    HookDataBody,
    NewHookBody,
    SignatureBody,
)
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.kernel.ids import HookId, TeamId

TYPE_NAME: Final = text("typeName", "Those of one type.", longest=64)
HookPath = Annotated[HookId, row_id("webhook")]
_SORTABLE: Final = frozenset({"id", "name", "type", "typeName", "enabled", "scenarioId"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRoutes:
    """The routes of ``/hooks``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read = access("scenarios:read", self.api.bodies.api)
        write = access("scenarios:write", self.api.bodies.api)
        one = "/hooks/{hook_id}"
        return [
            Operation(
                method="GET",
                path="/hooks",
                endpoint=self.list_hooks,
                access=read,
                query=(THE_TEAM, TYPE_NAME, IS_ASSIGNED),
            ),
            Operation(method="GET", path=one, endpoint=self.get_hook, access=read),
            Operation(method="POST", path="/hooks", endpoint=self.create_hook, access=write, body=NewHookBody),
            Operation(method="PATCH", path=one, endpoint=self.update_hook, access=write, body=HookChangesBody),
            Operation(method="DELETE", path=one, endpoint=self.delete_hook, access=write, query=(CONFIRMED,)),
            Operation(method="POST", path=f"{one}/set-data", endpoint=self.set_data, access=write, body=HookDataBody),
            Operation(method="GET", path=f"{one}/ping", endpoint=self.ping_hook, access=read),
            Operation(method="POST", path=f"{one}/enable", endpoint=self.enable_hook, access=write),
            Operation(method="POST", path=f"{one}/disable", endpoint=self.disable_hook, access=write),
            Operation(method="POST", path=f"{one}/learn-start", endpoint=self.start_learning, access=write),
            Operation(method="POST", path=f"{one}/learn-stop", endpoint=self.stop_learning, access=write),
        ]

    async def list_hooks(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List the webhooks of a team."""
        found = await self.api.queries.ask(call.context, ListHooks(team_id=required_team(call)))
        chosen = [self._shape(facts) for facts in found if _is_asked_for(facts, request)]
        shown = part_of(chosen, page, sort_by="name", sortable=_SORTABLE)
        return respond({"hooks": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="name")})

    async def get_hook(self, hook_id: HookPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Show one webhook."""
        found = await self.api.queries.ask(call.context, DescribeHook(hook_id=hook_id))
        return self._show(found, page)

    async def update_hook(self, hook_id: HookPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Set what a webhook asks of its callers; what is absent stays, null takes it away."""
        body = parse_object(call.body, HookChangesBody, max_depth=self.api.json_depth)
        given = body.model_fields_set
        command = EditHook(
            hook_id=hook_id,
            signature=_signature(body.signature) if "signature" in given else msgspec.UNSET,
            dedupe=_dedupe(body.dedupe) if "dedupe" in given else msgspec.UNSET,
            name=msgspec.UNSET if body.name is None else body.name,
        )
        changed = await self.api.commands.execute(call.context, command)
        return self._show(changed, page)

    async def create_hook(self, call: CurrentCall, page: CurrentPage) -> Response:
        """Make a webhook; it takes calls at once, and starts a scenario as soon as one has it."""
        body = parse_object(call.body, NewHookBody, max_depth=self.api.json_depth)
        data = {"headers": False, "method": False, "stringify": False, "learning": True} | _given(body)
        command = CreateHook(team_id=TeamId(body.team_id), name=body.name, type_name=body.type_name, data=data)
        made = await self.api.commands.execute(call.context, command)
        found = await self.api.queries.ask(call.context, DescribeHook(hook_id=made.id))
        return self._show(found, page)

    async def delete_hook(self, hook_id: HookPath, request: Request, call: CurrentCall) -> Response:
        """Delete a webhook that no scenario has."""
        require_confirmation(request)
        await self.api.commands.execute(call.context, DeleteHook(hook_id=hook_id))
        return respond({"hook": hook_id})

    async def set_data(self, hook_id: HookPath, call: CurrentCall) -> Response:
        """Set how a call is presented to the scenario."""
        body = parse_object(call.body, HookDataBody, max_depth=self.api.json_depth)
        before = await self.api.queries.ask(call.context, DescribeHook(hook_id=hook_id))
        after = await self.api.commands.execute(call.context, EditHook(hook_id=hook_id, data=_given(body)))
        return respond({"changed": self._shape(before) != self._shape(after)})

    async def ping_hook(self, hook_id: HookPath, call: CurrentCall) -> Response:
        """Show where a webhook listens and for whom."""
        found = await self.api.queries.ask(call.context, DescribeHook(hook_id=hook_id))
        attached = found.scenario_id is not None
        return respond(
            {"address": self._address(found), "attached": attached, "learning": found.is_learning, "gone": False}
        )

    async def enable_hook(self, hook_id: HookPath, call: CurrentCall) -> Response:
        """Let a webhook take calls."""
        return await self._set(call, EditHook(hook_id=hook_id, enabled=True))

    async def disable_hook(self, hook_id: HookPath, call: CurrentCall) -> Response:
        """Let a webhook take no calls."""
        return await self._set(call, EditHook(hook_id=hook_id, enabled=False))

    async def start_learning(self, hook_id: HookPath, call: CurrentCall) -> Response:
        """Have a webhook learn what its next calls look like, and forget what it had learned."""
        return await self._set(call, EditHook(hook_id=hook_id, data={"learning": True}))

    async def stop_learning(self, hook_id: HookPath, call: CurrentCall) -> Response:
        """Have a webhook learn no more; what it has learned stays."""
        return await self._set(call, EditHook(hook_id=hook_id, data={"learning": False}))

    async def _set(self, call: Call, command: EditHook) -> Response:
        await self.api.commands.execute(call.context, command)
        return respond({"success": True})

    def _address(self, facts: HookFacts) -> str | None:
        return f"{self.api.public_url}/hook/{facts.token}" if facts.token else None

    def _show(self, facts: HookFacts, page: Page) -> Response:
        return respond({"hook": narrowed(self._shape(facts) | {"interface": facts.interface}, page)})

    def _shape(self, facts: HookFacts) -> JsonObject:
        return hook(facts) | {"udid": facts.token or None, "url": self._address(facts)}


def _is_asked_for(facts: HookFacts, request: Request) -> bool:
    """Hold a webhook against the filters of a list."""
    type_name, assigned = request.query_params.get("typeName"), request.query_params.get("assigned")
    if type_name is not None and facts.type_name != type_name:
        return False
    return assigned is None or (facts.scenario_id is not None) == (assigned.lower() in {"true", "1"})


def _given(body: HookDataBody) -> dict[str, bool]:
    asked = {"headers": body.headers, "method": body.method, "stringify": body.stringify}
    return {name: value for name, value in asked.items() if value is not None}


def _signature(body: SignatureBody | None) -> SignatureRule | None:
    return None if body is None else SignatureRule(**body.model_dump(exclude_unset=True))


def _dedupe(body: DedupeBody | None) -> DedupeRule | None:
    return None if body is None else DedupeRule(**body.model_dump(exclude_unset=True))


def hook(facts: HookFacts) -> JsonObject:
    """Return a hook in the API's shape, with our two members."""
    return {
        "id": facts.id,
        "name": facts.name,
        "teamId": facts.team_id,
        "type": "mail" if facts.type_name == "gateway-mailhook" else "web",
        "packageName": None,
        "gone": False,
        "typeName": facts.type_name,
        "scenarioId": facts.scenario_id,
        "enabled": facts.enabled,
        "data": {"headers": facts.headers, "method": facts.method, "stringify": facts.stringify},
        "signature": None if facts.signature is None else _shown(facts.signature, facts.secrets),
        "dedupe": None if facts.dedupe is None else _told(facts.dedupe),
    }


def _shown(rule: SignatureRule, secrets: int) -> JsonObject:
    shown: JsonObject = {"scheme": rule.scheme, "secretCount": secrets}
    if rule.scheme in TIMED:
        shown["toleranceSeconds"] = rule.tolerance_seconds
    if rule.scheme == "hmac":
        shown |= {"header": rule.header, "algorithm": rule.algorithm, "encoding": rule.encoding, "prefix": rule.prefix}
    return shown


def _told(rule: DedupeRule) -> JsonObject:
    place = {"header": rule.header} if rule.header else {"expression": rule.expression}
    return {**place, "windowSeconds": rule.window_seconds}
