"""What may be sent about connections, keys and the applications behind consents."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from make_bridge.faces.api_v2.bodies import JsonObject, WebAddress
from make_bridge.faces.portal.bodies import Body, Name, RowId


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


class ScopesBody(Body):
    """Scopes that are asked about."""

    scope: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=100)]
