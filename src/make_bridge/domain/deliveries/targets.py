"""Whether a URL may be called: asked when an endpoint is saved, and again before each attempt.

What a name leads to is only known when it is dialled, and is judged there by the guard of all calls out.
"""

from typing import Final

from make_bridge.domain.deliveries.model import MOST_URL
from make_bridge.kernel.errors import InvalidInput
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure
from make_bridge.platform.egress.urls import read_target

_PLAIN: Final = "Events are sent to https:// only; the setting webhook_plain_http allows http:// too."


def require_open(url: str, policy: EgressPolicy, *, plain_http: bool) -> None:
    """Raise InvalidInput for a URL that nothing is sent to."""
    try:
        target = read_target(url)
    except EgressFailure as failure:
        raise _unfit(failure.message) from None
    if len(url) > MOST_URL:
        raise _unfit(f"The URL of an endpoint has at most {MOST_URL} characters.")
    if target.scheme != "https" and not plain_http:
        raise _unfit(_PLAIN)
    if not policy.opens_port(target.host, target.port):
        raise _unfit(f"Port {target.port} is not open to calls from here.")
    if target.address is not None and not policy.opens_address(target.address, target.port):
        raise _unfit(f"The address {target.host} is not open to calls from here.")


def _unfit(message: str) -> InvalidInput:
    return InvalidInput(message, code="invalid_url", fields={"url": message})
