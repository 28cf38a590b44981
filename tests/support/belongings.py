"""One of each kind of thing that an organization, or one of its customers, may have: made when it is asked for.

What an API makes is made over it; what only runs leave is written as runs write it. ``KINDS`` says which parameters and
members of bodies name a thing of which kind: whoever adds a route adds what is missing here, or the suite fails.
"""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from make_bridge.domain.executions.dead_letter_replays import REPLAY
from make_bridge.domain.executions.model import Status
from make_bridge.kernel.ids import OrganizationId, ScenarioId, TeamId
from make_bridge.platform.queue.jobs import NewJob
from support.blueprints import blueprint, call, webhook
from support.bridge import API, PORTAL, Party
from support.endings import Place, parked

# By the names of parameters and members: the kind of thing that is named.
KINDS: Final[Mapping[str, str]] = {
    "application_id": "application",
    "applicationId": "application",
    "batch_id": "batch",
    "batchId": "batch",
    "connection_id": "connection",
    "connectionId": "connection",
    "credential_id": "requested_credential",
    "credential_request_id": "credential_request",
    "customer_id": "customer",
    "data_store_id": "data_store",
    "data_structure_id": "data_structure",
    "datastructureId": "data_structure",
    "endpoint_id": "endpoint",
    "exceptIds": "record",
    "execution_id": "execution",
    "executionIds": "execution",
    "flow_id": "flow",
    "folder_id": "folder",
    "folderId": "folder",
    "function_id": "function",
    "hook_id": "hook",
    "ids": "record",
    "instanceable_id": "version",
    "job_id": "job",
    "key_id": "key",
    "letter_id": "letter",
    "message_id": "message",
    "organization_id": "organization",
    "organizationId": "organization",
    "parentId": "folder",
    "parked_id": "parked",
    "record_id": "record",
    "report_id": "report",
    "scenario_id": "scenario",
    "scenarioId": "scenario",
    "stored_key_id": "stored_key",
    "targetTeamId": "team",
    "team_id": "team",
    "teamId": "team",
    "template_id": "template",
    "template_url": "public_template",
    "templateId": "version",
    "token_id": "token",
}
LISTS: Final = frozenset({"ids", "exceptIds", "executionIds"})
# Names that a caller chooses, within something that has an id of its own, and numbers that are the same for everybody.
NO_IDS: Final = frozenset(
    {
        "key",
        "blueprintId",
        "clientId",
        "externalId",
        "makeProviderId",
        "role_id",
        "roleId",
        "timezoneId",
        "typeId",
        "userId",
        "app_name",
        "app_version",
        "variable_name",
    }
)
# What stands for such a name in a path; else it is "one".
NAMED: Final[Mapping[str, str]] = {"app_name": "http", "app_version": "3", "role_id": "1"}
LOOKS_LIKE_AN_ID: Final = re.compile(r"(?:^|_)ids?$|[a-z]Ids?$")
# Bundles of the tests are parked at module 3.
BLUEPRINT: Final = blueprint(
    webhook(),
    call(2, "post", "https://shop.example/first", "{}"),
    call(3, "post", "https://shop.example/second", "{}"),
    dlq=True,
)
_DAY: Final = datetime.now(UTC).date().isoformat()
APPLICATION: Final = {
    "name": "Shop",
    "clientId": "bridge",
    "clientSecret": "s3cret-of-the-shop",
    "authorizeUrl": "https://shop.example/authorize",
    "tokenUrl": "https://shop.example/token",
    "hosts": ["api.shop.example"],
}
REPORT: Final = {"kind": "usage", "from": _DAY, "to": _DAY}
# What a request with a body says at least, without the ids that may stand in it; by the operation's name.
BODIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "initFlow": {},
    "editIntegration": {},
    "runIntegration": {"data": {}},
    "createScenario": {"blueprint": BLUEPRINT},
    "editScenario": {"name": "New"},
    "runScenario": {"data": {}},
    "saveBlueprint": {"blueprint": BLUEPRINT},
    "cloneScenario": {},
    "createCustomer": {"name": "New", "externalId": "somebody-new"},
    "changeCustomer": {"operationsLimit": 7},
    "createTemplate": {"blueprint": BLUEPRINT},
    "editTemplate": {"name": "New"},
    "replaceTemplate": {"name": "New"},
    "v2CreateTemplate": {"blueprint": BLUEPRINT},
    "v2UpdateTemplate": {"name": "New"},
    "v2UpdateOrganization": {"name": "New"},
    "v2CreateTeam": {"name": "New"},
    "v2CreateScenario": {"blueprint": BLUEPRINT},
    "v2UpdateScenario": {"name": "New"},
    "v2CloneScenario": {"name": "Copy"},
    "v2CreateFolder": {"name": "New"},
    "v2CreateOrganizationVariable": {"name": "new", "typeId": 2, "value": "v"},
    "v2ChangeOrganizationVariable": {"value": "v"},
    "v2CreateTeamVariable": {"name": "new", "typeId": 2, "value": "v"},
    "v2ChangeTeamVariable": {"value": "v"},
    "v2UpdateFolder": {"name": "New"},
    "v2RunScenario": {"data": {}},
    "v2ReplayExecution": {},
    "v2SetInterface": {"interface": {"input": [], "output": []}},
    "v2CreateConnection": {"accountName": "New", "accountType": "oauth2", "accessToken": "t0ken-of-the-shop"},
    "v2RenameConnection": {"name": "New"},
    "v2SetConnectionData": {"accessToken": "another-t0ken"},
    "v2CreateKey": {"name": "New", "typeName": "apikeyauth", "parameters": {"key": "s3cret-of-the-shop"}},
    "v2UpdateKey": {"name": "New"},
    "v2CreateHook": {"name": "New", "typeName": "gateway-webhook"},
    "v2SetData": {"headers": True},
    "v2CreateDataStore": {"name": "New", "maxSizeMB": 1},
    "v2UpdateDataStore": {"name": "New"},
    "v2CreateRecord": {"key": "new", "data": {}},
    "v2DeleteRecords": {"keys": ["one"]},
    "v2ReplaceRecord": {"a": 1},
    "v2ChangeRecord": {"a": 1},
    "v2CreateDataStructure": {"name": "New"},
    "v2UpdateDataStructure": {"name": "New"},
    "v2CloneDataStructure": {},
    "v2CreateFunction": {"name": "added", "description": "", "code": "function added(input) { return input; }"},
    "v2CheckFunction": {"code": "function checked(input) { return input; }"},
    "v2UpdateFunction": {"description": "New"},
    "v2DeleteDlqs": {},
    "v2RetryDlqs": {},
    "v2EditDlq": {"bundles": {"1": {"order": "b"}}},
    "v2AnswerDlq": {"done": False},
    "v2ReplayDeadLetters": {},
    "v2UpdateHook": {"dedupe": {"header": "X-Event"}},
    "v2SetOrdering": {"orderingKey": "{{1.order}}"},
    "v2MakeReport": REPORT,
    "v2SetOrganizationLimits": {"operations": 7},
    "v2CreateWebhookEndpoint": {"url": "https://new.example/"},
    "v2UpdateWebhookEndpoint": {"description": "New"},
    "v2ReplayFailedMessages": {"since": "2026-01-01T00:00:00Z"},
    "v2CreatePortalKey": {},
    "v2RotatePortalKey": {"replacePrevious": True},
    "v2CreateApiToken": {"label": "New", "permissions": ["jobs:read"]},
    "v2CreateOauthApplication": APPLICATION,
    "v2UpdateOauthApplication": APPLICATION,
    "v2CreateOauthConnection": {"name": "New"},
    "v2AuthorizeOauthConnection": {},
    "v2CheckScopes": {"scope": ["orders"]},
    "v2CreateCredentialRequest": {"keys": [{"type": "basicauth"}]},
    "v2CreateByCredentials": {"keys": [{"type": "basicauth"}]},
    "v2CreateByApps": {"credentials": [{"appName": "http", "appVersion": 3, "appModules": ["*"]}]},
    "v2ExtendConnection": {"scopes": ["more"]},
    "v2DeclineCredential": {},
}
# What a query says besides what is required: one of two, and this is the one.
QUERIES: Final[Mapping[str, tuple[str, ...]]] = {"v2ListScenarios": ("organizationId",)}
_LETTER: Final = """
INSERT INTO shard.dead_letters (id, organization_id, team_id, scenario_id, kind, reason, attempts)
VALUES (%s::uuid, %s, %s, %s, 'scenario.execute', %s, 3)
"""
_PARKED: Final = """
INSERT INTO shard.parked_events
    (consumer, event_id, organization_id, position, type, subject, payload, error, created_at, parked_at)
VALUES ('webhooks', gen_random_uuid(), %s, 1, 'scenario.paused.v1', 'scenario/7', '{"scenario_id":7}', 'No: x', now(),
    now())
RETURNING id::text
"""
_ATTEMPT: Final = """
INSERT INTO shard.incomplete_attempts (organization_id, incomplete_id, execution_id) VALUES (%s, %s::uuid, %s::uuid)
"""


