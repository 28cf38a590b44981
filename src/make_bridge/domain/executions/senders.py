"""The signed senders of hooks: their secrets opened, their calls let in or refused.

``targets`` opens a rule when it looks a hook up, so opened secrets are kept as long as its entry, two seconds. The
webhook's face asks ``Senders`` before anything of a call is read. A hook that asks for a signature and has no secret
refuses all.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from make_bridge.domain.scenarios.hook_handlers import secret_purpose
from make_bridge.domain.scenarios.signatures import Headers, SignatureRefused, SignatureRule, key_of, verify
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import Unauthenticated
from make_bridge.kernel.ids import HookId, OrganizationId
from make_bridge.platform.security.sealing import Sealing

# One sentence for every reason: who tries signatures out learns nothing from the answer.
_REFUSED = "This webhook takes signed calls only, and this one is not signed as it should be."


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A hook's rule with the keys that verify; its repr shows none."""

    rule: SignatureRule = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)


async def opened(sealing: Sealing, organization_id: OrganizationId, hook_id: HookId, rule: SignatureRule) -> Signed:
    """Open a rule's secrets; raises SealBroken for one that was changed or belongs to another hook."""
    purpose = secret_purpose(hook_id)
    secrets = [await sealing.open(organization_id, purpose, sealed) for sealed in rule.secrets]
    return Signed(rule=rule, keys=tuple(key_of(rule.scheme, secret.decode()) for secret in secrets))


class Senders:
    """Lets signed calls in."""

    def __init__(self, clock: Clock, refused: Callable[[str], None]) -> None:
        """``refused`` is told the reason of each refusal, one of ``signatures.Reason``."""
        self._clock = clock
        self._refused = refused

    def require(self, signed: Signed, headers: Headers, body: bytes) -> None:
        """Raise Unauthenticated, always in the same words, unless one of the hook's keys has signed the call."""
        try:
            verify(signed.rule, signed.keys, headers, body, self._clock.now().timestamp())
        except SignatureRefused as refusal:
            self._refused(refusal.reason.value)
            raise Unauthenticated(_REFUSED, code="signature_refused") from None
