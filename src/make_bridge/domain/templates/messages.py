"""What can be asked of templates."""

from datetime import datetime
from typing import Any, ClassVar

from make_bridge.kernel.ids import TemplateId, TemplateVersionId
from make_bridge.kernel.messages import Command, Event, Query, message

JsonObject = dict[str, Any]


@message
class Template:
    """A template with its draft's facts; ``published_version_id`` is the Public Version ID (instanceable id)."""

    id: TemplateId
    name: str
    description: str
    language: str
    visibility: str
    used_packages: tuple[str, ...]
    scheduling: JsonObject
    published_version_id: TemplateVersionId | None
    updated_at: datetime


@message
class TemplateVersion:
    """An immutable published version."""

    id: TemplateVersionId
    template_id: TemplateId
    number: int
    name: str
    description: str
    language: str
    used_packages: tuple[str, ...]
    scheduling: JsonObject
    blueprint: JsonObject
    controller: JsonObject


@message
class PublicTemplate:
    """A template anybody of the organization may begin with: one it has published, or one that comes with the server.

    ``usage`` is how many of its scenarios were made from it in the wizard.
    """

    id: TemplateId
    name: str
    description: str
    language: str
    used_packages: tuple[str, ...]
    usage: int


@message
class PublicBlueprint:
    """A public template with what a scenario is made of."""

    template: PublicTemplate
    blueprint: JsonObject
    controller: JsonObject
    scheduling: JsonObject


@message
class CreateTemplate(Command[Template]):
    """Make a template from a blueprint; without a controller a default one is derived."""

    blueprint: JsonObject
    name: str | None = None
    description: str | None = None
    language: str = "en"
    visibility: str = "private"
    controller: JsonObject | None = None
    scheduling: JsonObject | None = None


@message
class EditTemplate(Command[Template]):
    """Change the draft; published versions do not change."""

    template_id: TemplateId
    blueprint: JsonObject | None = None
    controller: JsonObject | None = None
    name: str | None = None
    description: str | None = None
    scheduling: JsonObject | None = None


@message
class PublishTemplate(Command[TemplateVersion]):
    """Freeze the draft as a new version; its id is what ``init`` takes."""

    template_id: TemplateId


@message
class DeleteTemplate(Command[None]):
    """Withdraw a template; running scenarios keep going."""

    template_id: TemplateId


@message
class ListTemplates(Query[list[Template]]):
    """The organization's templates."""

    published_only: bool = False
    after: int = 0
    limit: int = 1000


@message
class GetTemplateVersion(Query[TemplateVersion]):
    """One published version by its id (the instanceable id)."""

    version_id: TemplateVersionId


@message
class GetDraft(Query[TemplateVersion]):
    """The draft in the shape of a version (``number`` 0)."""

    template_id: TemplateId


@message
class GetTemplate(Query[Template]):
    """One template with its draft's facts."""

    template_id: TemplateId


@message
class ListPublicTemplates(Query[tuple[PublicTemplate, ...]]):
    """All public templates, those that come with the server first."""


@message
class GetPublicTemplate(Query[PublicBlueprint]):
    """One public template, as it was published last."""

    template_id: TemplateId


@message
class TemplatePublished(Event):
    """A template was published: new flows begin with this version."""

    wire_name: ClassVar[str] = "template.published.v1"
    organization_id: int
    template_id: int
    version_id: int


@message
class TemplateWithdrawn(Event):
    """A template was withdrawn: no flow begins with it any more."""

    wire_name: ClassVar[str] = "template.withdrawn.v1"
    organization_id: int
    template_id: int
