"""The numbers that Make's API gives time zones: made of their names, so that they are the same on every server.

Make's own numbers are a table of theirs. Ours are the CRC-32 of the name, less its first bit; a test sees that no two
zones share one.
"""

import zlib
from functools import cache
from typing import Final
from zoneinfo import available_timezones

from make_bridge.kernel.errors import InvalidInput

_POSITIVE: Final = 0x7FFF_FFFF


def id_of(name: str) -> int:
    """Return the number of a time zone."""
    return zlib.crc32(name.encode()) & _POSITIVE


def name_of(number: int) -> str:
    """Return the name of a time zone; raises InvalidInput."""
    name = _names().get(number)
    if name is None:
        raise InvalidInput("There is no such time zone.", fields={"timezoneId": "There is no such time zone."})
    return name


@cache
def _names() -> dict[int, str]:
    return {id_of(name): name for name in available_timezones()}
