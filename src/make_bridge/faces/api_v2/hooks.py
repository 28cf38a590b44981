"""Webhooks: list them, show one, set what it asks of its callers (``signature``, ``dedupe``: ours, Make has neither).

Secrets are written and never read: an answer says how many there are. The address is not told here; it is a secret
itself.
"""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from starlette.responses import Response

from make_bridge.domain.scenarios.hook_messages import DescribeHook, EditHook, HookFacts, ListHooks
from make_bridge.domain.scenarios.inbound import DedupeRule
from make_bridge.domain.scenarios.signatures import TIMED, SignatureRule
from make_bridge.faces.api_v2.bodies import DedupeBody, HookChangesBody, SignatureBody
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import JsonObject, Operation, access, required_team, respond, row_id
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, narrowed, part_of
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.kernel.ids import HookId

HookPath = Annotated[HookId, row_id("webhook")]


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
            Operation(method="GET", path="/hooks", endpoint=self.list_hooks, access=read),
            Operation(method="GET", path=one, endpoint=self.get_hook, access=read),
            Operation(method="PATCH", path=one, endpoint=self.update_hook, access=write, body=HookChangesBody),
        ]

    async def list_hooks(self, call: CurrentCall, page: CurrentPage) -> Response:
        """List the webhooks of a team."""
        found = await self.api.queries.ask(call.context, ListHooks(team_id=required_team(call)))
        shown = part_of([hook(facts) for facts in found], page, sort_by="name")
        return respond({"hooks": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="name")})

    async def get_hook(self, hook_id: HookPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Show one webhook."""
        found = await self.api.queries.ask(call.context, DescribeHook(hook_id=hook_id))
        return respond({"hook": narrowed(hook(found), page)})

    async def update_hook(self, hook_id: HookPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Set what a webhook asks of its callers; what is absent stays, null takes it away."""
        body = parse_object(call.body, HookChangesBody, max_depth=self.api.json_depth)
        given = body.model_fields_set
        command = EditHook(
            hook_id=hook_id,
            signature=_signature(body.signature) if "signature" in given else msgspec.UNSET,
            dedupe=_dedupe(body.dedupe) if "dedupe" in given else msgspec.UNSET,
        )
        changed = await self.api.commands.execute(call.context, command)
        return respond({"hook": narrowed(hook(changed), page)})


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
        "type": "web",
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
