"""What may be sent about scenarios and their hooks, interfaces, folders, templates, functions and variables."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from make_bridge.faces.api_v2.bodies import JsonObject, Spec, WebAddress, _read_number
from make_bridge.faces.portal.bodies import Body, Name, ObjectOrText, RowId, Text

VariableValue = bool | int | float | Annotated[str, Field(max_length=100_000)]
Code = Annotated[str, Field(max_length=100_000)]
ParentId = Annotated[RowId | None, BeforeValidator(_read_number)]


class OrderingBody(Body):
    """By what a scenario's runs are ordered; ``null`` orders them no more."""

    ordering_key: Annotated[str, Field(max_length=4000)] | None


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
    """A new scenario; blueprint and scheduling come as objects or, as Make's clients send them, as JSON in a text.

    Without a blueprint it is made of the public template that ``basedon`` names.
    """

    team_id: RowId
    blueprint: ObjectOrText | None = None
    basedon: Annotated[RowId, BeforeValidator(_read_number)] | None = None
    scheduling: ObjectOrText | None = None
    metadata: DeclaredBody | None = None
    name: Name | None = None
    folder_id: RowId | None = None


class ScenarioChangesBody(Body):
    """Changes to a scenario; what is absent stays, a folder of ``null`` takes it out of the one it stands in.

    ``metadata`` counts beside a blueprint only.

    Make's clients send an empty one with every change, a mere new name too.
    """

    name: Name | None = None
    description: Annotated[str, Field(max_length=1000)] | None = None
    scheduling: ObjectOrText | None = None
    blueprint: ObjectOrText | None = None
    metadata: DeclaredBody | None = None
    folder_id: RowId | None = None


class RunScenarioBody(Body):
    """What a run starts with; ``responsive`` waits for its outcome, ``callback_url`` is told of it."""

    data: JsonObject | None = None
    responsive: bool | None = None
    callback_url: WebAddress | None = None


class ReplayBody(Body):
    """Which execution to replay: the first of these, as Make takes it."""

    execution_ids: Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=100)]


class CloneScenarioBody(Body):
    """A copy of a scenario; it is switched off, and a webhook gets an address of its own.

    Without ``folder_id`` it stands in the folder of its original, in another team in none.
    """

    name: Name
    team_id: RowId
    folder_id: RowId | None = None


class NewVariableBody(Body):
    """A new variable; ``typeId`` is 1 number, 2 string, 3 boolean or 4 date (a text in ISO 8601)."""

    name: Annotated[str, Field(max_length=1000)]
    type_id: int
    value: VariableValue


class VariableChangesBody(Body):
    """Changes to a variable; what is absent stays."""

    type_id: int | None = None
    value: VariableValue | None = None


class NewFolderBody(Body):
    """A new folder; without ``parent_id`` it stands at the top."""

    name: Name
    team_id: RowId
    parent_id: ParentId = None


class FolderChangesBody(Body):
    """Changes to a folder; what is absent stays, a parent of ``null`` takes it to the top."""

    name: Name | None = None
    parent_id: ParentId = None


class CodeBody(Body):
    """Code that may become a function's; how long that may be is a setting."""

    code: Code


class NewFunctionBody(Body):
    """A new custom function."""

    name: Name
    description: Text = ""
    code: Code


class FunctionChangesBody(Body):
    """Changes to a custom function; what is absent stays."""

    description: Text | None = None
    code: Code | None = None


class NewTemplateBody(Body):
    """A new template; it belongs to the organization, so a team need not be named."""

    team_id: RowId | None = None
    blueprint: ObjectOrText
    name: Name | None = None
    description: Annotated[str, Field(max_length=10_000)] | None = None
    language: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    controller: ObjectOrText | None = None
    scheduling: ObjectOrText | None = None


class TemplateChangesBody(Body):
    """Changes to a template's draft; what is absent stays."""

    blueprint: ObjectOrText | None = None
    controller: ObjectOrText | None = None
    name: Name | None = None
    description: Annotated[str, Field(max_length=10_000)] | None = None
    scheduling: ObjectOrText | None = None
