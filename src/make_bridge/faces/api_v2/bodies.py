"""What the API's routes take: strict in types, deaf to members they do not know, as Make's own API is."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, AwareDatetime, ConfigDict, Field

from make_bridge.domain.organizations.model import LONGEST_OVERLAP
from make_bridge.faces.portal.bodies import Body, Name, ObjectOrText, RowId
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import MAX_ID, OrganizationId

JsonObject = dict[str, Any]
Spec = Annotated[list[JsonObject], Field(max_length=500)]
# A time with its zone, as text: bodies are strict, and JSON has no times of its own.
Moment = Annotated[AwareDatetime, Field(strict=False)]
Scopes = Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=64)]
Megabytes = Annotated[int, Field(ge=1, le=1_000_000)]
Limit = Annotated[int, Field(ge=0, le=MAX_ID)]
Pattern = Annotated[str, Field(min_length=1, max_length=100)]
WebAddress = Annotated[str, Field(min_length=1, max_length=2048)]
_MAX_SIZE = AliasChoices("maxSizeMB", "maxSizeMb")


class OrderingBody(Body):
    """By what a scenario's runs are ordered; ``null`` orders them no more."""

    ordering_key: Annotated[str, Field(max_length=4000)] | None


class NewPortalKeyBody(Body):
    """A new portal key; ``public_key`` (PEM) belongs to RS256 and EdDSA. Wrong members are refused."""

    model_config = ConfigDict(extra="forbid")

    algorithm: Literal["HS256", "RS256", "EdDSA"] = "HS256"
    public_key: Annotated[str, Field(max_length=4000)] | None = None
    permissions: Scopes = Field(default_factory=lambda: ["*"])


class RotatePortalKeyBody(Body):
    """How a portal key is rotated; without an algorithm the new key is like the current one."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP)] | None = None
    algorithm: Literal["HS256", "RS256", "EdDSA"] | None = None
    public_key: Annotated[str, Field(max_length=4000)] | None = None
    replace_previous: bool = False


class NewApiTokenBody(Body):
    """A new API token; without ``expires_at`` it has no end."""

    model_config = ConfigDict(extra="forbid")

    label: Name
    permissions: Scopes
    expires_at: Moment | None = None


class NewDataStoreBody(Body):
    """A new data store."""

    name: Name
    team_id: RowId
    datastructure_id: RowId | None = Field(None, validation_alias=AliasChoices("datastructureId", "dataStructureId"))
    max_size_mb: Megabytes = Field(validation_alias=_MAX_SIZE)


class DataStoreChangesBody(Body):
    """Changes to a data store; what is absent stays, a structure of ``null`` takes it away."""

    name: Name | None = None
    datastructure_id: RowId | None = Field(None, validation_alias=AliasChoices("datastructureId", "dataStructureId"))
    max_size_mb: Megabytes | None = Field(None, validation_alias=_MAX_SIZE)


class NewRecordBody(Body):
    """A new record; without a key it gets one."""

    key: Annotated[str, Field(max_length=1024)] | None = None
    data: JsonObject = Field(default_factory=dict)


class RecordBody(Body):
    """The values of a record, by their names."""

    model_config = ConfigDict(extra="allow")


class RecordKeysBody(Body):
    """Which records to delete."""

    keys: Annotated[list[str], Field(max_length=10_000)] | None = None
    all: bool = False
    except_keys: Annotated[list[str], Field(max_length=10_000)] = Field(default_factory=list)


class NewDataStructureBody(Body):
    """A new data structure."""

    name: Name
    team_id: RowId
    spec: Spec = Field(default_factory=list)
    strict: bool = False


class DataStructureChangesBody(Body):
    """Changes to a data structure; what is absent stays."""

    name: Name | None = None
    spec: Spec | None = None
    strict: bool | None = None


class CloneStructureBody(Body):
    """Where a copy of a data structure goes."""

    name: Name | None = None
    target_team_id: RowId | None = None


class LimitsBody(Body):
    """What an organization may use in a month. A member that is not known is refused: it would be no limit."""

    model_config = ConfigDict(extra="forbid")

    operations: Limit | None = None
    executions: Limit | None = None
    data_transfer: Limit | None = None


class ChosenBody(Body):
    """Which incomplete executions of a scenario: named ones, or all but some."""

    ids: Annotated[list[str], Field(max_length=10_000)] | None = None
    all: bool = False
    except_ids: Annotated[list[str], Field(max_length=10_000)] = Field(default_factory=list)


class AnswerIncompleteBody(Body):
    """Whether a call that was possibly done was done; ``output`` is then what its module gave."""

    done: bool
    output: JsonObject | None = None


class SignatureBody(Body):
    """How a webhook's senders sign; ``header`` and what follows it belong to the scheme ``hmac``."""

    scheme: Literal["standard-webhooks", "hmac", "stripe", "github", "shopify"]
    secrets: Annotated[list[Annotated[str, Field(max_length=500)]], Field(max_length=10)] = Field(
        default_factory=list, description="One, or two while one takes the other's place. Absent: they stay."
    )
    tolerance_seconds: int = 300
    header: Annotated[str, Field(max_length=100)] = ""
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Annotated[str, Field(max_length=50)] = ""


