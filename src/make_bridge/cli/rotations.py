"""Rotating data keys and the root key, and destroying an organization's keys. Beside servers that run.

A rotation of the root key: the new key is laid beside the current one, where servers find it without a restart; every
data key is wrapped anew; then the new file takes the old one's place. Whatever broke off is finished by repeating it.
"""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from make_bridge.cli.operations import domain, operator
from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.output import as_json, busy, command, say
from make_bridge.domain.organizations.data_key_rotation import all_organizations
from make_bridge.domain.organizations.root_rotation import RootRotation
from make_bridge.domain.organizations.rotation_messages import RotateDataKey
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security.root_key import RootKey, place_next_key
from make_bridge.settings import load_settings


@command
async def rotate_root(
    *,
    new_key_file: Annotated[Path, typer.Option("--new-key-file", help="The new root key; only you may read the file.")],
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Wrap every data key with a new root key, beside servers that run; repeat it if it breaks off."""
    path = load_settings(config, {"data_dir": data_dir}).settings.root_key_path
    old, new = [await asyncio.to_thread(RootKey.load, file) for file in (path, new_key_file)]
    following = path if old.name == new.name else await asyncio.to_thread(place_next_key, path, new_key_file)
    async with domain(data_dir, config) as opened:
        rotation = RootRotation(directory=opened.shards.directory, old=old, new=new)
        left, done = await rotation.begin(), 0
        with busy(f"{left} data keys to wrap anew") as tell:
            while count := await rotation.piece():
                done += count
                tell(f"{done} of {max(left, done)} data keys wrapped anew")
        await rotation.finish()
    is_in_place = following == path or await asyncio.to_thread(_put_in_place, following, path)
    if as_json_:
        as_json({"dataKeys": done, "inPlace": is_in_place})
        return
    say(f"{done} data keys were wrapped anew. The old root key opens nothing any more.")
    if not is_in_place:
        say(f"Now put the new key in the place of {path}, on every machine, and remove {following}.")


def _put_in_place(following: Path, path: Path) -> bool:
    """Let the new key take the old one's name; not where an operator's own tools own the folder."""
    try:
        following.replace(path)
    except OSError:
        return False
    return True


@command
async def rotate_data(
    organization: Annotated[int | None, typer.Argument(help="The organization's id.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every organization.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Seal an organization's secrets anew under a new data key, as a job beside what runs."""
    if (organization is None) != every:
        raise InvalidInput("Name one organization, or say --all.")
    async with domain(data_dir, config) as opened:
        chosen = await all_organizations(opened.shards) if organization is None else [OrganizationId(organization)]
        for one in chosen:
            await opened.organizations.get(one)
        asked = [(one, await opened.commands.execute(operator(one), RotateDataKey())) for one in chosen]
    if as_json_:
        as_json([{"organizationId": one, "jobId": job_id} for one, job_id in asked])
        return
    for one, job_id in asked:
        say(f"{one}: make-bridge jobs show {job_id} --organization {one}")


@command
async def shred_organization(
    organization: Annotated[int, typer.Argument(help="The organization's id.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Needed: this cannot be undone.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Destroy an organization's keys for good: its credentials can never be read again."""
    if not yes:
        raise InvalidInput("This cannot be undone, not even from this database: repeat it with --yes.")
    async with domain(data_dir, config) as opened:
        await opened.service.shred(OrganizationId(organization))
    if as_json_:
        as_json({"organizationId": organization, "shredded": True})
    else:
        say("Its keys are destroyed. Servers that run follow within 5 seconds; backups still hold what they held.")
