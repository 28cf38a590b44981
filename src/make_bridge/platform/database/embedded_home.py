"""The directory of an embedded PostgreSQL: ``<data dir>/database``, for one supervisor at a time.

It is 0700 and ours; inside lie the lock, the superuser's password and the cluster. The cluster belongs
to the server's user, which for root is another one, so root neither writes through names that user
could have replaced nor believes what it reads there.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from make_bridge.kernel.errors import ConfigurationError, Conflict

MAJOR_VERSION = "18"
_SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_PATH_BYTES = 107
_STAGING_PREFIX = "new-"
_LOGS_KEPT = 5
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one embedded PostgreSQL."""

    path: Path

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def password(self) -> Path:
        return self.path / "password"

    @property
    def cluster(self) -> Path:
        return self.path / "postgresql"

    @property
    def start_log(self) -> Path:
        """What the server says before its own log is open."""
        return self.path / "start.log"

    @property
    def cluster_name(self) -> str:
        """A name that stays when the directory moves; every server process shows it."""
        place = self.path.stat()
        return f"make-bridge-{place.st_dev:x}-{place.st_ino:x}"

    @property
    def socket_directory(self) -> Path:
        """Where clients find the socket: the cluster, or a short link to it where its own path is too long."""
        if _fits(self.cluster):
            return self.cluster
        link = Path(tempfile.gettempdir()) / f"{self.cluster_name}-{os.geteuid()}" / "db"
        if not _fits(link):
            raise ConfigurationError(
                f"A socket's path may have {_SOCKET_PATH_BYTES} bytes, and both the data directory ({self.path}) and "
                f"the temporary directory ({link.parent.parent}) are too long for it. Choose a shorter --data-dir."
            )
        return link


def _fits(directory: Path) -> bool:
    # A comma would split the connection string's host into two.
    return len(os.fsencode(directory / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES and "," not in str(directory)


def home_in(data_dir: Path) -> Home:
    """Name the database's directory inside a data directory: one name for it, whichever link leads there."""
    return Home(data_dir.resolve() / "database")


@contextmanager
def claim(data_dir: Path) -> Iterator[Home]:
    """Hold the directory for this process alone; a second supervisor is refused at once."""
    home = home_in(data_dir)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.path.mkdir(mode=0o700, exist_ok=True)
        if stat.S_IMODE(home.path.stat().st_mode) != 0o700:  # noqa: PLR2004 one's own, and nobody else's
            home.path.chmod(0o700)
        descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"The data directory {data_dir} cannot be used: {error}. Give it to the user that runs Make Bridge, "
            "or pass another --data-dir."
        ) from error
    try:
        _lock_or_refuse(descriptor, data_dir)
        for staging in home.path.glob(f"{_STAGING_PREFIX}*"):
            shutil.rmtree(staging, ignore_errors=True)
        yield home
    finally:
        os.close(descriptor)


def _lock_or_refuse(descriptor: int, data_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        raise Conflict(
            f"The data directory {data_dir} is already served by process {holder}. "
            "Stop that process first, or pass another --data-dir.",
            code="data_dir_in_use",
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def is_claimed(home: Home) -> bool:
    """Say whether a supervisor holds the directory now."""
    try:
        descriptor = os.open(home.lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def short_way(home: Home) -> Iterator[Path]:
    """Keep the clients' way to the socket open: where the path is long, a link in a 0700 directory.

    The server itself binds relative to its own directory and knows no limit. The link's directory is
    held with a shared lock, which keeps cleaners of the temporary directory off it.
    """
    link = home.socket_directory
    if link == home.cluster:
        yield link
        return
    with contextlib.suppress(FileExistsError):
        link.parent.mkdir(mode=0o700)
    descriptor = os.open(link.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _refuse_what_others_may_write(descriptor, link.parent)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        link.unlink(missing_ok=True)
        link.symlink_to(home.cluster)
        try:
            yield link
        finally:
            shutil.rmtree(link.parent, ignore_errors=True)
    finally:
        os.close(descriptor)


def _refuse_what_others_may_write(descriptor: int, directory: Path) -> None:
    found = os.fstat(descriptor)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != 0o700:  # noqa: PLR2004 as it was made
        raise ConfigurationError(f"{directory} is somebody else's. Remove it, or pass a shorter --data-dir.")


def private_file(path: Path) -> IO[bytes]:
    """Open an empty file for writing that only its owner may read, whatever the umask is."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def make_password(home: Home) -> None:
    """Make the bootstrap superuser's password; only before there is a cluster that knows it."""
    home.password.unlink(missing_ok=True)
    with private_file(home.password) as file:
        file.write(secrets.token_urlsafe(32).encode())
        file.flush()
        os.fsync(file.fileno())


def read_password(home: Home) -> str:
    try:
        return home.password.read_text()
    except OSError as error:
        raise ConfigurationError(
            f"The database's password cannot be read: {error}. Put {home.password} back from a backup."
        ) from error


def refuse_other_version(home: Home) -> None:
    """Raise when another major version of PostgreSQL wrote the cluster."""
    version = (home.cluster / "PG_VERSION").read_text().strip()
    if version != MAJOR_VERSION:
        raise ConfigurationError(
            f"The database in {home.cluster} was written by PostgreSQL {version}; this release brings PostgreSQL "
            f"{MAJOR_VERSION}. Run 'make-bridge backup' with the release that wrote it, then 'make-bridge restore' "
            "with this one into an empty --data-dir."
        )


@contextmanager
def staging(home: Home) -> Iterator[Path]:
    """Open a place to build a cluster in; whatever is not moved out of it goes, also after a crash."""
    with tempfile.TemporaryDirectory(prefix=_STAGING_PREFIX, dir=home.path, ignore_cleanup_errors=True) as place:
        yield Path(place)


def adopt_cluster(home: Home, built: Path) -> None:
    """Move a finished cluster into its place, all or nothing."""
    built.rename(home.cluster)
    descriptor = os.open(home.path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_pid_files(home: Home) -> None:
    """Remove what a killed server left; only for callers who know that none of its processes lives."""
    for name in ("postmaster.pid", f"{_SOCKET_NAME}.lock", _SOCKET_NAME):
        (home.cluster / name).unlink(missing_ok=True)


def prune_logs(home: Home) -> None:
    """Keep the newest few log files: the server starts a new one at a size, and never removes one."""
    with _log_files(home) as (directory, names):
        for name in names[:-_LOGS_KEPT]:
            with contextlib.suppress(OSError):  # tidying must never end the supervision it is a part of
                os.unlink(name, dir_fd=directory)


def last_words(home: Home) -> str:
    """Return the end of what the server wrote, for an error message."""
    words = home.start_log.read_text(errors="replace")[-_TAIL_BYTES:] if home.start_log.exists() else ""
    with _log_files(home) as (directory, names):
        for name in names[-1:]:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
            with os.fdopen(descriptor, "rb") as file:
                file.seek(max(0, os.fstat(descriptor).st_size - _TAIL_BYTES))
                words += file.read().decode(errors="replace")
    return words.strip()


@contextmanager
def _log_files(home: Home) -> Iterator[tuple[int, list[str]]]:
    """Open the log directory itself, not what a link in its place points to; names are oldest first."""
    try:
        directory = os.open(home.cluster / "log", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield -1, []
        return
    try:
        names = os.listdir(directory)  # noqa: PTH208 of the open directory, not of its name
        yield directory, sorted(name for name in names if name.startswith("postgresql-"))
    finally:
        os.close(directory)
