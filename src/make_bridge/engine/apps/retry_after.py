"""Reading how long a server asks its callers to wait: the header Retry-After.

Asked by ``http_response`` for answers that say "too many" or "not now". What the server says is a wish: it is bounded
here, and what cannot be read is as if it had not been said. A date is held against the server's own Date, so that a
clock that differs from ours makes the wait neither longer nor shorter.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from make_bridge.engine.apps.http_headers import header_value
from make_bridge.engine.ports import Headers

LONGEST: Final = 24 * 60 * 60
_MAX_LENGTH: Final = 64
_SECONDS: Final = re.compile(r"[0-9]{1,18}")


def seconds_asked(headers: Headers, now: datetime) -> int | None:
    """Return the seconds to wait, from 0 to ``LONGEST``; None when nothing was asked or it cannot be read."""
    text = header_value(headers, "retry-after").strip()
    if not text or len(text) > _MAX_LENGTH:
        return None
    if _SECONDS.fullmatch(text):
        return min(int(text), LONGEST)
    until = _date(text)
    if until is None:
        return None
    wait = until - (_date(header_value(headers, "date").strip()) or now)
    return min(max(wait // timedelta(seconds=1), 0), LONGEST)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text[:_MAX_LENGTH])
    except (ValueError, OverflowError, IndexError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
