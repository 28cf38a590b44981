"""Verifying a webhook as a receiver does, written from the description and from nothing of the product."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

TOLERANCE = 300


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Return the message's id when one of its signatures fits this secret and its time is near; fail otherwise."""
    identity, moment = headers["webhook-id"], headers["webhook-timestamp"]
    assert abs(now - int(moment)) <= TOLERANCE, (moment, now)
    key = base64.b64decode(secret.split("_", 1)[1])
    wanted = hmac.new(key, b".".join([identity.encode(), moment.encode(), body]), hashlib.sha256).digest()
    offered = [part.split(",", 1) for part in headers["webhook-signature"].split(" ")]
    fits = [hmac.compare_digest(base64.b64decode(value), wanted) for version, value in offered if version == "v1"]
    assert any(fits), "no signature fits"
    return identity
