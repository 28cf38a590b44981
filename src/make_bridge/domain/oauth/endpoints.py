"""Calls to providers: through the guard of all calls out, with a deadline, a bounded answer and no redirect.

Used where a person comes back with a code (``consent``), where tokens are renewed (``keeping``) and revoked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from make_bridge.domain.oauth import answers, requests
from make_bridge.domain.oauth.answers import ProviderUnclear, Tokens
from make_bridge.domain.oauth.model import OAuthLimits
from make_bridge.domain.oauth.requests import CallLimits, Client
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest, EgressResponse

# RFC 7009: 200 also for a token that nobody knows; a 400 or 401 says that asking again brings nothing.
_REVOKED: Final = 200
_POINTLESS: Final = frozenset({400, 401, 403, 404, 405})


class Out(Protocol):
    """The way out of the process; the guarded client."""

    async def send(self, request: EgressRequest) -> EgressResponse:
        """Return the answer, or raise EgressFailure."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The calls of this slice."""

    out: Out
    limits: OAuthLimits = field(default_factory=OAuthLimits)

    async def by_code(self, client: Client, code: str, verifier: str, redirect_uri: str) -> Tokens:
        """Exchange a code; raises ProviderRefused, ProviderUnclear."""
        tokens = await self._ask(client, requests.code_form(code, verifier, redirect_uri))
        return tokens if tokens.subject else replace(tokens, subject=await self._subject(client, tokens.access))

    async def by_refresh_token(self, client: Client, refresh_token: str) -> Tokens:
        """Renew; raises ProviderRefused, ProviderUnclear."""
        return await self._ask(client, requests.renewal_form(refresh_token))

    async def by_itself(self, client: Client) -> Tokens:
        """Let the application ask for itself; raises ProviderRefused, ProviderUnclear."""
        return await self._ask(client, requests.own_form(client.facts))

    async def revoke(self, client: Client, token: str, hint: str) -> bool:
        """Give a token back; False when it was refused for good. Raises ProviderUnclear to be tried again."""
        form = requests.revocation_form(token, hint)
        answer = await self._send(requests.form_call(client, client.facts.revoke_url, form, self._call_limits))
        if answer.status == _REVOKED:
            return True
        if answer.status in _POINTLESS:
            return False
        raise ProviderUnclear(f"The provider answered the revocation with status {answer.status}.")

    async def _ask(self, client: Client, form: Mapping[str, str]) -> Tokens:
        facts = client.facts
        answer = await self._send(requests.form_call(client, facts.token_url, form, self._call_limits))
        return answers.read_tokens(answer.status, answer.body, issuer=facts.issuer, client_id=facts.client_id)

    async def _subject(self, client: Client, access_token: str) -> str:
        """Ask whose token this is, where the application says how."""
        if not client.facts.userinfo_url:
            return ""
        call = requests.userinfo_call(client.facts.userinfo_url, access_token, self._call_limits)
        answer = await self._send(call)
        return answers.read_subject(answers.read_object(answer.status, answer.body))

    async def _send(self, request: EgressRequest) -> EgressResponse:
        try:
            return await self.out.send(request)
        except EgressFailure as failure:
            raise ProviderUnclear(f"The provider could not be asked: {failure.message}") from failure

    @property
    def _call_limits(self) -> CallLimits:
        return CallLimits(seconds=self.limits.call_seconds, answer_bytes=self.limits.answer_bytes)
