"""``database advise``: proposals for the indexes of external databases."""

import psycopg
from psycopg.conninfo import conninfo_to_dict

from make_bridge.cli.options import Config, Json
from make_bridge.cli.output import as_json, command, say
from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.database.advisor import Advice, AdviceLimits, advise
from make_bridge.settings import load_settings
from make_bridge.wiring.databases import external_plan

_EMBEDDED = (
    "The embedded database has neither pg_stat_statements nor hypopg, and its statistics go with its files: there is "
    "nothing to advise from. Set MAKE_BRIDGE_DATABASE_URL to look at an external one."
)


@command
async def advise_indexes(*, config: Config = None, as_json_: Json = False) -> None:
    """Propose indexes to make or drop, with reasons and the statements to run; it runs none of them."""
    plan = external_plan(load_settings(config).settings)
    if plan is None:
        raise BridgeError(_EMBEDDED)
    found: dict[str, Advice] = {}
    for address, _, _ in plan.trees():
        url = address.owner_url or address.url
        where = conninfo_to_dict(url)
        name = f"{where.get('dbname')} at {where.get('host')}"
        try:
            found[name] = await advise(url, AdviceLimits())
        except psycopg.OperationalError as error:
            raise BridgeError(f"Cannot look at the database {name}: {error}") from error
    if as_json_:
        as_json([{"database": name, "proposals": advice.proposals, "notes": advice.notes}
                 for name, advice in found.items()])  # fmt: skip
        return
    for name, advice in found.items():
        say(name)
        for proposal in advice.proposals:
            say(f"  {proposal.kind} on {proposal.relation}: {proposal.reason}")
            say(f"    {proposal.statement}")
        if not advice.proposals:
            say("  nothing to propose")
        for note in advice.notes:
            say(f"  {note}")
