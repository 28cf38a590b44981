"""``customer erase``: all that a customer left, gone for good."""

from typing import Annotated, Final

import typer

from make_bridge.cli.moving import OwnerFiles
from make_bridge.cli.operations import domain
from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.organization_archives import owner_of, owners_of
from make_bridge.cli.output import as_json, as_table, busy, command, say
from make_bridge.domain.customers.erasing import Erased, Erasing
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.sharding import moving_store

# Hooks are remembered for two seconds, programs of runs and customers for five.
_SETTLE_SECONDS: Final = 6.0


@command
async def erase_customer(
    organization: Annotated[int, typer.Argument(help="The organization's id.")],
    external_id: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's external id: its sub.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and erase nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    owner_file: OwnerFiles = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Erase a customer for good: integrations, connections, runs, stored data. Its audit rows stay, by number."""
    if not dry_run and not yes:
        typer.confirm(f"All that {external_id} made, connected and ran will be gone. Go on?", abort=True, err=True)
    organization_id = OrganizationId(organization)
    async with domain(data_dir, config) as opened:
        facts = await opened.organizations.get(organization_id)
        number = await moving_store.placed(opened.shards.directory, organization_id)
        _, shards = await owners_of(opened, owner_file)
        erasing = Erasing(
            shard=opened.shards.numbered(number),
            owner_dsn=owner_of(shards, number),
            root_team_id=facts.root_team_id,
            settle=_SETTLE_SECONDS,
        )
        with busy("erasing"):
            act = erasing.preview if dry_run else erasing.erase
            erased = await act(organization_id, external_id)
    _show(erased, dry_run=dry_run, as_json_=as_json_)


def _show(erased: Erased, *, dry_run: bool, as_json_: bool) -> None:
    if as_json_:
        as_json({"erased": not dry_run, "rows": erased})
        return
    as_table(("table", "rows"), sorted(erased.items()))
    say("Nothing was erased." if dry_run else "Erased. Backups still hold what they held.")
