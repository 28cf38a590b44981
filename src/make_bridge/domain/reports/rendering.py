"""How rows become bytes: CSV as RFC 4180 has it, one JSON document, or JSON lines. Pure.

Of CSV files programs for tables make formulas where a cell begins with certain signs, and names of teams, customers and
scenarios are texts of strangers: such a cell is written with an apostrophe before it. JSON is written as it is.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from make_bridge.domain.reports.model import ReportForm, ReportKind, ReportOrder

FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")
LONGEST_CELL: Final = 1000
Cell = str | int | None


class Rendering(Protocol):
    """One report's bytes in their order: head, rows, tail."""

    def head(self) -> bytes:
        """Return what stands before the rows."""
        ...

    def row(self, cells: Sequence[Cell]) -> bytes:
        """Return one row; the cells are those of the columns, in their order."""
        ...

    def tail(self) -> bytes:
        """Return what stands behind the rows."""
        ...


def rendering_of(order: ReportOrder, columns: Sequence[str]) -> Rendering:
    """Return what writes this report."""
    if order.form is ReportForm.CSV:
        return _Csv(columns)
    return _Document(order, columns) if order.kind is ReportKind.USAGE else _Lines(columns)


def defused(text: str) -> str:
    """Return a text as a cell that no program takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text


class _Csv:
    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns

    def head(self) -> bytes:
        return self.row(self._columns)

    def row(self, cells: Sequence[Cell]) -> bytes:
        line = io.StringIO()
        writer = csv.writer(line, lineterminator="\r\n")
        writer.writerow([defused(cell) if isinstance(cell, str) else cell for cell in _cut(cells)])
        return line.getvalue().encode()

    def tail(self) -> bytes:
        return b""


class _Lines:
    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns

    def head(self) -> bytes:
        return b""

    def row(self, cells: Sequence[Cell]) -> bytes:
        return msgspec.json.encode(_object(self._columns, cells)) + b"\n"

    def tail(self) -> bytes:
        return b""


class _Document:
    def __init__(self, order: ReportOrder, columns: Sequence[str]) -> None:
        self._columns = columns
        self._facts = {
            "kind": order.kind,
            "from": order.first,
            "to": order.last,
            "groupBy": order.group_by,
        }
        self._separator = b"\n"

    def head(self) -> bytes:
        return msgspec.json.encode(self._facts)[:-1] + b',"rows":['

    def row(self, cells: Sequence[Cell]) -> bytes:
        separator, self._separator = self._separator, b",\n"
        return separator + msgspec.json.encode(_object(self._columns, cells))

    def tail(self) -> bytes:
        return b"\n]}\n"


def _object(columns: Sequence[str], cells: Sequence[Cell]) -> Mapping[str, Cell]:
    return dict(zip(columns, _cut(cells), strict=True))


def _cut(cells: Sequence[Cell]) -> list[Cell]:
    return [cell[:LONGEST_CELL] if isinstance(cell, str) else cell for cell in cells]
