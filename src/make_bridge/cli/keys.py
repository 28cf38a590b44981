"""``make-bridge keys``: an organization's portal keys. Works beside servers that run, which follow within 5 seconds."""

from pathlib import Path
from typing import Annotated

import typer

from make_bridge.cli.operations import domain, operator
from make_bridge.cli.options import Config, DataDir, Json, Organization
from make_bridge.cli.output import as_facts, as_json, as_table, command, say
from make_bridge.domain.organizations.credential_messages import (
    CreatePortalKey,
    ListPortalKeys,
    PortalKeyFacts,
    PortalKeyMade,
    RevokePortalKey,
    RotatePortalKey,
)
from make_bridge.kernel.errors import InvalidInput

Algorithm = Annotated[str | None, typer.Option("--algorithm", help="HS256, RS256 or EdDSA.")]
PublicKey = Annotated[Path | None, typer.Option("--public-key", help="For RS256 and EdDSA: a PEM file.")]
_LARGEST_PEM = 4000


@command
async def list_keys(
    *, organization: Organization, data_dir: DataDir = None, config: Config = None, as_json_: Json = False
) -> None:
    """List an organization's portal keys."""
    async with domain(data_dir, config) as opened:
        found = await opened.queries.ask(operator(organization), ListPortalKeys())
    if as_json_:
        as_json([_facts(key) for key in found])
        return
    rows = [
        (key.key_id, "current" if key.is_current else "previous", key.algorithm, key.not_after, _scope(key))
        for key in found
    ]
    as_table(("key id", "slot", "algorithm", "accepted until", "permissions"), rows)


@command
async def create_key(
    *,
    organization: Organization,
    algorithm: Algorithm = None,
    public_key: PublicKey = None,
    permission: Annotated[
        list[str] | None, typer.Option("--permission", help="What it may grant; repeatable. Without: everything.")
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Put a portal key into the free slot. Its secret is shown this once."""
    create = CreatePortalKey(
        algorithm=algorithm or "HS256", public_key=_pem(public_key), permissions=frozenset(permission or ["*"])
    )
    async with domain(data_dir, config) as opened:
        made = await opened.commands.execute(operator(organization), create)
    _show(made, as_json_=as_json_)


@command
async def rotate_key(
    *,
    organization: Organization,
    overlap: Annotated[
        int | None, typer.Option("--overlap", min=0, help="Seconds for which the key before is accepted.")
    ] = None,
    algorithm: Algorithm = None,
    public_key: PublicKey = None,
    replace_previous: Annotated[
        bool, typer.Option("--replace-previous", help="Also if a key before the current one is still accepted.")
    ] = False,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Make a new current portal key; the one before is accepted until the overlap ends."""
    rotate = RotatePortalKey(
        overlap_seconds=overlap,
        algorithm=algorithm,
        public_key=_pem(public_key),
        replace_previous=replace_previous,
    )
    async with domain(data_dir, config) as opened:
        made = await opened.commands.execute(operator(organization), rotate)
    _show(made, as_json_=as_json_)


@command
async def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The Key ID.")],
    *,
    organization: Organization,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Remove a portal key: refused everywhere within 5 seconds."""
    async with domain(data_dir, config) as opened:
        await opened.commands.execute(operator(organization), RevokePortalKey(key_id=key_id))
    if as_json_:
        as_json({"keyId": key_id})
    else:
        say("Removed.")


def _pem(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            return opened.read(_LARGEST_PEM).decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read as PEM.") from error


def _show(made: PortalKeyMade, *, as_json_: bool) -> None:
    facts = _facts(made.key) | {"secret": made.secret}
    if as_json_:
        as_json(facts)
        return
    as_facts(facts.items())
    if made.secret is not None:
        say("\nKeep the secret: it is not shown again.")


def _scope(key: PortalKeyFacts) -> str:
    return ", ".join(sorted(key.permissions))


def _facts(key: PortalKeyFacts) -> dict[str, object]:
    return {
        "keyId": key.key_id,
        "algorithm": key.algorithm,
        "isCurrent": key.is_current,
        "permissions": sorted(key.permissions),
        "createdAt": key.created_at.isoformat(),
        "notAfter": None if key.not_after is None else key.not_after.isoformat(),
    }