def never(known: str) -> str:
    """Return an id of the same form, of the same organization where it says so, that nothing ever had."""
    if known.isdigit():
        return str(int(known) + 1024 * 10**9)
    return known[:-12] + secrets.token_hex(6)


@dataclass(slots=True, kw_only=True)
class Belongings:
    """What one customer of an organization has, and what is the organization's own."""

    party: Party
    sub: str
    mark: str
    known: dict[str, str] = field(default_factory=dict)

    async def of(self, kind: str) -> str:
        """Return the id of the thing of this kind, made the first time."""
        if kind not in self.known:
            made = await _BUILDERS[kind](self)
            self.known.setdefault(kind, made)
        return self.known[kind]

    async def every(self) -> dict[str, str]:
        """Have one of each kind."""
        return {kind: await self.of(kind) for kind in sorted(_BUILDERS)}

    async def place(self) -> Place:
        """The scenario as the engine's side sees it."""
        return Place(
            shard=await self.party.bridge.shard(self.party.id),
            organization_id=OrganizationId(self.party.id),
            team_id=TeamId(int(await self.of("team"))),
            scenario_id=ScenarioId(int(await self.of("scenario"))),
        )

    async def portal(self, method: str, path: str, body: object = None) -> Any:
        return await self.party.ask(method, f"{PORTAL}{path}", body, sub="*")

    async def api(self, method: str, path: str, body: object = None) -> Any:
        return await self.party.ask(method, f"{API}{path}", body)


