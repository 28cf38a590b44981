"""The templates that come with the server: public in every organization, and nobody's to change.

``views`` reads them once and shows them beside what an organization has published itself. They need no account
anywhere. Their ids are constants below a thousand, which no row ever has: those are a sequence times 1024.
"""

from importlib.resources import files
from typing import Any, Final

import msgspec

from make_bridge.domain.templates.controller import write_controller
from make_bridge.domain.templates.messages import PublicBlueprint, PublicTemplate
from make_bridge.domain.templates.model import DraftParts, new_draft
from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.kernel.ids import TemplateId

_LANGUAGE: Final = "en"
# An id stays with its template for ever: scenarios were made from it. New ones come last.
_FILES: Final = (
    (1, "webhook_to_http_request"),
    (2, "http_request_on_demand"),
    (3, "webhook_with_an_answer"),
    (4, "each_item_to_http_request"),
    (5, "feed_to_http_request"),
)


def ready_made() -> list[PublicBlueprint]:
    """Return them, each with a controller as it is derived for any template."""
    return [_read(number, name) for number, name in _FILES]


def _read(number: int, name: str) -> PublicBlueprint:
    raw = files("make_bridge.domain.templates").joinpath("ready_made_blueprints", f"{name}.json").read_bytes()
    blueprint = msgspec.json.decode(raw, type=dict[str, Any])
    parts = DraftParts(blueprint=blueprint)
    draft = new_draft(parts, CATALOGUE, language=_LANGUAGE, visibility="public")
    template = PublicTemplate(
        id=TemplateId(number),
        name=draft.name,
        description=draft.description,
        language=_LANGUAGE,
        used_packages=tuple(draft.used_packages),
        usage=0,
    )
    return PublicBlueprint(
        template=template,
        blueprint=blueprint,
        controller=write_controller(draft.controller),
        scheduling=draft.scheduling,
    )
