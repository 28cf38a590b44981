"""The turnstile of the token-protected APIs: how often who may pass, asked by ``gates`` around authentication.

Before it, ``attempts`` decides whether the credentials are looked at. After it, requests count for the key or token
that was shown, within its organization; every answer from there on says how that limit stands.
"""

from collections.abc import Hashable

from starlette.requests import Request

from make_bridge.faces.edge.attempts import Attempt, Attempts, attempt_of
from make_bridge.faces.edge.authentication import Identity
from make_bridge.faces.edge.cross_origin import CrossOrigin
from make_bridge.faces.edge.problems import rate_headers
from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.limits.port import RateLimit


class Turnstile:
    """See the module; ``cross_origin`` decides which pages of browsers may read the answers."""

    def __init__(self, attempts: Attempts, api: RateLimit, cross_origin: CrossOrigin) -> None:
        """Count attempts there and requests in ``api``."""
        self.attempts = attempts
        self.cross_origin = cross_origin
        self._api = api

    def admit(self, request: Request) -> Attempt:
        """Let the credentials be looked at, or raise RateLimited."""
        attempt = attempt_of(request.state.address, "\n".join(request.headers.getlist("authorization")))
        self.attempts.admit(attempt)
        return attempt

    async def failed(self, attempt: Attempt, error: BridgeError) -> BridgeError:
        """Count a refusal; return what to answer."""
        return await self.attempts.failed(attempt) or error

    async def passed(self, request: Request, attempt: Attempt, identity: Identity) -> None:
        """Count a request, or raise RateLimited."""
        self.attempts.passed(attempt)
        rate = self._api.rate
        if not rate.most:
            return
        key: Hashable = (identity.organization_id, identity.credential)
        await self._api.require(key)
        standing = self._api.standing(key)
        request.state.answer_headers.extend(
            rate_headers(rate.name, rate.most, rate.seconds, left=standing.left, clear_in=standing.clear_in)
        )
