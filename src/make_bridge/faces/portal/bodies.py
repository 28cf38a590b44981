"""What the portal's routes take: the bodies, strict in their types and deaf to members they do not know.

Every member of ``init`` is optional and ``null`` is as good as absent, because the official sample forwards whatever a
browser sent. Numbers are numbers here and truth is true or false: a text that looks like one is refused.
"""

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from make_bridge.kernel import json
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import MAX_ID

JsonObject = dict[str, Any]


def _read_object(value: object) -> object:
    """Take an object also as JSON text, the form in which Make's own API carries blueprints."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, max_bytes=len(value.encode()), max_depth=_TEXT_DEPTH)
    except InvalidInput as error:
        raise ValueError(f"is text that is not valid JSON: {error.message.rstrip('.')}") from None


_TEXT_DEPTH = 200
RowId = Annotated[int, Field(ge=1, le=MAX_ID)]
Name = Annotated[str, Field(min_length=1, max_length=255)]
Text = Annotated[str, Field(max_length=10_000)]
ObjectOrText = Annotated[JsonObject, BeforeValidator(_read_object)]


class Body(BaseModel):
    """The root of all bodies: wire names in camel case, no conversions."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, extra="ignore", frozen=True)


class PrefillBody(Body):
    """Values for template fields, by the fields' uuids."""

    hard: JsonObject = Field(description="Fixed values: the customer is not asked.")
    soft: JsonObject = Field(description="Proposed values: the customer may change them.")


class NewScenarioBody(Body):
    """What the scenario is called and whether it is switched on when the flow ends."""

    name: Name
    enable: bool


class InitBody(Body):
    """How the wizard goes."""

    team_id: RowId | None = Field(None, description="The team the flow runs in; has to agree with the query.")
    template_id: RowId | None = Field(None, description="Has to agree with the instanceable id in the path.")
    algorithm: Annotated[str, Field(max_length=64)] | None = Field(None, description="Only `whiteboard` is known.")
    prefill: PrefillBody | None = None
    allow_reusing_components: bool | None = Field(None, description="May existing connections be picked? Default: yes.")
    allow_creating_components: bool | None = Field(None, description="May new connections be made? Default: yes.")
    auto_activate: bool | None = Field(None, description="Skip the landing page (this does not switch anything on).")
    auto_finalize: bool | None = Field(None, description="Skip the final page.")
    redirect_uri: Annotated[str, Field(max_length=2048)] | None = Field(
        None, description="Where the customer is sent in the end; its origin has to be registered."
    )
    scenario: NewScenarioBody | None = None


class RunBody(Body):
    """What a run starts with."""

    data: JsonObject | None = Field(None, description="The scenario's inputs.")
    responsive: bool | None = Field(None, description="Wait for the outcome and answer with status and outputs.")


class ScenarioBody(Body):
    """A scenario made from a blueprint."""

    blueprint: ObjectOrText
    name: Name | None = None
    scheduling: ObjectOrText | None = None


class EditScenarioBody(Body):
    """Changes to a scenario; what is absent stays."""

    name: Name | None = None
    scheduling: ObjectOrText | None = Field(None, description="When it runs: an object, or its JSON text.")


class BlueprintBody(Body):
    """The next version of a scenario's blueprint."""

    blueprint: ObjectOrText


class CloneBody(Body):
    """What a copy is called."""

    name: Name | None = None


class NewCustomerBody(Body):
    """A new customer. A member that is not known is refused: a misspelt limit would be no limit."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    external_id: Annotated[str, Field(min_length=1, max_length=255, description="The `sub` of the customer's tokens.")]
    team_id: RowId | None = Field(None, description="An existing team to share. Default: a team of its own.")
    operations_limit: Annotated[int, Field(ge=0, le=MAX_ID)] | None = None


class CustomerLimitBody(Body):
    """What a customer may use in a month. A member that is not known is refused, as in a new customer."""

    model_config = ConfigDict(extra="forbid")

    operations_limit: Annotated[int, Field(ge=0, le=MAX_ID)] | None = Field(description="null is no limit.")


class NewTemplateBody(Body):
    """A new template."""

    blueprint: ObjectOrText = Field(description="A blueprint, as an object or as JSON text.")
    name: Name | None = Field(None, description="Default: the blueprint's own name.")
    description: Text | None = None
    language_code: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$")] | None = Field(
        None, validation_alias=AliasChoices("languageCode", "language")
    )
    visibility: Annotated[str, Field(pattern=r"^[a-z]{1,32}$")] | None = None
    controller: ObjectOrText | None = Field(None, description="Which fields the wizard shows. Default: derived.")
    scheduling: ObjectOrText | None = None


class EditTemplateBody(Body):
    """Changes to a template's draft; what is absent stays."""

    blueprint: ObjectOrText | None = None
    controller: ObjectOrText | None = None
    name: Name | None = None
    description: Text | None = None
    scheduling: ObjectOrText | None = None
