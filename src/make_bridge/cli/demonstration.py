"""``demo``: the demo organization's credentials and templates, made on the first call."""

from make_bridge.cli.operations import domain
from make_bridge.cli.options import Config, DataDir, Json
from make_bridge.cli.output import as_facts, as_json, as_table, command, say
from make_bridge.settings import load_settings
from make_bridge.wiring.faces import ensure_demo


@command
async def demo(*, data_dir: DataDir = None, config: Config = None, as_json_: Json = False) -> None:
    """Print the demo organization "Acme CRM"; may be called again."""
    settings = load_settings(config, {"data_dir": data_dir}).settings
    async with domain(data_dir, config) as opened:
        facts = await ensure_demo(opened, settings)
    if as_json_:
        as_json(facts)
        return
    as_facts(
        (
            ("organization", facts.organization_id),
            ("team", facts.team_id),
            ("key id", facts.key_id),
            ("secret", facts.secret),
            ("API token", facts.api_token),
        )
    )
    say("")
    as_table(("template", "version", "name"), [(t.template_id, t.version_id, t.name) for t in facts.templates])
