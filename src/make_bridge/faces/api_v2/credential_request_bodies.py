"""What the routes of credential requests take: strict in types, deaf to members they do not know."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from make_bridge.domain.credential_requests.messages import AppSelection, Wanted, Wanting
from make_bridge.faces.portal.bodies import Body, RowId

Word = Annotated[str, Field(min_length=1, max_length=128)]
Prose = Annotated[str, Field(max_length=1000)]
Title = Annotated[str, Field(max_length=128)]
# A number, as the SDK has it, or the same as a text.
Version = Annotated[int, Field(ge=0, le=1_000_000)] | Annotated[str, Field(max_length=16)]
ScopeList = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=100)]
Names = Annotated[list[Word], Field(max_length=100)]
Someone = RowId | Annotated[str, Field(max_length=255)]
PrefillValues = Annotated[dict[str, str | int | float | bool], Field(max_length=50)]
_MOST = 1000


class CredentialPrefillBody(Body):
    """Values that are filled in beforehand: ``hard`` ones are not asked."""

    hard: PrefillValues = Field(default_factory=dict, repr=False)
    soft: PrefillValues = Field(default_factory=dict, repr=False)


class WantedBody(Body):
    """A connection or key that is asked for."""

    type: Word
    description: Prose | None = None
    scope: ScopeList = Field(default_factory=list)
    prefill: CredentialPrefillBody | None = None
    name_override: Title | None = None
    app_name: Title | None = None
    app_modules: Names = Field(default_factory=list)
    app_version: Version | None = None

    def wanted(self, component: Wanting) -> Wanted:
        """Return it as the domain has it."""
        prefill = self.prefill or CredentialPrefillBody()
        return Wanted(
            component=component,
            type=self.type,
            description=self.description or "",
            scope=tuple(self.scope),
            name_override=self.name_override or "",
            app_name=self.app_name or "",
            app_modules=tuple(self.app_modules),
            app_version="" if self.app_version is None else str(self.app_version),
            hard=_texts(prefill.hard),
            soft=_texts(prefill.soft),
        )


Wishes = Annotated[list[WantedBody], Field(max_length=_MOST)]


class ByCredentialsBody(Body):
    """A request for named types of connections and keys."""

    team_id: RowId
    name: Title | None = None
    description: Prose | None = None
    connections: Wishes = Field(default_factory=list)
    keys: Wishes = Field(default_factory=list)

    def wanted(self) -> tuple[Wanted, ...]:
        """Return what is asked for."""
        return (*(one.wanted("account") for one in self.connections), *(one.wanted("keychain") for one in self.keys))


class ProviderBody(Body):
    """Who is asked: somebody of Make's, or somebody that only the caller knows. Kept and shown, nothing more."""

    provider_make_user_id: Someone | None = None
    external_provider_id: Annotated[str, Field(max_length=255)] | None = None


class NewCredentialRequestBody(ByCredentialsBody):
    """A request for named types of connections and keys, to somebody."""

    provider: ProviderBody | None = None


class SelectionBody(Body):
    """Modules and endpoints of an app; ``*`` is all of them."""

    app_name: Word
    app_modules: Names = Field(default_factory=list)
    app_endpoints: Names = Field(default_factory=list)
    app_version: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    name_override: Title | None = None
    description: Prose | None = None

    def selection(self) -> AppSelection:
        """Return it as the domain has it."""
        return AppSelection(
            app=self.app_name,
            version=self.app_version or 0,
            modules=tuple(self.app_modules),
            endpoints=tuple(self.app_endpoints),
            description=self.description or "",
            name_override=self.name_override or "",
        )


class ByAppsBody(Body):
    """A request for what modules of apps need."""

    team_id: RowId
    name: Title | None = None
    description: Prose | None = None
    credentials: Annotated[list[SelectionBody], Field(min_length=1, max_length=_MOST)]


class ExtendBody(Body):
    """More scopes for a connection there is."""

    connection_id: RowId
    scopes: Annotated[ScopeList, Field(min_length=1)]


class DeclineBody(Body):
    """Why a credential is not handed over."""

    reason: Annotated[str, Field(max_length=500)] = ""


def _texts(values: Mapping[str, str | int | float | bool]) -> dict[str, str]:
    """Return values as forms have them."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}
