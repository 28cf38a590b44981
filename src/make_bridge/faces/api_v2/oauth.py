"""OAuth applications and connections (``/oauth-applications``, ``/oauth-connections``). An extension."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.oauth.messages import (
    ApplicationFacts,
    ApplicationId,
    BeginConsent,
    CreateOAuthApplication,
    CreateOAuthConnection,
    DeleteOAuthApplication,
    DeleteOAuthConnection,
    GetOAuthApplication,
    GetOAuthConnection,
    ListOAuthApplications,
    ListOAuthConnections,
    OAuthApplication,
    OAuthConnection,
    UpdateOAuthApplication,
)
from make_bridge.faces.api_v2.connection_bodies import ConsentBody, NewOAuthConnectionBody, OAuthApplicationBody
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import (
    Operation,
    access,
    require_confirmation,
    required_team,
    respond,
    row_id,
)
from make_bridge.faces.api_v2.paging import CurrentPage, narrowed
from make_bridge.faces.api_v2.parameters import CONFIRMED, THE_TEAM
from make_bridge.faces.edge.body import parse_object, parse_optional
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.kernel.ids import ComponentId, TeamId

JsonObject = dict[str, Any]
ApplicationPath = Annotated[ApplicationId, row_id("OAuth application")]
ConnectionPath = Annotated[ComponentId, row_id("OAuth connection")]


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthRoutes:
    """The routes of both resources."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        size = self.api.bodies.api
        see, change = access("oauth:read", size), access("oauth:write", size)
        read, write = access("connections:read", size), access("connections:write", size)
        every, one = "/oauth-applications", "/oauth-applications/{application_id}"
        connections, connection = "/oauth-connections", "/oauth-connections/{connection_id}"
        new, made, consent = OAuthApplicationBody, NewOAuthConnectionBody, ConsentBody
        begin = f"{connection}/authorize"
        return [
            Operation(method="GET", path=every, endpoint=self.list_oauth_applications, access=see),
            Operation(method="POST", path=every, endpoint=self.create_oauth_application, access=change, body=new),
            Operation(method="GET", path=one, endpoint=self.get_oauth_application, access=see),
            Operation(method="PUT", path=one, endpoint=self.update_oauth_application, access=change, body=new),
            Operation(
                method="DELETE", path=one, endpoint=self.delete_oauth_application, access=change, query=(CONFIRMED,)
            ),
            Operation(
                method="GET", path=connections, endpoint=self.list_oauth_connections, access=read, query=(THE_TEAM,)
            ),
            Operation(method="POST", path=connections, endpoint=self.create_oauth_connection, access=write, body=made),
            Operation(method="GET", path=connection, endpoint=self.get_oauth_connection, access=read),
            Operation(
                method="POST",
                path=begin,
                endpoint=self.authorize_oauth_connection,
                access=write,
                body=consent,
                is_body_required=False,
            ),
            Operation(
                method="DELETE",
                path=connection,
                endpoint=self.delete_oauth_connection,
                access=write,
                query=(CONFIRMED,),
            ),
        ]

    async def list_oauth_applications(self, call: CurrentCall, page: CurrentPage) -> Response:
        """List the organization's OAuth applications."""
        found = await self.api.queries.ask(call.context, ListOAuthApplications())
        return respond({"oauthApplications": [narrowed(self._application(one), page) for one in found]})

    async def create_oauth_application(self, call: CurrentCall) -> Response:
        """Make an OAuth application known; its secret is never shown."""
        body = parse_object(call.body, OAuthApplicationBody, max_depth=self.api.json_depth)
        command = CreateOAuthApplication(facts=_facts(body), client_secret=body.client_secret)
        return self._shown(await self.api.commands.execute(call.context, command))

    async def get_oauth_application(self, application_id: ApplicationPath, call: CurrentCall) -> Response:
        """Show an OAuth application."""
        return self._shown(await self.api.queries.ask(call.context, GetOAuthApplication(application_id=application_id)))

    async def update_oauth_application(self, application_id: ApplicationPath, call: CurrentCall) -> Response:
        """Replace an OAuth application; without a secret the one there is stays."""
        body = parse_object(call.body, OAuthApplicationBody, max_depth=self.api.json_depth)
        command = UpdateOAuthApplication(
            application_id=application_id, facts=_facts(body), client_secret=body.client_secret
        )
        return self._shown(await self.api.commands.execute(call.context, command))

    async def delete_oauth_application(
        self, application_id: ApplicationPath, request: Request, call: CurrentCall
    ) -> Response:
        """Forget an OAuth application that no connection uses."""
        require_confirmation(request)
        await self.api.commands.execute(call.context, DeleteOAuthApplication(application_id=application_id))
        return respond({"oauthApplication": application_id})

    async def list_oauth_connections(self, call: CurrentCall, page: CurrentPage) -> Response:
        """List a team's OAuth connections."""
        found = await self.api.queries.ask(call.context, ListOAuthConnections(team_id=required_team(call)))
        return respond({"oauthConnections": [narrowed(_connection(one), page) for one in found]})

    async def create_oauth_connection(self, call: CurrentCall) -> Response:
        """Make an OAuth connection: pending until a person agrees, or of the application itself."""
        body = parse_object(call.body, NewOAuthConnectionBody, max_depth=self.api.json_depth)
        command = CreateOAuthConnection(
            team_id=TeamId(body.team_id),
            application_id=ApplicationId(body.application_id),
            name=body.name,
            kind=body.kind,
        )
        return respond({"oauthConnection": _connection(await self.api.commands.execute(call.context, command))})

    async def get_oauth_connection(self, connection_id: ConnectionPath, call: CurrentCall) -> Response:
        """Show an OAuth connection."""
        query = GetOAuthConnection(connection_id=connection_id)
        return respond({"oauthConnection": _connection(await self.api.queries.ask(call.context, query))})

    async def authorize_oauth_connection(self, connection_id: ConnectionPath, call: CurrentCall) -> Response:
        """Give the address that a person opens to agree; it works once, in one browser."""
        body = parse_optional(call.body, ConsentBody, max_depth=self.api.json_depth)
        command = BeginConsent(connection_id=connection_id, return_to=body.return_to if body is not None else "")
        begun = await self.api.commands.execute(call.context, command)
        return respond({"startUrl": f"{self.api.public_url}/oauth/start#{begun.ticket}"})

    async def delete_oauth_connection(
        self, connection_id: ConnectionPath, request: Request, call: CurrentCall
    ) -> Response:
        """Delete an OAuth connection; its token is revoked at the provider afterwards."""
        require_confirmation(request)
        await self.api.commands.execute(call.context, DeleteOAuthConnection(connection_id=connection_id))
        return respond({"oauthConnection": connection_id})

    def _shown(self, application: OAuthApplication) -> Response:
        return respond({"oauthApplication": self._application(application)})

    def _application(self, application: OAuthApplication) -> JsonObject:
        facts = application.facts
        return {
            "id": application.id,
            "name": facts.name,
            "clientId": facts.client_id,
            "hasClientSecret": application.has_secret,
            "authentication": facts.authentication,
            "authorizeUrl": facts.authorize_url or None,
            "tokenUrl": facts.token_url,
            "revokeUrl": facts.revoke_url or None,
            "userinfoUrl": facts.userinfo_url or None,
            "issuer": facts.issuer or None,
            "sendsIssuer": facts.sends_issuer,
            "scopes": list(facts.scopes),
            "hosts": list(facts.hosts),
            "redirectUri": f"{self.api.public_url}/oauth/callback/{application.id}",
            "createdAt": wire.instant(application.created_at),
        }


def _facts(body: OAuthApplicationBody) -> ApplicationFacts:
    return ApplicationFacts(
        name=body.name,
        client_id=body.client_id,
        authentication=body.authentication,
        authorize_url=body.authorize_url or "",
        token_url=body.token_url,
        revoke_url=body.revoke_url or "",
        userinfo_url=body.userinfo_url or "",
        issuer=body.issuer or "",
        sends_issuer=body.sends_issuer,
        scopes=tuple(body.scopes),
        hosts=tuple(body.hosts),
    )


def _connection(connection: OAuthConnection) -> JsonObject:
    return {
        "id": connection.id,
        "teamId": connection.team_id,
        "name": connection.name,
        "state": connection.state,
        "applicationId": connection.application_id,
        "kind": connection.kind,
        "scopes": connection.scope.split(),
        "reason": connection.reason or None,
        "expiresAt": _instant(connection.expires_at),
        "authorizedAt": _instant(connection.granted_at),
    }


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else wire.instant(moment)
