"""The command tree: every command with its place. A new one is a function in a module of its family and a line here."""

from collections.abc import Mapping
from typing import Final

import typer

from make_bridge import __version__
from make_bridge.cli.lazy import Deferred, Family, group_of

_ARCHIVES: Final = "make_bridge.cli.organization_archives"
_AUDIT: Final = "make_bridge.cli.audit"
_BACKUPS: Final = "make_bridge.cli.backups"
_BLUEPRINTS: Final = "make_bridge.cli.blueprints"
_EVENTS: Final = "make_bridge.cli.events"
_GAPS: Final = "make_bridge.cli.gaps"
_JOBS: Final = "make_bridge.cli.jobs"
_USERS: Final = "make_bridge.cli.users"
_WEBHOOKS: Final = "make_bridge.cli.webhooks"
_KEYS: Final = "make_bridge.cli.keys"
_OPERATIONS: Final = "make_bridge.cli.operations"
_REPORTS: Final = "make_bridge.cli.reports"
_ROTATIONS: Final = "make_bridge.cli.rotations"
_MOVING: Final = "make_bridge.cli.moving"
_SERVING: Final = "make_bridge.cli.serving"
_SHARDS: Final = "make_bridge.cli.shards"
_STORAGE: Final = "make_bridge.cli.storage"
_TOKENS: Final = "make_bridge.cli.tokens"

