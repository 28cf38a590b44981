"""The command tree."""

import typer

from make_bridge import __version__
from make_bridge.cli import blueprints, demonstration, doctor, operations, serving

app = typer.Typer(
    name="make-bridge",
    help="Automation inside your own product: templates, a widget, a wizard and durable scenarios.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("serve")(serving.serve)
app.command("migrate")(serving.migrate)
app.command("doctor")(doctor.doctor)
app.command("demo")(demonstration.demo)
app.add_typer(operations.organizations, name="org", help="Integrators.")
app.add_typer(operations.templates, name="template", help="Templates and their versions.")
app.add_typer(operations.tokens, name="token", help="Portal tokens.")
app.add_typer(blueprints.app, name="blueprint", help="Check and run blueprints without a server.")


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
