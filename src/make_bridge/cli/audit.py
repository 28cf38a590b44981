"""``make-bridge audit``: the trail of acts read, exported and verified. All of it works beside a server that runs."""

import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Final, cast

import typer

from make_bridge.cli.operations import domain, operator
from make_bridge.cli.options import Config, DataDir, Json, Organization
from make_bridge.cli.output import as_json, as_table, command, complain, say
from make_bridge.domain.audit.messages import Wanted
from make_bridge.domain.audit.model import MOST, checked_filter, read_moment
from make_bridge.domain.audit.rendering import ExportForm, head, lines, shown
from make_bridge.domain.audit.views import read_all, read_page
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import OrganizationId
from make_bridge.kernel.messages import Home
from make_bridge.platform.audit.signing import Head
from make_bridge.platform.audit.verification import Verdict, Verification

_ANCHOR: Final = re.compile(r"([0-9]{1,16}):(shard|directory):([0-9]{1,18}):([0-9a-f]{64})")
_BROKEN: Final = 1

Actor = Annotated[str | None, typer.Option("--actor", help="Only of this actor; 'text*' is all that begin so.")]
Action = Annotated[str | None, typer.Option("--action", help="Only this act; 'scenario.*' is all that begin so.")]
Object = Annotated[str | None, typer.Option("--object", help="Only about this; 'scenario/*' is all that begin so.")]
Since = Annotated[str | None, typer.Option("--from", help="From this day or moment on (UTC).")]
Until = Annotated[str | None, typer.Option("--to", help="Before this day or moment (UTC).")]


@command
async def list_audit(
    *,
    organization: Organization,
    actor: Actor = None,
    action: Action = None,
    object_: Object = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="At most so many.")] = 100,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """List what was done in an organization, the newest first."""
    wanted = _wanted(actor, action, object_, since, until)
    async with domain(data_dir, config) as opened:
        found = await read_page(opened.queries, operator(organization), wanted, limit=limit)
    if as_json_:
        as_json([shown(act) for act in found])
        return
    rows = [
        (act.at.isoformat(timespec="seconds"), f"{act.actor_kind} {act.actor}", act.action, act.object, act.address)
        for act in found
    ]
    as_table(("time", "actor", "action", "object", "address"), rows)


@command
async def export_audit(
    *,
    organization: Organization,
    form: Annotated[ExportForm, typer.Option("--format", help="How it is written.")] = ExportForm.JSON_LINES,
    output: Annotated[
        str | None,
        typer.Option("--output", help="The file to write, '-' for the output. Without it: audit-ID.jsonl or .csv."),
    ] = None,
    actor: Actor = None,
    action: Action = None,
    object_: Object = None,
    since: Since = None,
    until: Until = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Write what was done in an organization to a file, newest first, with the hashes of the chain."""
    wanted = _wanted(actor, action, object_, since, until)
    path = None if output == "-" else Path(output or f"audit-{organization}.{form.value}")
    rows = 0
    async with domain(data_dir, config) as opened:
        pages = read_all(opened.queries, operator(organization), wanted)
        try:
            with nullcontext(sys.stdout.buffer) if path is None else path.open("wb") as file:
                file.write(head(form))
                async for page in pages:
                    rows += len(page)
                    file.write(lines(form, page))
        except OSError as error:
            message = f"{path or 'The output'} cannot be written: {error.strerror}."
            raise InvalidInput(message) from error
    if path is None:
        return
    if as_json_:
        as_json({"file": str(path), "rows": rows})
    else:
        say(f"{path}: {rows} rows.")


@command
async def verify_audit(
    *,
    organization: Annotated[
        int | None, typer.Option("--organization", help="Only this organization; without it: all there are.")
    ] = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            help="An anchor kept elsewhere, as ORGANIZATION:HOME:SEQUENCE:HASH of an audit.anchored.v1 event or of the "
            "log; repeatable.",
        ),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Walk every chain from its beginning to its signed head; ends with 1 at any that was changed."""
    elsewhere = [_anchor(text) for text in anchor or ()]
    chains = rows = 0
    broken: list[Verdict] = []
    async with domain(data_dir, config) as opened:
        verification = Verification(opened.shards, await opened.audit_key.signer(), elsewhere)
        if organization is None:
            verdicts = verification.everything()
        else:
            verdicts = verification.organization(OrganizationId(organization))
        async for verdict in verdicts:
            chains += 1
            rows += verdict.rows
            if verdict.broken is not None and len(broken) < MOST:
                broken.append(verdict)
    if as_json_:
        as_json({"chains": chains, "rows": rows, "broken": [_facts(verdict) for verdict in broken]})
    else:
        for verdict in broken:
            complain(f"Organization {verdict.organization_id}, {verdict.home}: {verdict.broken}")
        say(f"{chains} chains with {rows} rows were verified; {len(broken)} do not hold.")
    if broken:
        raise typer.Exit(_BROKEN)


def _facts(verdict: Verdict) -> dict[str, object]:
    return {
        "organizationId": verdict.organization_id,
        "home": verdict.home,
        "sequence": verdict.sequence,
        "problem": verdict.broken,
        "rows": verdict.rows,
    }


def _wanted(actor: str | None, action: str | None, object_: str | None, since: str | None, until: str | None) -> Wanted:
    return Wanted(
        actor=checked_filter("--actor", actor),
        action=checked_filter("--action", action),
        object=checked_filter("--object", object_),
        since=read_moment("--from", since),
        until=read_moment("--to", until),
    )


def _anchor(text: str) -> Head:
    found = _ANCHOR.fullmatch(text)
    if found is None:
        raise InvalidInput("An anchor is written ORGANIZATION:HOME:SEQUENCE:HASH, with shard or directory as its home.")
    return Head(
        home=cast("Home", found[2]),
        organization_id=int(found[1]),
        sequence=int(found[3]),
        hash=bytes.fromhex(found[4]),
    )
