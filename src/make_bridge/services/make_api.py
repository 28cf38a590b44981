"""Make's API endpoint by endpoint, and how this server stands to each: what ``docs/compatibility.md`` shows.

An endpoint is supported when the API's own routes have it, partial when ``PARTIAL`` says what is different, and absent
otherwise; ``ABSENT`` says why. A test holds that nothing is said of a route that is not so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from make_bridge.services.description import described_bridge

_ROOT: Final = "/api/v2"
_PARAMETER: Final = re.compile(r"\{[^}]+\}")
_LATER: Final = "not built yet"
_CLOUD: Final = "a licence feature of Make's own cloud"
_AUTHORING: Final = "for authors of apps; running scenarios needs none of it"
_OPERATOR: Final = "organizations are made by the operator: `make-bridge org create`"
_EDITOR: Final = "belongs to Make's editor"

Standing = Literal["supported", "partial", "absent"]

# By group, in the order of Make's own reference: methods and paths below the root.
ENDPOINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "Users": ("GET /users/me", "GET /users/me/current-authorization"),
    "Organizations": (
        "GET /organizations", "GET /organizations/{}", "PATCH /organizations/{}", "POST /organizations",
        "DELETE /organizations/{}",
    ),
    "Teams": ("GET /teams", "POST /teams", "GET /teams/{}", "DELETE /teams/{}"),
    "Scenarios": (
        "GET /scenarios", "POST /scenarios", "GET /scenarios/{}", "PATCH /scenarios/{}", "DELETE /scenarios/{}",
        "POST /scenarios/{}/start", "POST /scenarios/{}/stop", "POST /scenarios/{}/run", "GET /scenarios/{}/interface",
        "PATCH /scenarios/{}/interface", "GET /scenarios/{}/blueprint", "GET /scenarios/{}/blueprints",
        "POST /scenarios/{}/clone", "GET /scenarios/{}/usage", "GET /scenarios/{}/triggers",
        "GET /scenarios/consumptions", "POST /scenarios/{}/replay", "GET /scenarios/{}/data",
        "GET /scenarios/{}/build-variables", "GET /scenarios/{}/custom-properties",
    ),
    "Executions": (
        "GET /scenarios/{}/logs", "GET /scenarios/{}/logs/{}", "GET /scenarios/{}/executions/{}",
    ),
    "Incomplete executions": (
        "GET /dlqs", "GET /dlqs/{}", "POST /dlqs/{}/retry", "POST /dlqs/retry", "PATCH /dlqs/{}", "GET /dlqs/{}/bundle",
        "GET /dlqs/{}/logs", "GET /dlqs/{}/logs/{}", "DELETE /dlqs", "GET /dlqs/{}/blueprint",
    ),
    "Webhooks": (
        "GET /hooks", "POST /hooks", "GET /hooks/{}", "PATCH /hooks/{}", "POST /hooks/{}/set-data", "DELETE /hooks/{}",
        "GET /hooks/{}/ping", "POST /hooks/{}/enable", "POST /hooks/{}/disable", "POST /hooks/{}/learn-start",
        "POST /hooks/{}/learn-stop", "GET /hooks/{}/logs", "GET /hooks/{}/incomings",
    ),
    "Connections": (
        "GET /connections", "POST /connections", "GET /connections/{}", "PATCH /connections/{}",
        "POST /connections/{}/set-data", "POST /connections/{}/test", "POST /connections/{}/scoped",
        "GET /connections/{}/editable-data-schema", "DELETE /connections/{}",
    ),
    "Keys": ("GET /keys", "POST /keys", "GET /keys/{}", "PATCH /keys/{}", "DELETE /keys/{}", "GET /keys/types"),
    "Data structures": (
        "GET /data-structures", "POST /data-structures", "GET /data-structures/{}", "PATCH /data-structures/{}",
        "POST /data-structures/{}/clone", "DELETE /data-structures/{}",
    ),
    "Data stores": (
        "GET /data-stores", "POST /data-stores", "GET /data-stores/{}", "PATCH /data-stores/{}",
        "DELETE /data-stores/{}", "GET /data-stores/{}/data", "POST /data-stores/{}/data",
        "PATCH /data-stores/{}/data/{}", "PUT /data-stores/{}/data/{}", "DELETE /data-stores/{}/data",
    ),
    "Folders": ("GET /scenarios-folders", "POST /scenarios-folders", "PATCH /scenarios-folders/{}",
                "DELETE /scenarios-folders/{}"),
    "Functions": ("GET /functions", "POST /functions", "GET /functions/{}", "PATCH /functions/{}",
                  "DELETE /functions/{}", "POST /functions/eval", "GET /functions/{}/history"),
    "Enums": ("GET /enums/countries", "GET /enums/imt-regions", "GET /enums/timezones",
              "GET /enums/connected-system-apps"),
    "Templates": ("GET /templates/public", "GET /templates/public/{}", "GET /templates/public/{}/blueprint",
                  "GET /templates", "POST /templates", "GET /templates/{}", "PATCH /templates/{}",
                  "DELETE /templates/{}", "GET /templates/{}/blueprint", "POST /templates/{}/publish"),
    "Credential requests": (
        "GET /credential-requests/requests", "POST /credential-requests/requests",
        "GET /credential-requests/requests/{}", "GET /credential-requests/requests/{}/detail",
        "DELETE /credential-requests/requests/{}", "POST /credential-requests/credentials/{}/decline",
        "POST /credential-requests/credentials/{}/delete-remote", "POST /credential-requests/actions/create",
        "POST /credential-requests/actions/create-by-credentials", "POST /credential-requests/actions/extend",
        "GET /credential-requests/apps/{}/{}/modules-with-credentials",
    ),
    "Roles": ("GET /users/roles", "GET /users/roles/{}", "GET /users/roles/permissions"),
    "Variables": (
        "GET /organizations/{}/variables", "POST /organizations/{}/variables", "PATCH /organizations/{}/variables/{}",
        "DELETE /organizations/{}/variables/{}", "GET /organizations/{}/variables/{}/history",
        "GET /teams/{}/variables", "POST /teams/{}/variables", "PATCH /teams/{}/variables/{}",
        "DELETE /teams/{}/variables/{}", "GET /teams/{}/variables/{}/history",
    ),
    "Devices": ("GET /devices",),
    "Custom apps": ("GET /sdk/apps",),
    "Agents": ("GET /agents", "GET /connected-systems"),
}  # fmt: skip
PARTIAL: Final[Mapping[str, str]] = {
    "GET /users/me": "of an API token its name; the language is English, no country, no features",
    "GET /organizations": "`countryId` is null",
    "GET /organizations/{}": "the licence shows the limits of usage and no others",
    "PATCH /organizations/{}": "name and time zone",
    "DELETE /teams/{}": "refused while the team is a customer's or has scenarios",
    "GET /scenarios": "sorted by id or name; no authors",
    "POST /scenarios/{}/clone": "name and team: connections keep their ids, choose others in another team",
    "GET /scenarios-folders": "by name: `position` is null",
    "DELETE /scenarios-folders/{}": "what the folder holds moves to where it stood; no scenario is deleted",
    "GET /users/roles": "the five roles of this server, the same in every organization",
    "GET /users/roles/{}": "the same five",
    "GET /enums/imt-regions": "one: this server",
    "GET /enums/connected-system-apps": "`http`: no agents, this server reaches what `egress_allow` lets it",
    "GET /devices": "there are none",
    "POST /scenarios/{}/replay": "of one execution; what its first module had found is looked for anew",
    "GET /scenarios/{}/triggers": "of scenarios that a webhook starts",
    "GET /hooks/{}/logs": "calls that were taken; refused ones started nothing",
    "POST /hooks": "the types `gateway-webhook` and `gateway-mailhook`",
    "PATCH /hooks/{}": "ours beside it: `signature` and `dedupe`",
    "POST /hooks/{}/learn-start": "learned is what `GET /hooks/{id}` shows as `interface`",
    "POST /hooks/{}/set-data": "`headers`, `method` and `stringify`",
    "DELETE /hooks/{}": "refused while a scenario has it",
    "POST /connections": "the types of this server; consents are given at `/oauth-connections`",
    "POST /connections/{}/test": "connections to this server's own API",
    "GET /keys/types": "the types of this server",
    "POST /credential-requests/requests": "nobody is written to: the answer has `publicUri` for the caller to pass on",
    "POST /credential-requests/actions/create": "apps of this server, Gmail and Google Sheets",
    "GET /credential-requests/apps/{}/{}/modules-with-credentials": "apps of this server, Gmail and Google Sheets",
    "GET /templates/public": "those that come with the server and those the organization has published",
    "GET /templates": "the organization's: they belong to no team",
    "POST /templates": "the controller is of our own format; another is derived instead",
}
ABSENT: Final[Mapping[str, str]] = {
    "POST /organizations": _OPERATOR,
    "DELETE /organizations/{}": _OPERATOR,
    "GET /scenarios/{}/data": _EDITOR,
    "GET /scenarios/{}/build-variables": _EDITOR,
    "GET /scenarios/{}/custom-properties": _CLOUD,
    "GET /sdk/apps": _AUTHORING,
    "GET /agents": "Make's own agents in other networks",
    "GET /connected-systems": "Make's own agents in other networks",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One endpoint, how it stands here, and what there is to say of that."""

    group: str
    endpoint: str
    standing: Standing
    note: str


def served() -> frozenset[str]:
    """Return every endpoint of the API's own routes, parameters without their names."""
    paths = described_bridge()["paths"]
    return frozenset(
        f"{method.upper()} {_PARAMETER.sub('{}', path.removeprefix(_ROOT))}"
        for path, methods in paths.items()
        if path.startswith(_ROOT)
        for method in methods
    )


def rows() -> list[Row]:
    """Return how this server stands to each endpoint."""
    here = served()
    return [
        Row(group=group, endpoint=endpoint, standing=_standing(endpoint, here), note=_note(endpoint, here))
        for group, endpoints in ENDPOINTS.items()
        for endpoint in endpoints
    ]


def _standing(endpoint: str, here: frozenset[str]) -> Standing:
    if endpoint not in here:
        return "absent"
    return "partial" if endpoint in PARTIAL else "supported"


def _note(endpoint: str, here: frozenset[str]) -> str:
    return PARTIAL.get(endpoint, "") if endpoint in here else ABSENT.get(endpoint, _LATER)
