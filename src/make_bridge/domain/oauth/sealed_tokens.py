"""From a provider's tokens to what is written: sealed, with the time at which they are renewed."""

from make_bridge.domain.oauth import sealed
from make_bridge.domain.oauth.answers import Tokens
from make_bridge.domain.oauth.grants_store import SealedTokens
from make_bridge.domain.oauth.model import OAuthLimits, ahead_of_end
from make_bridge.kernel.entropy import chance
from make_bridge.kernel.ids import ComponentId, OrganizationId
from make_bridge.platform.security.sealing import Sealing


async def sealed_tokens(
    sealing: Sealing, limits: OAuthLimits, organization_id: OrganizationId, connection_id: ComponentId, tokens: Tokens
) -> SealedTokens:
    """Return tokens as they are kept."""

    async def seal(which: str, text: str) -> str:
        return await sealing.seal(organization_id, sealed.token(connection_id, which), text.encode())

    life = tokens.life
    return SealedTokens(
        access=await seal("access", tokens.access),
        refresh=None if tokens.refresh is None else await seal("refresh", tokens.refresh),
        scope=tokens.scope,
        life=life,
        until_due=None if life is None else life - ahead_of_end(limits, life, chance()),
    )