class DedupeBody(Body):
    """Where the id of an event stands, and for how long it is remembered."""

    header: Annotated[str, Field(max_length=100)] = ""
    expression: Annotated[str, Field(max_length=1000)] = ""
    window_seconds: int = 86_400


class HookChangesBody(Body):
    """A webhook's name and what it asks of its callers; what is absent stays, ``null`` takes a rule away."""

    name: Name | None = None
    signature: SignatureBody | None = None
    dedupe: DedupeBody | None = None


class EditIncompleteBody(Body):
    """What an incomplete execution goes on with; what is absent stays."""

    blueprint: ObjectOrText | None = None
    failer: Annotated[int, Field(ge=1, le=MAX_ID)] | None = None
    bundles: JsonObject | None = None


class ReplayRangeBody(Body):
    """Which dead letters to replay: given up at ``since`` or later and before ``until``, of one scenario or all."""

    since: Moment | None = None
    until: Moment | None = None
    scenario_id: RowId | None = None


class NewReportBody(Body):
    """A report to be made; ``from`` and ``to`` are days of UTC, as YYYY-MM-DD, and both belong to it."""

    kind: Literal["usage", "executions"]
    first: Annotated[date, Field(strict=False, validation_alias="from")]
    last: Annotated[date, Field(strict=False, validation_alias="to")]
    group_by: Annotated[list[Literal["day", "team", "customer", "scenario"]], Field(max_length=4)] | None = None
    format: Literal["csv", "json"] = "csv"


class NewWebhookEndpointBody(Body):
    """A new webhook endpoint; without events it hears of all."""

    url: WebAddress
    description: Annotated[str, Field(max_length=500)] = ""
    events: Annotated[list[Pattern], Field(max_length=50)] = Field(default_factory=list)


class WebhookEndpointChangesBody(Body):
    """Changes to a webhook endpoint; what is absent stays."""

    url: WebAddress | None = None
    description: Annotated[str, Field(max_length=500)] | None = None
    events: Annotated[list[Pattern], Field(max_length=50)] | None = None


class ReplayFailedBody(Body):
    """Which failed messages to send again: those since a moment."""

    since: Moment


class OAuthApplicationBody(Body):
    """An OAuth application; a member that is not known is refused: it would be no protection."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    client_id: Annotated[str, Field(min_length=1, max_length=512)]
    client_secret: Annotated[str, Field(min_length=1, max_length=8192)] | None = Field(None, repr=False)
    authentication: Literal["basic", "post", "none"] = "basic"
    authorize_url: WebAddress | None = None
    token_url: WebAddress
    revoke_url: WebAddress | None = None
    userinfo_url: WebAddress | None = None
    issuer: WebAddress | None = None
    sends_issuer: bool = False
    scopes: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=100)] = Field(default_factory=list)
    hosts: Annotated[list[Annotated[str, Field(max_length=300)]], Field(min_length=1, max_length=50)]


class NewOAuthConnectionBody(Body):
    """A new OAuth connection."""

    team_id: RowId
    application_id: RowId
    name: Name
    kind: Literal["authorization_code", "client_credentials"] = "authorization_code"


class ConsentBody(Body):
    """Where a person comes back to: a page of the organization's own origins; absent, the window closes itself."""

    return_to: Annotated[str, Field(max_length=2048)] = ""