COMMANDS: Final[Mapping[str, Deferred | Family]] = {
    "serve": Deferred(
        module=_SERVING,
        function="serve",
        help="Serve everything, or some of the services: the database too, unless an external one is set.",
    ),
    "migrate": Deferred(
        module=_SERVING,
        function="migrate",
        help="Bring the databases to the newest version; serve does the same when it may.",
    ),
    "backup": Deferred(
        module=_BACKUPS,
        function="backup",
        help="Save all databases as of one moment beside servers that run; `backup check DIR` verifies a backup's "
        "files.",
    ),
    "restore": Deferred(
        module=_BACKUPS,
        function="restore",
        help="Bring a backup back into an empty installation that nobody serves, and migrate it where it is older.",
    ),
    "upgrade": Deferred(
        module="make_bridge.cli.upgrade",
        function="upgrade",
        help="Rehearse an upgrade: apply pending migrations to a copy, and print what each costs and holds up.",
    ),
    "doctor": Deferred(
        module="make_bridge.cli.doctor",
        function="doctor",
        help="Check configuration, keys, disk, databases, clock, logs and pages; ends with 1 when something is wrong.",
    ),
    "health": Deferred(
        module="make_bridge.cli.health",
        function="health",
        help="Ask a server on this machine whether it is ready; ends with 1 when it is not.",
    ),
    "nginx": Deferred(
        module="make_bridge.cli.nginx",
        function="nginx",
        help="Print a configuration for an nginx before these servers; `nginx -t -c FILE` checks it.",
    ),
    "demo": Deferred(
        module="make_bridge.cli.demonstration",
        function="demo",
        help='Print the demo organization "Acme CRM"; may be called again.',
    ),
    "reference": Deferred(
        module="make_bridge.cli.reference",
        function="reference",
        help="Write out modules, functions, events, routes, settings, commands, metrics, as Markdown, JSON or OpenAPI.",
    ),
    "storage": Deferred(
        module=_STORAGE,
        function="show_storage",
        help="Show what the tables of each shard take, whose runs take most, and what retention is about to free.",
    ),
    "gaps": Deferred(
        module=_GAPS,
        function="list_gaps",
        help="List webhooks that are silent and schedules that are late, of all organizations, as of the last look.",
    ),
    "hooks": Family(
        help="Webhooks.",
        commands={
            "expect": Deferred(
                module=_GAPS,
                function="expect_calls",
                help="Say how often a webhook is to be called, that its calls tell, or that nobody misses it.",
            ),
        },
    ),
    "database": Family(
        help="How the databases do.",
        commands={
            "advise": Deferred(
                module="make_bridge.cli.advice",
                function="advise_indexes",
                help="Propose indexes to make or drop, with reasons and the statements to run; it runs none of them.",
            ),
            "slow": Deferred(
                module="make_bridge.cli.slow_statements",
                function="show_slow",
                help="Show which statements took too long in a server on this machine, with their plans.",
            ),
        },
    ),
    "org": Family(
        help="Integrators.",
        commands={
            "create": Deferred(
                module=_OPERATIONS,
                function="create_organization",
                help="Create an organization and print what the integrator needs. The secret and the token are shown "
                "this once.",
            ),
            "list": Deferred(
                module=_SHARDS,
                function="list_organizations",
                help="List organizations over all shards, in the order of their ids, with figures of today.",
            ),
            "export": Deferred(
                module=_ARCHIVES,
                function="export_organization",
                help="Write an organization to a file for another installation: what it made and set, not what it ran.",
            ),
            "import": Deferred(
                module=_ARCHIVES,
                function="import_organization",
                help="Bring an organization from another installation in, with its ids, webhook addresses, keys and "
                "tokens.",
            ),
            "shred": Deferred(
                module=_ROTATIONS,
                function="shred_organization",
                help="Destroy an organization's keys for good: its credentials can never be read again.",
            ),
            "limits": Deferred(
                module="make_bridge.cli.usage",
                function="organization_limits",
                help="Show an organization's limits with what it has used this month (UTC), and set those that are "
                "given.",
            ),
            "retention": Deferred(
                module=_STORAGE,
                function="organization_retention",
                help="Show how long, and how much of, an organization's runs are kept, and set what is given.",
            ),
        },
    ),
    "customer": Family(
        help="Customers of integrators.",
        commands={
            "erase": Deferred(
                module="make_bridge.cli.customers",
                function="erase_customer",
                help="Erase a customer for good: integrations, connections, runs, stored data. Its audit rows stay, by "
                "number.",
            ),
        },
    ),
    "shards": Family(
        help="The databases that hold the organizations' data.",
        commands={
            "list": Deferred(
                module=_SHARDS,
                function="list_shards",
                help="List shards with their state, weight, organizations and load; ends with 1 when one is away.",
            ),
            "add": Deferred(
                module=_SHARDS,
                function="add_shard",
                help="Make an empty database a shard, beside servers that run; repeat it when it breaks off.",
            ),
            "remove": Deferred(
                module=_SHARDS,
                function="remove_shard",
                help="Take an empty shard out of the map for good; its number is never given again.",
            ),
            "weight": Deferred(
                module=_SHARDS,
                function="weigh_shard",
                help="Change what a shard takes beside the others; who lives there stays until a rebalance.",
            ),
            "pin": Deferred(
                module=_SHARDS,
                function="pin_organization",
                help="Say where an organization is to live, whatever the ring proposes.",
            ),
            "unpin": Deferred(
                module=_SHARDS,
                function="unpin_organization",
                help="Leave it to the ring again where an organization is to live.",
            ),
            "move": Deferred(
                module=_MOVING,
                function="move_organization",
                help="Move an organization to another shard while it works, finish a move, or give it up.",
            ),
            "moves": Deferred(module=_MOVING, function="list_moves", help="List the moves that are not finished."),
            "rebalance": Deferred(
                module=_MOVING,
                function="rebalance",
                help="Move organizations to the shards they are proposed for, a few side by side.",
            ),
            "drain": Deferred(
                module=_MOVING,
                function="drain",
                help="Move every organization away from a shard, which takes no new ones from now on.",
            ),
        },
    ),
    "keys": Family(
        help="Portal keys of an organization, data keys, and the root key.",
        commands={
            "list": Deferred(module=_KEYS, function="list_keys", help="List an organization's portal keys."),
            "create": Deferred(
                module=_KEYS,
                function="create_key",
                help="Put a portal key into the free slot. Its secret is shown this once.",
            ),
            "rotate": Deferred(
                module=_KEYS,
                function="rotate_key",
                help="Make a new current portal key; the one before is accepted until the overlap ends.",
            ),
            "revoke": Deferred(
                module=_KEYS, function="revoke_key", help="Remove a portal key: refused everywhere within 5 seconds."
            ),
            "rotate-data": Deferred(
                module=_ROTATIONS,
                function="rotate_data",
                help="Seal an organization's secrets anew under a new data key, as a job beside what runs.",
            ),
            "rotate-root": Deferred(
                module=_ROTATIONS,
                function="rotate_root",
                help="Wrap every data key with a new root key, beside servers that run; repeat it if it breaks off.",
            ),
        },
    ),
    "tokens": Family(
        help="API tokens of an organization.",
        commands={
            "list": Deferred(module=_TOKENS, function="list_tokens", help="List API tokens with their last use."),
            "create": Deferred(
                module=_TOKENS, function="create_token", help="Make an API token with scopes. It is shown this once."
            ),
            "revoke": Deferred(
                module=_TOKENS,
                function="revoke_token",
                help="Remove an API token: refused everywhere in 5 seconds.",
            ),
        },
    ),
    "user": Family(
        help="People who sign in to the console.",
        commands={
            "create": Deferred(
                module=_USERS,
                function="create_user",
                help="Make a person who may sign in, or give one who is known a role in an organization.",
            ),
            "list": Deferred(module=_USERS, function="list_users", help="List people with their roles."),
            "disable": Deferred(
                module=_USERS, function="disable_user", help="Let a person in no more: signed out everywhere at once."
            ),
            "enable": Deferred(module=_USERS, function="enable_user", help="Let a disabled person in again."),
            "set-password": Deferred(
                module=_USERS, function="set_password", help="Give a person another password; their sessions end."
            ),
            "sessions": Family(
                help="Where a person is signed in.",
                commands={
                    "revoke": Deferred(
                        module=_USERS,
                        function="revoke_sessions",
                        help="Sign a person out everywhere, within 5 seconds.",
                    ),
                },
            ),
        },
    ),
    "template": Family(
        help="Templates and their versions.",
        commands={
            "import": Deferred(
                module=_OPERATIONS,
                function="import_template",
                help="Import a blueprint as a template (a draft: publish it to offer it).",
            ),
            "publish": Deferred(
                module=_OPERATIONS,
                function="publish_template",
                help="Publish the draft as an immutable version; its id is what init takes.",
            ),
            "list": Deferred(
                module=_OPERATIONS,
                function="list_templates",
                help="List the organization's templates.",
            ),
        },
    ),
    "dead-letters": Family(
        help="Executions and jobs that were given up.",
        commands={
            "list": Deferred(
                module="make_bridge.cli.dead_letters",
                function="list_dead_letters",
                help="List executions and jobs that were given up, with the reason.",
            ),
            "replay": Deferred(
                module="make_bridge.cli.dead_letters",
                function="replay_dead_letters",
                help="Begin anew what was given up: an execution as one of its own, a job as itself.",
            ),
        },
    ),
    "jobs": Family(
        help="Work in the background: what waits, runs, has ended.",
        commands={
            "list": Deferred(module=_JOBS, function="list_jobs", help="List jobs, the newest first."),
            "show": Deferred(module=_JOBS, function="show_job", help="Show one job."),
            "cancel": Deferred(
                module=_JOBS,
                function="cancel_job",
                help="End a waiting job; a running one is asked to and ends within seconds.",
            ),
            "retry": Deferred(
                module=_JOBS,
                function="retry_job",
                help="Begin a failed or cancelled job again, with all its tries.",
            ),
        },
    ),
    "reports": Family(
        help="Usage and executions as files.",
        commands={
            "make": Deferred(
                module=_REPORTS,
                function="make_report",
                help="Have a report made by a server that runs, and follow it until it is finished.",
            ),
            "list": Deferred(module=_REPORTS, function="list_reports", help="List reports, the newest first."),
            "show": Deferred(module=_REPORTS, function="show_report", help="Show one report: how far it is, its size."),
            "download": Deferred(
                module=_REPORTS, function="download_report", help="Write a finished report to a file, or to the output."
            ),
            "delete": Deferred(
                module=_REPORTS, function="delete_report", help="Delete a report; one under way is cancelled."
            ),
        },
    ),
    "webhooks": Family(
        help="Endpoints that are told of an organization's events.",
        commands={
            "list": Deferred(module=_WEBHOOKS, function="list_webhooks", help="List the organization's endpoints."),
            "create": Deferred(
                module=_WEBHOOKS, function="create_webhook", help="Make an endpoint and print its secret, this once."
            ),
            "pause": Deferred(
                module=_WEBHOOKS, function="pause_webhook", help="Keep messages until the endpoint is resumed."
            ),
            "resume": Deferred(
                module=_WEBHOOKS, function="resume_webhook", help="Send to a paused or disabled endpoint again."
            ),
            "ping": Deferred(module=_WEBHOOKS, function="ping_webhook", help="Send a test event."),
            "messages": Deferred(
                module=_WEBHOOKS,
                function="list_webhook_messages",
                help="List the messages to an endpoint, the newest first.",
            ),
            "replay": Deferred(
                module=_WEBHOOKS,
                function="replay_webhook_messages",
                help="Send again what failed since a moment, up to a batch of jobs.",
            ),
        },
    ),
    "events": Family(
        help="Events that a consumer could not take.",
        commands={
            "parked": Deferred(
                module=_EVENTS,
                function="list_parked_events",
                help="List events that a consumer could not take, of all organizations, the newest first.",
            ),
            "replay": Deferred(
                module=_EVENTS,
                function="replay_parked_events",
                help="Have a server that runs try parked events again.",
            ),
        },
    ),
    "audit": Family(
        help="The trail of what was done: read, exported, verified.",
        commands={
            "list": Deferred(
                module=_AUDIT, function="list_audit", help="List what was done in an organization, the newest first."
            ),
            "export": Deferred(
                module=_AUDIT,
                function="export_audit",
                help="Write what was done in an organization to a file, newest first, with the hashes of the chain.",
            ),
            "verify": Deferred(
                module=_AUDIT,
                function="verify_audit",
                help="Walk every chain from its beginning to its signed head; ends with 1 at any that was changed.",
            ),
        },
    ),
    "token": Family(
        help="Portal tokens.",
        commands={
            "mint": Deferred(
                module=_OPERATIONS,
                function="mint_token",
                help="Mint a portal token from a stored key: valid once, for two minutes. For trying things out.",
            ),
        },
    ),
    "blueprint": Family(
        help="Check, draw and run blueprints without a server.",
        commands={
            "validate": Deferred(
                module="make_bridge.cli.blueprint_check",
                function="validate_blueprint",
                help="Name every finding with its position and a fix; ends with 1 when there is an error.",
            ),
            "graph": Deferred(
                module=_BLUEPRINTS,
                function="draw_blueprint",
                help="Draw a blueprint: what runs after what, what decides, what handles errors.",
            ),
            "run": Deferred(
                module=_BLUEPRINTS,
                function="run_blueprint",
                help="Run a blueprint once and print each module's bundles. Calls out are really made; data stores are "
                "in memory.",
            ),
        },
    ),
}

app = typer.Typer(
    name="make-bridge",
    cls=group_of(COMMANDS),
    help="Automation inside your own product: templates, a widget, a wizard and durable scenarios.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(*, value: bool) -> None:
    if value:
        typer.echo(f"make-bridge {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Hold the options of every command."""
