"""The order in which acts of both homes are told, and how a page names its end. Pure."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, cast

from make_bridge.domain.audit.messages import Act, Place
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.messages import Home

MOST: Final = 1000
LONGEST_FILTER: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE: Final = re.compile(r"([0-9]{1,17})\.(shard|directory)\.([0-9]{1,19})")


def place_of(act: Act) -> Place:
    """Return where a page that ends with an act ended."""
    return Place(at=act.at, home=act.home, id=act.id)


def merged(pages: Iterable[Sequence[Act]], limit: int) -> list[Act]:
    """Return the newest acts of several pages."""
    everything = [act for page in pages for act in page]
    return list(islice(sorted(everything, key=lambda act: (act.at, act.home, act.id), reverse=True), limit))


def write_place(place: Place) -> str:
    """Return a place as callers hand it back."""
    return f"{(place.at - _EPOCH) // timedelta(microseconds=1)}.{place.home}.{place.id}"


def read_place(text: str) -> Place:
    """Return the place of a page's ``next``, or raise InvalidInput."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidInput("after is the 'next' of the page before.", code="invalid_page")
    at = _EPOCH + timedelta(microseconds=int(found[1]))
    return Place(at=at, home=cast("Home", found[2]), id=min(int(found[3]), 2**63 - 1))


def checked_filter(name: str, text: str | None) -> str | None:
    """Return what is looked for, or raise InvalidInput."""
    if text is not None and (not text or len(text) > LONGEST_FILTER or "\x00" in text):
        raise InvalidInput(f"{name} has 1 to {LONGEST_FILTER} characters.", code="invalid_filter")
    return text


def read_moment(name: str, text: str | None) -> datetime | None:
    """Return a moment (a day is its first one, without an offset it is UTC), or raise InvalidInput."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"{name} is a day or a moment, such as 2026-11-22 or 2026-11-22T13:00:00Z."
        raise InvalidInput(message, code="invalid_range") from None