class HookDataBody(Body):
    """How a call is presented to the scenario; what is absent stays."""

    headers: bool | None = None
    method: bool | None = None
    stringify: bool | None = None


class NewHookBody(HookDataBody):
    """A new webhook, with its data beside its name, as Make's clients send them."""

    name: Name
    team_id: RowId
    type_name: Annotated[str, Field(max_length=64)]


class OrganizationChangesBody(Body):
    """Changes to an organization; what is absent stays."""

    name: Name | None = None
    timezone_id: Annotated[int, Field(ge=0, le=MAX_ID)] | None = None


class NewTeamBody(Body):
    """A new team; limits belong to customers, so none is taken here."""

    name: Name
    organization_id: RowId

    def require_organization(self, organization_id: OrganizationId) -> None:
        """Raise NotFound for an organization that is not this one."""
        if self.organization_id != organization_id:
            raise NotFound("There is no such organization.")


class InterfaceBody(Body):
    """The inputs and outputs of a scenario; null declares none."""

    input: Spec | None = None
    output: Spec | None = None


class NewInterfaceBody(Body):
    """Other inputs and outputs of a scenario."""

    interface: InterfaceBody


class DeclaredBody(Body):
    """What Make's clients take out of a blueprint before they send it: its inputs and outputs."""

    model_config = ConfigDict(alias_generator=None)

    input_spec: Spec | None = None
    output_spec: Spec | None = None

    def declared(self) -> JsonObject | None:
        """Return an interface, None for one that declares nothing."""
        return {"input": self.input_spec, "output": self.output_spec} if self.input_spec or self.output_spec else None


class NewScenarioBody(Body):
    """A new scenario; blueprint and scheduling come as objects or, as Make's clients send them, as JSON in a text."""

    team_id: RowId
    blueprint: ObjectOrText
    scheduling: ObjectOrText | None = None
    metadata: DeclaredBody | None = None
    name: Name | None = None


class ScenarioChangesBody(Body):
    """Changes to a scenario; what is absent stays. ``metadata`` counts beside a blueprint only.

    Make's clients send an empty one with every change, a mere new name too.
    """

    name: Name | None = None
    description: Annotated[str, Field(max_length=1000)] | None = None
    scheduling: ObjectOrText | None = None
    blueprint: ObjectOrText | None = None
    metadata: DeclaredBody | None = None


class RunScenarioBody(Body):
    """What a run starts with; ``responsive`` waits for its outcome."""

    data: JsonObject | None = None
    responsive: bool | None = None


class NewConnectionBody(Body):
    """A new connection, with its values beside its names as Make's clients send them."""

    model_config = ConfigDict(extra="allow")

    account_name: Name
    account_type: Annotated[str, Field(min_length=1, max_length=64)]

    def values(self) -> JsonObject:
        """Return what the type asks for."""
        return dict(self.model_extra or {})


class NameBody(Body):
    """A new name."""

    name: Name


class ValuesBody(Body):
    """Values, each under its own name."""

    model_config = ConfigDict(extra="allow")

    def values(self) -> JsonObject:
        """Return them."""
        return dict(self.model_extra or {})


class NewKeyBody(Body):
    """A new key."""

    name: Name
    team_id: RowId
    type_name: Annotated[str, Field(min_length=1, max_length=64)]
    parameters: JsonObject = Field(default_factory=dict)


class KeyChangesBody(Body):
    """Changes to a key; what is absent stays."""

    name: Name | None = None
    parameters: JsonObject | None = None


class CloneScenarioBody(Body):
    """A copy of a scenario; it is switched off, and a webhook gets an address of its own."""

    name: Name
    team_id: RowId
