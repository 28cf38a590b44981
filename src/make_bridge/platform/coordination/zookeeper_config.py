"""Where ZooKeeper is and how it is talked to; ``settings`` produces it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from make_bridge.kernel.errors import ConfigurationError

_MOST_BYTES: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooKeeperTls:
    """What the servers' certificates are checked against, and what this process shows them if they ask for it."""

    authority: Path
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooKeeperConfig:
    """``path`` is the installation's own part of the tree; ``auth`` is NAME:PASSWORD of the scheme digest."""

    hosts: tuple[str, ...]
    path: str
    session_seconds: float
    answer_seconds: float
    auth: str | None = field(default=None, repr=False)
    tls: ZooKeeperTls | None = None


def read_auth(path: Path) -> str:
    """Read NAME:PASSWORD, or raise ConfigurationError with what to change; what the file holds is never told."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1).strip()
    except OSError as error:
        raise ConfigurationError(f"ZooKeeper's password in {path} cannot be read: {error.strerror}.") from error
    name, _, password = content.partition(b":")
    if len(content) > _MOST_BYTES or not name or not password or not content.isascii() or len(content.split()) > 1:
        raise ConfigurationError(f"{path} must hold one line, NAME:PASSWORD, as ZooKeeper's scheme digest has it.")
    return content.decode("ascii")
