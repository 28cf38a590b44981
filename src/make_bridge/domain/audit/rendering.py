"""How acts are written: as JSON objects, and as lines of an export. Pure.

A line of an export holds everything the chain's hash covers (``platform/audit/chain``), detail, before and after as the
stored texts: so whoever holds a whole export can compute the chain again without this program.
"""

import csv
import io
from collections.abc import Sequence
from datetime import UTC
from enum import StrEnum
from typing import Any, Final

import msgspec

from make_bridge.domain.audit.messages import Act

JsonObject = dict[str, Any]
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")


class ExportForm(StrEnum):
    """How an export is written."""

    JSON_LINES = "jsonl"
    CSV = "csv"


MEDIA_TYPES: Final = {
    ExportForm.JSON_LINES: "application/x-ndjson; charset=utf-8",
    ExportForm.CSV: "text/csv; charset=utf-8",
}


def shown(act: Act) -> JsonObject:
    """Return an act for people and programs that read pages."""
    return _row(act) | {
        "detail": _parsed(act.detail),
        "before": None if act.before is None else _parsed(act.before),
        "after": None if act.after is None else _parsed(act.after),
    }


def head(form: ExportForm) -> bytes:
    """Return what stands before the lines of an export."""
    return _csv_line(_COLUMNS) if form is ExportForm.CSV else b""


def lines(form: ExportForm, acts: Sequence[Act]) -> bytes:
    """Return acts as lines."""
    if form is ExportForm.CSV:
        return b"".join(_csv_line(list(_row(act).values())) for act in acts)
    return b"".join(msgspec.json.encode(_row(act)) + b"\n" for act in acts)


def _row(act: Act) -> JsonObject:
    return {
        "id": act.id,
        "home": act.home,
        "organizationId": act.organization_id,
        "sequence": act.sequence,
        "time": act.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "actorKind": act.actor_kind,
        "actor": act.actor,
        "action": act.action,
        "object": act.object,
        "detail": act.detail,
        "before": act.before,
        "after": act.after,
        "requestId": act.request_id,
        "address": act.address,
        "hash": act.hash,
    }


_COLUMNS: Final = (
    *("id", "home", "organizationId", "sequence", "time", "actorKind", "actor", "action", "object", "detail", "before"),
    *("after", "requestId", "address", "hash"),
)


def _parsed(text: str) -> object:
    """Return the stored JSON; what is none (rows of other releases) as the text it is."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _csv_line(cells: Sequence[object]) -> bytes:
    """Return one line as RFC 4180 has it; what programs for tables take for a formula gets an apostrophe before it."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(
        [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_SIGNS) else cell for cell in cells]
    )
    return line.getvalue().encode()
