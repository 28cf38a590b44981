"""What the API's routes read of a query, for the description of the API: each row names what its endpoint reads.

Values are read by the endpoints, strictly, with sentences of their own; here stands what a caller has to know. Every
route takes ``teamId`` and every list the official ``pg[…]`` and ``cols[]``, so nobody has to name those. A test asks
every route and holds that it reads nothing that is not told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from make_bridge.kernel.ids import MAX_ID

_ROW_ID: Final = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
_EVENTS: Final = {"type": "array", "items": {"type": "string", "maxLength": 100}, "maxItems": 50}
_COUNT: Final = {"type": "integer", "minimum": 0, "maximum": 999_999_999}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a query, or a header."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False
    place: Literal["query", "header"] = "query"

    def described(self) -> dict[str, Any]:
        """Return it as OpenAPI has it."""
        schema = dict(self.schema)
        return {
            "name": self.name,
            "in": self.place,
            "required": self.required,
            "description": self.description,
            "schema": schema,
        }


TEAM: Final = Parameter(
    name="teamId", description="The team that is meant. Without it: the whole organization.", schema=_ROW_ID
)
THE_TEAM: Final = Parameter(name="teamId", description="The team that is meant.", schema=_ROW_ID, required=True)
OF_SCENARIO: Final = Parameter(name="scenarioId", description="Those of one scenario.", schema=_ROW_ID)
THE_SCENARIO: Final = Parameter(
    name="scenarioId", description="The scenario whose they are.", schema=_ROW_ID, required=True
)
OF_ORGANIZATION: Final = Parameter(
    name="organizationId", description="The organization, instead of one of its teams.", schema=_ROW_ID
)
THE_ORGANIZATION: Final = Parameter(
    name="organizationId", description="The organization whose they are.", schema=_ROW_ID, required=True
)
CHOSEN: Final = Parameter(
    name="id[]", description="These only.", schema={"type": "array", "items": _ROW_ID, "maxItems": 1000}
)
IS_ACTIVE: Final = Parameter(
    name="isActive", description="Those that are switched on, or off.", schema={"type": "boolean"}
)
IF_MATCH: Final = Parameter(
    name="If-Match",
    place="header",
    description="The ETag of what the change is meant for: another is answered with 412, and nothing is changed.",
)
OF_FOLDER: Final = Parameter(name="folderId", description="Those in one folder.", schema=_ROW_ID)
IN_FOLDER: Final = Parameter(
    name="parentId", description="Those in one folder. Without it: those at the top.", schema=_ROW_ID
)
IS_ASSIGNED: Final = Parameter(
    name="assigned", description="Those that a scenario has, or none.", schema={"type": "boolean"}
)
VERSION: Final = Parameter(name="blueprintId", description="The number of a version.", schema=_COUNT)
MAX_BYTES: Final = Parameter(name="maxBytes", description="Refuse larger outputs.", schema=_COUNT)
AFTER_EXECUTION: Final = Parameter(name="pg[last]", description="The execution behind which the list goes on.")
CONFIRMED: Final = Parameter(
    name="confirmed", description="`true`: what this does cannot be undone.", schema={"type": "boolean"}
)
LIMIT: Final = Parameter(name="limit", description="At most so many.", schema=_COUNT | {"minimum": 1})
FIRST_DAY: Final = Parameter(name="from", description="The first day.", schema={"type": "string", "format": "date"})
LAST_DAY: Final = Parameter(name="to", description="The last day.", schema={"type": "string", "format": "date"})
SINCE: Final = Parameter(name="from", description="A day or a moment: not earlier.")
UNTIL: Final = Parameter(name="to", description="A day or a moment: earlier.")
AFTER_PLACE: Final = Parameter(name="after", description="The `next` of the page before.")
AFTER_NUMBER: Final = Parameter(name="after", description="The `next` of the page before.", schema=_COUNT)
EVENT_TYPES: Final = Parameter(name="type", description="Types of events. Without it: all.", schema=_EVENTS)
PAGED: Final = (
    Parameter(name="pg[offset]", description="Leave out so many.", schema=_COUNT | {"maximum": 10_000_000}),
    Parameter(name="pg[limit]", description="Show at most so many.", schema=_COUNT),
    Parameter(name="pg[sortBy]", description="The column to sort by."),
    Parameter(name="pg[sortDir]", description="The order.", schema={"type": "string", "enum": ["asc", "desc"]}),
    Parameter(
        name="cols[]",
        description="The columns to show; `*` is all.",
        schema={"type": "array", "items": {"type": "string"}},
    ),
)


def text(name: str, description: str, *, longest: int) -> Parameter:
    """Return a parameter that is any text."""
    return Parameter(name=name, description=description, schema={"type": "string", "maxLength": longest})


def one_of(name: str, description: str, *choices: str) -> Parameter:
    """Return a parameter with a few values."""
    return Parameter(name=name, description=description, schema={"type": "string", "enum": sorted(choices)})