async def _customer(own: Belongings) -> str:
    made = await own.portal("POST", "/customers", {"name": own.mark, "externalId": own.sub})
    own.known["team"] = str(made["teamId"])
    await own.api("POST", f"/teams/{made['teamId']}/variables", {"name": "one", "typeId": 2, "value": own.mark})
    return str(made["id"])


async def _team(own: Belongings) -> str:
    await own.of("customer")
    return own.known["team"]


async def _scenario(own: Belongings) -> str:
    team = await own.of("team")
    made = await own.portal("POST", f"/scenarios?teamId={team}", {"blueprint": BLUEPRINT, "name": own.mark})
    return str(made["scenario"]["id"])


async def _hook(own: Belongings) -> str:
    scenario = await own.of("scenario")
    [(found,)] = await own.party.bridge.sql("SELECT id FROM shard.hooks WHERE scenario_id = %s", int(scenario))
    return str(found)


async def _run(own: Belongings) -> None:
    """Have a run end with a bundle that is parked, tried once."""
    item, place = parked(message=own.mark), await own.place()
    outcome = await place.end(Status.WARNING, parked=(item,))
    await own.party.bridge.sql(_ATTEMPT, own.party.id, item.id, outcome.id)
    own.known |= {"record": item.id, "execution": outcome.id}


async def _record(own: Belongings) -> str:
    await _run(own)
    return own.known["record"]


async def _execution(own: Belongings) -> str:
    await _run(own)
    return own.known["execution"]


async def _letter(own: Belongings) -> str:
    place, letter = await own.place(), secrets.token_hex(16)
    await own.party.bridge.sql(
        _LETTER, letter, place.organization_id, place.team_id, place.scenario_id, f"orphaned {own.mark}"
    )
    return letter


async def _report(own: Belongings) -> str:
    report = (await own.api("POST", f"/reports?teamId={await own.of('team')}", REPORT))["report"]
    own.known["job"] = report["id"]
    return str(report["id"])


async def _job(own: Belongings) -> str:
    await own.of("report")
    return own.known["job"]


async def _batch(own: Belongings) -> str:
    place, jobs = await own.place(), own.party.bridge.domain.jobs
    job = NewJob(type=REPLAY, organization_id=place.organization_id, team_id=place.team_id, payload=b"{}")
    async with place.shard.write(place.organization_id) as tx:
        return (await jobs.enqueue_batch(tx, [job])).id


async def _parked(own: Belongings) -> str:
    [(found,)] = await own.party.bridge.sql(_PARKED, own.party.id)
    return str(found)


async def _organization(own: Belongings) -> str:
    variable = {"name": "one", "typeId": 2, "value": own.mark}
    await own.api("POST", f"/organizations/{own.party.id}/variables", variable)
    return str(own.party.id)


async def _endpoint(own: Belongings) -> str:
    body = {"url": f"https://{own.mark}.example/", "description": own.mark}
    return str((await own.api("POST", "/webhook-endpoints", body))["webhookEndpoint"]["id"])


