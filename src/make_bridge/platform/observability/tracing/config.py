"""Where spans go and how many may wait; ``settings`` produces it."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from make_bridge.kernel.errors import ConfigurationError

_MOST_BYTES: Final = 16 * 1024
_LINE: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([!-~](?:[ -~]{0,4000}[!-~])?)")
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    """``url`` is where traces are posted to; the queue and a batch are in spans, times in seconds."""

    url: str
    headers: Headers = field(default=(), repr=False)
    most_waiting: int = 4096
    batch: int = 512
    every: float = 1.0
    deadline: float = 5.0


def read_headers(path: Path) -> Headers:
    """Read lines ``Name: value``; raises ConfigurationError with what to change, and never with what the file holds."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"The headers for the collector in {path} cannot be read: {error.strerror}."
        ) from error
    lines = [line.strip() for line in content.decode("latin-1").splitlines()]
    found = [_LINE.fullmatch(line) for line in lines if line and not line.startswith("#")]
    if len(content) > _MOST_BYTES or not found or None in found:
        raise ConfigurationError(f"{path} must hold lines of the form 'Name: value', {_MOST_BYTES} bytes at most.")
    return tuple((line[1].lower(), line[2]) for line in found if line is not None)
