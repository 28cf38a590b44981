"""Where Elasticsearch (or OpenSearch) is and who calls there; ``settings`` produces it."""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from make_bridge.kernel.errors import ConfigurationError

_MOST_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticsearchConfig:
    """``authorization`` is the header's value; ``seconds`` bound one call, ``batch_bytes`` what it carries."""

    url: str
    index: str
    seconds: float
    batch_bytes: int
    authorization: str | None = field(default=None, repr=False)
    authority: Path | None = None


def read_authorization(path: Path) -> str:
    """Read NAME:PASSWORD, ``ApiKey …`` or ``Bearer …``; raises ConfigurationError with what to change.

    What the file holds is never told.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1).strip()
    except OSError as error:
        raise ConfigurationError(f"Elasticsearch's credentials in {path} cannot be read: {error.strerror}.") from error
    kind, _, credentials = content.partition(b" ")
    if len(content) <= _MOST_BYTES and all(33 <= byte <= 126 for byte in credentials):  # noqa: PLR2004 - visible ASCII
        if kind in {b"ApiKey", b"Bearer"} and credentials:
            return content.decode("ascii")
        name, _, password = content.partition(b":")
        if not credentials and name and password and b"\n" not in content:
            return f"Basic {base64.b64encode(content).decode('ascii')}"
    raise ConfigurationError(f"{path} must hold one line: NAME:PASSWORD, 'ApiKey …' or 'Bearer …'.")
