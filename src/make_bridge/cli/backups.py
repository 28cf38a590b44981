"""``backup`` and ``restore``: the whole installation as a folder of files, and back. ``backup check`` needs no server.

A backup is taken beside servers that run; a restore goes into an installation that nobody serves. The embedded database
is restored beside its place and moved there when it is complete; external databases are given by the settings.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from make_bridge.cli.moving import OwnerFiles, owner_addresses
from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.output import as_json, busy, command, complain, say
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.entropy import random_hex
from make_bridge.kernel.errors import Conflict, InvalidInput
from make_bridge.platform.backups.manifest import Manifest, differing_files, read
from make_bridge.platform.backups.moment import Part
from make_bridge.platform.backups.restoring import RestoreConfig, Restores, Tell
from make_bridge.platform.backups.taking import BackupConfig, Backups
from make_bridge.platform.database.embedded import EmbeddedConfig, EmbeddedPostgres
from make_bridge.platform.database.embedded_home import claim, home_in, is_claimed
from make_bridge.platform.database.opening import DatabaseAddress, DatabasePlan, prepare
from make_bridge.platform.security.portal_tokens import LONGEST_REMEMBERED
from make_bridge.platform.security.root_key import RootKeys, copy_key
from make_bridge.settings import Settings, load_settings
from make_bridge.wiring.databases import external_plan, plan_of, role_secret_of

_STAGING: Final = ".restoring-"
_CHECK: Final = "check"
_KEYLESS: Final = (
    "The root key is NOT in this backup. Without it no credential, connection or key of anybody in it can ever be "
    "opened: keep a copy of {} elsewhere (--with-key FILE writes one)."
)
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=32, help="How many connections work on a database at once.")]
Minutes = Annotated[float, typer.Option("--minutes", min=0.1, help="How long all of it may take.")]


@command
async def backup(
    words: Annotated[
        list[str], typer.Argument(metavar="[check] DIR", help="A new or empty folder; with check, a backup to verify.")
    ],
    *,
    with_key: Annotated[
        Path | None, typer.Option("--with-key", help="Also copy the root key to this new file, in another folder.")
    ] = None,
    jobs: Jobs = 2,
    compression: Annotated[int, typer.Option("--compression", min=0, max=9, help="Of gzip; 0 is none.")] = 3,
    minutes: Minutes = 600.0,
    owner_file: OwnerFiles = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Save all databases as of one moment beside servers that run; `backup check DIR` verifies a backup's files."""
    match words:
        case [name, folder] if name == _CHECK:
            await _check(Path(folder), as_json_=as_json_)
            return
        case [folder]:
            target = Path(folder)
        case _:
            raise InvalidInput("Name one folder: 'make-bridge backup DIR', or 'make-bridge backup check DIR'.")
    settings = load_settings(config, {"data_dir": data_dir}).settings
    if with_key is not None:
        await asyncio.to_thread(_refuse_key_beside, with_key, target)
    taking = BackupConfig(jobs=jobs, compression=compression, seconds=minutes * 60)
    async with AsyncExitStack() as stack:
        plan = await plan_of(stack, settings, join=True)
        parts = await _parts(plan, owner_file)
        with busy("backing up") as tell:
            manifest = await Backups(config=taking, clock=SystemClock(), tell=_telling(tell)).take(parts, target)
    if with_key is not None:
        await asyncio.to_thread(copy_key, settings.root_key_path, with_key)
    complain(f"The root key is in {with_key}: keep it apart from the backup." if with_key else
             _KEYLESS.format(settings.root_key_path))  # fmt: skip
    _show(manifest, target, as_json_=as_json_)


