"""``org export`` and ``org import``: one organization as a file, from one installation into another."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from make_bridge.cli.moving import OwnerFiles, owner_addresses
from make_bridge.cli.operations import domain
from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.output import as_json, busy, command, say
from make_bridge.domain.organizations.model import checked_name
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.backups.archive import ArchiveManifest, manifest_of
from make_bridge.platform.backups.exporting import Exports, Places
from make_bridge.platform.backups.importing import Imports
from make_bridge.platform.sharding import moving_store
from make_bridge.wiring.archives import NewCredentials
from make_bridge.wiring.domain import Domain

_MOST_FILE: Final = 4096
_MIB: Final = 2**20
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="The passphrase that credentials are sealed with. Asked for without it."),
]


@command
async def export_organization(
    organization: Annotated[int, typer.Argument(help="The organization's id.")],
    file: Annotated[Path, typer.Argument(help="A new file.")],
    *,
    passphrase_file: PassphraseFile = None,
    without_credentials: Annotated[
        bool,
        typer.Option("--without-credentials", help="Leave out all that lets in, signs or opens: no passphrase."),
    ] = False,
    owner_file: OwnerFiles = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Write an organization to a file for another installation: what it made and set, not what it ran."""
    if without_credentials and passphrase_file is not None:
        message = "An archive without credentials has no passphrase: leave --passphrase-file out."
        raise InvalidInput(message)
    passphrase = None
    if not without_credentials:
        passphrase = await asyncio.to_thread(_passphrase, passphrase_file, confirms=True)
    async with domain(data_dir, config) as opened:
        directory, shards = await owners_of(opened, owner_file)
        number = await moving_store.placed(opened.shards.directory, OrganizationId(organization))
        places = Places(directory=directory, shard=owner_of(shards, number))
        with busy(f"exporting {organization}"):
            exports = Exports(places=places, roots=opened.roots, clock=opened.clock)
            manifest = await exports.export(OrganizationId(organization), passphrase, file)
        await opened.service.note(OrganizationId(organization), "organization.export")
    _show(manifest, file, as_json_=as_json_)
    if not as_json_:
        left = {table: number for table, number in manifest.left_behind.items() if number}
        say(f"Left behind: {', '.join(f'{table} {number}' for table, number in left.items()) or 'nothing'}.")


@command
async def import_organization(
    file: Annotated[Path, typer.Argument(help="What 'org export' wrote.")],
    *,
    name: Annotated[str | None, typer.Option("--name", help="Instead of the name it has.")] = None,
    passphrase_file: PassphraseFile = None,
    most_mib: Annotated[int, typer.Option("--most-mib", min=1, help="How much the archive may unpack to.")] = 4096,
    owner_file: OwnerFiles = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Bring an organization from another installation in, with its ids, webhook addresses, keys and tokens."""
    given = None if name is None else checked_name(name)
    of_file = await asyncio.to_thread(manifest_of, file, most_mib * _MIB)
    passphrase = None
    if of_file.data_keys:
        passphrase = await asyncio.to_thread(_passphrase, passphrase_file, confirms=False)
    async with domain(data_dir, config) as opened:
        directory, shards = await owners_of(opened, owner_file)
        number = opened.shards.propose(OrganizationId(of_file.organization_id))
        imports = Imports(
            places=Places(directory=directory, shard=owner_of(shards, number)),
            shard=number,
            others=tuple(url for one, url in shards.items() if one != number),
            roots=opened.roots,
            most_bytes=most_mib * _MIB,
            refill=NewCredentials(),
        )
        with busy(f"importing {file}"):
            manifest = await imports.bring(file, passphrase, name=given)
        await opened.service.note(OrganizationId(manifest.organization_id), "organization.import")
    _show(manifest, file, as_json_=as_json_)
    if not manifest.data_keys and not as_json_:
        say("Without credentials: its webhooks have new addresses, its connections are empty, and it has no keys.")


def _show(manifest: ArchiveManifest, file: Path, *, as_json_: bool) -> None:
    rows = sum(table.rows for table in manifest.tables.values())
    if as_json_:
        as_json({
            "organizationId": manifest.organization_id, "name": manifest.name, "file": str(file), "rows": rows,
            "leftBehind": manifest.left_behind,
        })  # fmt: skip
        return
    say(f"Organization {manifest.organization_id} ({manifest.name}): {rows} rows, {file}.")


def _passphrase(file: Path | None, *, confirms: bool) -> bytes:
    if file is None:
        asked: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirms, err=True)
        return asked.encode()
    try:
        with file.open("rb") as opened:
            return opened.read(_MOST_FILE).strip()
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}."
        raise InvalidInput(message) from error


async def owners_of(opened: Domain, files: list[str] | None) -> tuple[str, dict[int, str]]:
    """Return the owners' addresses of the directory and of each shard."""
    trees = opened.shard_opening.plan.trees()
    directory = next(address for address, carried, _ in trees if "directory" in carried)
    shards = {number: address.owner_url or address.url for address, carried, number in trees if "shard" in carried}
    return directory.owner_url or directory.url, shards | await owner_addresses(files)


def owner_of(shards: dict[int, str], number: int) -> str:
    """Return the owner's address of one shard; raises InvalidInput where only what serves is known."""
    if number not in shards:
        message = (
            f"Of shard {number} only what serves is known: give its owner's address with --owner-file {number}=FILE."
        )
        raise InvalidInput(message)
    return shards[number]
