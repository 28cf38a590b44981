"""What the API's routes take: strict in types, deaf to members they do not know, as Make's own API is."""

import re
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field

from make_bridge.domain.organizations.model import LONGEST_OVERLAP
from make_bridge.faces.portal.bodies import Body, Name, RowId
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import MAX_ID, OrganizationId

JsonObject = dict[str, Any]
Spec = Annotated[list[JsonObject], Field(max_length=500)]
# A time with its zone, as text: bodies are strict, and JSON has no times of its own.
Moment = Annotated[AwareDatetime, Field(strict=False)]
Scopes = Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=64)]
Limit = Annotated[int, Field(ge=0, le=MAX_ID)]
WebAddress = Annotated[str, Field(min_length=1, max_length=2048)]


def _read_number(value: object) -> object:
    """Take a number also as a text, and ``null`` as one: so `make-cli` sends what may be a number or null."""
    if not isinstance(value, str):
        return value
    return None if value == "null" else int(value) if _DIGITS.fullmatch(value) else value


_DIGITS = re.compile(r"[0-9]{1,16}")


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


class LimitsBody(Body):
    """What an organization may use in a month. A member that is not known is refused: it would be no limit."""

    model_config = ConfigDict(extra="forbid")

    operations: Limit | None = None
    executions: Limit | None = None
    data_transfer: Limit | None = None


class OrganizationChangesBody(Body):
    """Changes to an organization; what is absent stays."""

    name: Name | None = None
    timezone_id: Annotated[int, Field(ge=0, le=MAX_ID)] | None = None


class NewTeamBody(Body):
    """A new team, with what it may use in a month: operations, and bytes that are transferred."""

    name: Name
    organization_id: RowId
    operations_limit: Annotated[Limit, BeforeValidator(_read_number)] | None = None
    transfer_limit: Annotated[Limit, BeforeValidator(_read_number)] | None = None

    def require_organization(self, organization_id: OrganizationId) -> None:
        """Raise NotFound for an organization that is not this one."""
        if self.organization_id != organization_id:
            raise NotFound("There is no such organization.")