async def _message(own: Belongings) -> str:
    endpoint = await own.of("endpoint")
    return str((await own.api("POST", f"/webhook-endpoints/{endpoint}/ping"))["message"]["id"])


async def _key(own: Belongings) -> str:
    made = await own.api("POST", f"/organizations/{own.party.id}/keys", {})
    return str(made["key"]["keyId"])


async def _token(own: Belongings) -> str:
    body = {"label": own.mark, "permissions": ["jobs:read"]}
    return str((await own.api("POST", f"/organizations/{own.party.id}/tokens", body))["token"]["id"])


async def _application(own: Belongings) -> str:
    made = await own.api("POST", "/oauth-applications", APPLICATION | {"name": own.mark})
    return str(made["oauthApplication"]["id"])


async def _connection(own: Belongings) -> str:
    team, application = await own.of("team"), await own.of("application")
    body = {"name": own.mark, "teamId": int(team), "applicationId": int(application)}
    return str((await own.api("POST", "/oauth-connections", body))["oauthConnection"]["id"])


async def _stored_key(own: Belongings) -> str:
    parameters = {"key": "s3cret-of-the-shop"}
    body = {"name": own.mark, "teamId": int(await own.of("team")), "typeName": "apikeyauth", "parameters": parameters}
    return str((await own.api("POST", "/keys", body))["key"]["id"])


async def _credential_request(own: Belongings) -> str:
    keys = [{"type": "apikeyauth", "description": own.mark}]
    body = {"name": own.mark, "teamId": int(await own.of("team")), "keys": keys}
    made = await own.api("POST", "/credential-requests/actions/create-by-credentials", body)
    own.known["requested_credential"] = str(made["credentials"][0]["id"])
    return str(made["request"]["id"])


async def _requested_credential(own: Belongings) -> str:
    await own.of("credential_request")
    return own.known["requested_credential"]


async def _template(own: Belongings) -> str:
    made = await own.portal("POST", "/templates", {"blueprint": BLUEPRINT, "name": own.mark})
    return str(made["id"])


async def _version(own: Belongings) -> str:
    template = await own.of("template")
    return str((await own.portal("POST", f"/templates/{template}/publish"))["publicVersionId"])


async def _public_template(own: Belongings) -> str:
    made = await own.api("POST", "/templates", {"blueprint": BLUEPRINT, "name": own.mark})
    await own.api("POST", f"/templates/{made['template']['id']}/publish")
    return str(made["template"]["id"])


async def _flow(own: Belongings) -> str:
    path = f"/integrations/init/{await own.of('version')}?teamId={await own.of('team')}"
    return str((await own.portal("POST", path))["flow"]["id"])


async def _folder(own: Belongings) -> str:
    body = {"name": own.mark, "teamId": int(await own.of("team"))}
    return str((await own.api("POST", "/scenarios-folders", body))["scenarioFolder"]["id"])


async def _data_structure(own: Belongings) -> str:
    body = {"name": own.mark, "teamId": int(await own.of("team"))}
    return str((await own.api("POST", "/data-structures", body))["dataStructure"]["id"])


async def _function(own: Belongings) -> str:
    name = f"f{secrets.token_hex(4)}"
    body = {"name": name, "description": own.mark, "code": f"function {name}(input) {{ return '{own.mark}'; }}"}
    return str((await own.api("POST", f"/functions?teamId={await own.of('team')}", body))["function"]["id"])


async def _data_store(own: Belongings) -> str:
    body = {"name": own.mark, "teamId": int(await own.of("team")), "maxSizeMB": 1}
    store = str((await own.api("POST", "/data-stores", body))["dataStore"]["id"])
    await own.api("POST", f"/data-stores/{store}/data", {"key": "one", "data": {"text": own.mark}})
    return store


_BUILDERS: Final[Mapping[str, Callable[[Belongings], Awaitable[str]]]] = {
    "application": _application,
    "batch": _batch,
    "connection": _connection,
    "credential_request": _credential_request,
    "customer": _customer,
    "data_store": _data_store,
    "data_structure": _data_structure,
    "endpoint": _endpoint,
    "execution": _execution,
    "flow": _flow,
    "folder": _folder,
    "function": _function,
    "hook": _hook,
    "job": _job,
    "key": _key,
    "letter": _letter,
    "message": _message,
    "organization": _organization,
    "parked": _parked,
    "public_template": _public_template,
    "record": _record,
    "report": _report,
    "requested_credential": _requested_credential,
    "scenario": _scenario,
    "stored_key": _stored_key,
    "team": _team,
    "template": _template,
    "token": _token,
    "version": _version,
}
BUILT: Final = frozenset(_BUILDERS)
