"""The token by which another machine may read the counters: out of a file, as secrets are mounted into containers.

``boot`` reads it once; whoever changes it starts the servers again.
"""

from pathlib import Path
from typing import Final

from make_bridge.kernel.errors import ConfigurationError

_FEWEST: Final = 32
_MOST: Final = 512
_ADVICE: Final = "Write one with: openssl rand -hex 32"


def read_token(path: Path) -> str:
    """Read the token, or raise ConfigurationError with what to change; what the file holds is never told."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST + 1)
    except OSError as error:
        raise ConfigurationError(f"The token of /metrics in {path} cannot be read: {error.strerror}.") from error
    token = content.strip()
    if not _FEWEST <= len(token) <= _MOST or not token.isascii() or not all(33 <= byte <= 126 for byte in token):  # noqa: PLR2004 - visible ASCII
        raise ConfigurationError(
            f"The token of /metrics in {path} must have {_FEWEST} to {_MOST} characters without blanks. {_ADVICE}"
        )
    return token.decode("ascii")