@command
async def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A backup.")],
    *,
    key: Annotated[
        Path | None, typer.Option("--key", help="The root key of the installation that was backed up, if not here yet.")
    ] = None,
    replace_: Annotated[bool, typer.Option("--replace", help="Put it in the place of what is there now.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    jobs: Jobs = 2,
    minutes: Minutes = 600.0,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Bring a backup back into an empty installation that nobody serves, and migrate it where it is older."""
    if replace_ and not yes:
        typer.confirm("What the databases hold now will be replaced. Go on?", abort=True, err=True)
    settings = load_settings(config, {"data_dir": data_dir}).settings
    manifest = await asyncio.to_thread(read, folder)
    roots = await asyncio.to_thread(_root_keys, settings, manifest, key)
    config_ = RestoreConfig(jobs=jobs, seconds=minutes * 60, token_life=LONGEST_REMEMBERED)
    async with AsyncExitStack() as stack:
        with busy("restoring") as tell:
            telling = _telling(tell)
            plan = external_plan(settings)
            drops = replace_
            if plan is None:
                plan, drops = await stack.enter_async_context(_beside(settings.data_dir, replaces=replace_)), False
            restores = Restores(config=config_, clock=SystemClock(), tell=telling)
            await restores.restore(folder, manifest, await _parts(plan, None), replace=drops)
            telling("migrating")
            plan = replace(plan, patience=settings.migration_patience())
            lines, _ = await prepare(plan, await role_secret_of(plan, roots))
    for line in lines:
        complain(line)
    _show(manifest, folder, as_json_=as_json_)


async def _check(folder: Path, *, as_json_: bool) -> None:
    manifest = await asyncio.to_thread(read, folder)
    with busy("comparing the files with their checksums"):
        wrong = await differing_files(folder, manifest)
    if wrong:
        for sentence in wrong:
            complain(sentence)
        raise InvalidInput(f"The backup in {folder} is damaged.")
    _show(manifest, folder, as_json_=as_json_)


def _show(manifest: Manifest, folder: Path, *, as_json_: bool) -> None:
    owners = {owner for database in manifest.databases for owner in database.organizations}
    if as_json_:
        as_json({
            "id": manifest.id, "folder": str(folder), "snapshotAt": manifest.snapshot_at, "bytes": manifest.size,
            "rows": manifest.rows, "organizations": len(owners), "programVersion": manifest.program_version,
            "databases": [database.what for database in manifest.databases],
        })  # fmt: skip
        return
    say(f"{folder}: {', '.join(database.what for database in manifest.databases)}, as of {manifest.snapshot_at}.")
    say(f"{manifest.rows} rows of {len(owners)} organizations in {manifest.size} bytes.")


async def _parts(plan: DatabasePlan, owner_files: Sequence[str] | None) -> list[Part]:
    parts = [
        Part(dsn=address.owner_url or address.url, has_directory="directory" in trees,
             shard=number if "shard" in trees else None)
        for address, trees, number in plan.trees()
    ]  # fmt: skip
    known = {part.shard for part in parts}
    added = await owner_addresses(owner_files)
    return parts + [Part(dsn=url, has_directory=False, shard=n) for n, url in added.items() if n not in known]


def _telling(tell: Tell) -> Tell:
    """Say each step on standard error, where it changes the words on a terminal and is a line elsewhere."""

    def told(words: str) -> None:
        tell(words)
        complain(words)

    return told


def _refuse_key_beside(key: Path, folder: Path) -> None:
    if folder.resolve() in key.resolve().parents:
        raise InvalidInput("The root key must not lie in the backup it opens: name a file in another folder.")
    if key.exists():
        message = f"{key} exists already: name a new file for the root key."
        raise InvalidInput(message)


def _root_keys(settings: Settings, manifest: Manifest, given: Path | None) -> RootKeys:
    """Return the root keys, the given one laid in its place; refuses keys that do not open the backup."""
    path = settings.root_key_path
    source = path if path.exists() else given
    if source is None:
        message = (
            f"What the backup holds is sealed by the root key of its installation, which is not at {path}: put it "
            "there, or name its file with --key."
        )
        raise InvalidInput(message)
    if manifest.root_key_check and not _knows(source, manifest.root_key_check):
        message = f"{source} is not the root key of the installation that was backed up: nothing in it would open."
        raise InvalidInput(message)
    if source != path:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy_key(source, path)
    return RootKeys.load(path)


def _knows(source: Path, check: str) -> bool:
    return any(key.check == check for key in RootKeys.load(source).known())


@asynccontextmanager
async def _beside(data_dir: Path, *, replaces: bool) -> AsyncIterator[DatabasePlan]:
    """Serve an empty embedded database beside the real one; when the block succeeds it takes that place."""
    home = home_in(data_dir)
    if home.cluster.exists() and not replaces:
        message = f"There is a database in {home.path}. --replace puts it aside and takes its place."
        raise Conflict(message)
    if home.path.exists() and await asyncio.to_thread(is_claimed, home):
        message = f"The data directory {data_dir} is served now: stop that server first."
        raise Conflict(message)
    staging = data_dir / f"{_STAGING}{random_hex(4)}"
    with claim(data_dir):
        try:
            async with EmbeddedPostgres(EmbeddedConfig(data_dir=staging)) as facts:
                yield DatabasePlan(directory=DatabaseAddress(url=facts.admin_dsn), shards={})
            await asyncio.to_thread(_take_place, data_dir, staging)
        finally:
            await asyncio.to_thread(shutil.rmtree, staging, ignore_errors=True)


def _take_place(data_dir: Path, staging: Path) -> None:
    place = home_in(data_dir).path
    aside = data_dir / f"database.before-restore-{random_hex(4)}"
    had_one = home_in(data_dir).cluster.exists()
    place.rename(aside)
    home_in(staging).path.rename(place)
    descriptor = os.open(data_dir, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if had_one:
        complain(f"What was there before is in {aside}: delete it when you do not need it any more.")
    else:
        shutil.rmtree(aside)
