"""Taking a backup: ``make-bridge backup DIR``, beside servers that run.

One moment in all databases (``moment``), then of each its dump by pg_dump and its sums, both of that moment, then the
checksums of the files, then the manifest. Whatever ends in between leaves a folder without a manifest, which nothing
takes for a backup.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from make_bridge import __version__
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.entropy import random_hex
from make_bridge.kernel.errors import BridgeError, InvalidInput
from make_bridge.platform.backups.manifest import (
    FORMAT,
    Manifest,
    SavedDatabase,
    TreeVersion,
    files_of,
    sync_all,
    write,
)
from make_bridge.platform.backups.moment import Part, Snapshot, moment_of, root_key_check, size_of, version_of
from make_bridge.platform.backups.sums import sums_of
from make_bridge.platform.database.client_programs import programs_for_server, server_major, start_program

Tell = Callable[[str], None]
_TAIL: Final = 1000
_ID_BYTES: Final = 16
_OPTIONS: Final = (
    "--format=directory", "--no-owner", "--no-unlogged-table-data", "--no-tablespaces", "--no-comments",
    "--schema=directory", "--schema=shard", "--exclude-table-data=*.schema_version", "--lock-wait-timeout=60000",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupConfig:
    """How a backup is taken: processes that read a database at once, gzip's level, and how long all of it may take."""

    jobs: int
    compression: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backups:
    """See the module."""

    config: BackupConfig
    clock: Clock
    tell: Tell

    async def take(self, parts: Sequence[Part], folder: Path) -> Manifest:
        """Take a backup into a folder that is new or empty."""
        await asyncio.to_thread(_make_empty, folder)
        try:
            async with asyncio.timeout(self.config.seconds):
                return await self._take(parts, folder)
        except TimeoutError:
            message = (
                f"The backup took longer than {self.config.seconds:g} s and is not finished: give it more --minutes."
            )
            raise BridgeError(message) from None

    async def _take(self, parts: Sequence[Part], folder: Path) -> Manifest:
        self.tell("taking a snapshot of every database")
        async with moment_of(parts) as snapshots:
            await _require_room(folder, sum([await size_of(snapshot) for snapshot in snapshots]))
            check = await root_key_check(next(one for one in snapshots if one.part.has_directory))
            databases = [await self._save(snapshot, folder) for snapshot in snapshots]
        self.tell("computing checksums of the files")
        files = await files_of(folder)
        await asyncio.to_thread(sync_all, folder)
        manifest = Manifest(
            format=FORMAT,
            id=random_hex(_ID_BYTES),
            program_version=__version__,
            snapshot_at=min(database.snapshot_at for database in databases),
            finished_at=self.clock.now(),
            root_key_check=check,
            databases=tuple(databases),
            files=files,
        )
        await asyncio.to_thread(write, folder, manifest)
        return manifest

    async def _save(self, snapshot: Snapshot, folder: Path) -> SavedDatabase:
        part = snapshot.part
        self.tell(f"writing {part.folder}")
        programs = await programs_for_server(part.dsn)
        dump = await start_program(
            programs / "pg_dump",
            part.dsn,
            *_OPTIONS,
            f"--file={folder / part.folder}",
            f"--jobs={self.config.jobs}",
            f"--compress={self.config.compression}",
            f"--snapshot={snapshot.name}",
        )
        try:
            (tables, organizations), (_, complaint) = await asyncio.gather(
                sums_of(snapshot.connection), dump.communicate()
            )
        finally:
            if dump.returncode is None:
                dump.kill()
                await dump.wait()
        if dump.returncode:
            message = f"{part.folder} could not be saved: {complaint.decode(errors='replace').strip()[-_TAIL:]}"
            raise BridgeError(message)
        versions = {tree: await version_of(snapshot, tree) for tree in part.trees}
        return SavedDatabase(
            folder=part.folder,
            shard=part.shard,
            has_directory=part.has_directory,
            server_version=await server_major(part.dsn),
            dump_version=await version_of_program(programs / "pg_dump"),
            snapshot_at=snapshot.taken_at,
            versions={tree: TreeVersion(version=at, serves_from=floor) for tree, (at, floor) in versions.items()},
            tables=tables,
            organizations=organizations,
        )


async def version_of_program(program: Path) -> int:
    """Return the major version of a program of PostgreSQL."""
    process = await asyncio.create_subprocess_exec(
        program, "--version", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, env={}
    )
    said, _ = await process.communicate()
    number = said.decode(errors="replace").partition(") ")[2].partition(".")[0].partition(" ")[0]
    return int(number) if number.isdecimal() else 0


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.scandir(folder) as found:
            if any(found):
                message = f"{folder} is not empty: a backup takes a folder of its own."
                raise InvalidInput(message)
        folder.chmod(0o700)
    except OSError as error:
        message = f"The backup cannot be written to {folder}: {error.strerror}."
        raise InvalidInput(message) from error


async def _require_room(folder: Path, needed: int) -> None:
    free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
    if free < needed:
        message = (
            f"The disk of {folder} has {free // 2**20} MiB left, and the tables have {needed // 2**20} MiB: choose "
            "another folder. (A backup is compressed and mostly smaller, but it must not fill the disk of a server.)"
        )
        raise InvalidInput(message)
