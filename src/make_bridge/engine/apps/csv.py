"""The app `csv`: rows of text to bundles and back.

Parsing is the standard library's, in C. What a file may cost is fixed before it is read: its size, its rows, its
columns (a line of a million commas would otherwise be a bundle of a million keys).
"""

import csv
import io
from collections.abc import Iterator
from typing import Final

from make_bridge.engine.apps.aggregations import FEEDER
from make_bridge.engine.apps.fields import Bounds, Field, choices
from make_bridge.engine.apps.module import Bundles, Collection, ErrorType, Kind, ModuleCall, ModuleError, ModuleSpec
from make_bridge.engine.values import Value, to_text

MAX_CHARACTERS: Final = 8_000_000
MAX_ROWS: Final = 50_000
MAX_COLUMNS: Final = 1_000
MAX_CELLS: Final = 500_000

_DELIMITERS: Final = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|", "space": " "}
_NEWLINES: Final = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}
_BYTE_ORDER_MARK: Final = "\ufeff"


def _delimiter(settings: Collection) -> str:
    """Return the one character between columns; `other` is written in `delimiter`."""
    chosen = to_text(settings.get("delimiterType")) or "comma"
    found = to_text(settings.get("delimiter")) if chosen == "other" else _DELIMITERS.get(chosen, chosen)
    found = {"\\t": "\t"}.get(found, found)
    if len(found) != 1 or found in '"\r\n':
        message = f"The delimiter must be one character other than a quote or a line break, not {found[:20]!r}."
        raise ModuleError(ErrorType.CONFIGURATION, message)
    return found


def _parse(call: ModuleCall) -> Bundles:
    settings = {**call.parameters, **call.input}
    text = to_text(call.input["csv"]).removeprefix(_BYTE_ORDER_MARK)
    if len(text) > MAX_CHARACTERS:
        message = f"The CSV has {len(text)} characters; at most {MAX_CHARACTERS} are read. Split the file."
        raise ModuleError(ErrorType.FILE_SIZE, message)
    rows = _rows(text, _delimiter(settings), strict=settings.get("preserveQuotes") is not True)
    if settings.get("containsHeaders") is True:
        next(rows, None)
    wanted = settings.get("columns")
    count = wanted if isinstance(wanted, int) and wanted > 0 else None
    return [_bundle(row, count) for row in rows]


def _rows(text: str, delimiter: str, *, strict: bool) -> Iterator[list[str]]:
    """Yield the rows that hold anything. `strict` refuses what follows a closing quote."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    rows = cells = 0
    try:
        for row in reader:
            rows, cells = rows + 1, cells + len(row)
            _check(rows, cells, len(row))
            if row:
                yield row
    except csv.Error as error:
        message = f"The text is not CSV: line {reader.line_num} cannot be read."
        raise ModuleError(ErrorType.DATA, message, detail=str(error)) from error


def _check(rows: int, cells: int, columns: int) -> None:
    for found, limit, what in (
        (columns, MAX_COLUMNS, "columns"),
        (rows, MAX_ROWS, "rows"),
        (cells, MAX_CELLS, "cells"),
    ):
        if found > limit:
            raise ModuleError(ErrorType.RESULTS, f"The CSV has more than {limit} {what}; split it into smaller files.")


def _bundle(row: list[str], count: int | None) -> Collection:
    """Name the columns col1 … coln; with a count, missing ones are empty and further ones are left out."""
    columns = len(row) if count is None else count
    return {f"col{index + 1}": row[index] if index < len(row) else "" for index in range(columns)}


class CsvAggregation:
    """csv:CreateAggregator: the items of a loop as rows, every value in quotes."""

    def __init__(self, parameters: Collection) -> None:
        """Read delimiter, line break and whether names come first."""
        self.delimiter = _delimiter(parameters)
        newline = to_text(parameters.get("newlineType")) or "lf"
        self.newline = _NEWLINES.get(newline.lower(), newline)
        if self.newline not in _NEWLINES.values():
            raise ModuleError(ErrorType.CONFIGURATION, f"There is no line break named {newline[:20]!r}.")
        self.headers = parameters.get("includeHeaders") in (True, "true")
        self.columns: dict[str, None] = {}
        self.items: list[Collection] = []

    def add(self, item: Collection) -> None:
        """Take one row; a key not met before is one more column."""
        self.columns.update(dict.fromkeys(item))
        if len(self.columns) > MAX_COLUMNS:
            raise ModuleError(ErrorType.RESULTS, f"The rows have more than {MAX_COLUMNS} different columns.")
        self.items.append(item)

    def result(self) -> Collection:
        """Return the text."""
        rows: list[list[Value]] = [list(self.columns)] if self.headers and self.columns else []
        rows += [[item.get(column) for column in self.columns] for item in self.items]
        return {"text": self.newline.join(self.delimiter.join(map(_quoted, row)) for row in rows)}


def _quoted(value: Value) -> str:
    return '"' + to_text(value).replace('"', '""') + '"'


_DELIMITER_TYPE: Final = Field(
    name="delimiterType",
    type="select",
    label="Delimiter",
    required=True,
    default="comma",
    options=choices(comma="Comma", tab="Tab", semicolon="Semicolon", other="Other"),
)
_DELIMITER: Final = Field(
    name="delimiter",
    type="text",
    label="Delimiter character",
    help="The one character between columns, when the delimiter is Other.",
    validate=Bounds(max=2),
)
_STRUCTURE: Final = Field(name="type", type="udt", label="Data structure", help="Only shapes the editor.")
_WRITING: Final = (
    FEEDER,
    Field(name="includeHeaders", type="boolean", label="Include headers in the first row", default=True),
    _DELIMITER_TYPE,
    _DELIMITER,
    Field(
        name="newlineType",
        type="select",
        label="Newline",
        required=True,
        default="lf",
        options=choices(lf="LF", crlf="CRLF", cr="CR"),
    ),
)
_TEXT: Final = (Field(name="text", type="text", label="CSV"),)

MODULES: Final = (
    ModuleSpec(
        name="csv:ParseCSV",
        label="Parse CSV",
        kind=Kind.TRANSFORMER,
        help="Reads CSV; one bundle per row, its columns named col1, col2 and so on.",
        parameters=(
            Field(
                name="columns",
                type="uinteger",
                label="Number of columns",
                help="Missing columns are then empty and further ones left out; by default a row has what it has.",
                validate=Bounds(min=1, max=MAX_COLUMNS),
            ),
            Field(
                name="containsHeaders",
                type="boolean",
                label="CSV contains headers in the first row",
                default=False,
                help="The first row is then skipped; columns keep their numbers.",
            ),
            _DELIMITER_TYPE,
            _DELIMITER,
            Field(
                name="preserveQuotes",
                type="boolean",
                label="Preserve quotes inside fields",
                default=False,
                help="Characters after a closing quote then belong to the value; otherwise they are an error.",
            ),
        ),
        mapper=(Field(name="csv", type="text", label="CSV", required=True, multiline=True),),
        output=(Field(name="col1", type="text", label="Column 1"), Field(name="col2", type="text", label="Column 2")),
        run=_parse,
    ),
    ModuleSpec(
        name="csv:CreateAggregator",
        label="Create CSV",
        kind=Kind.AGGREGATOR,
        help="Writes the bundles of a loop as rows of CSV.",
        parameters=_WRITING,
        output=_TEXT,
        open_mapper=True,
        aggregate=CsvAggregation,
    ),
    ModuleSpec(
        name="csv:CreateAdvancedAggregator",
        label="Create CSV (advanced)",
        kind=Kind.AGGREGATOR,
        help="Writes the bundles of a loop as rows of CSV with the columns of a data structure.",
        parameters=(*_WRITING, _STRUCTURE),
        output=_TEXT,
        open_mapper=True,
        aggregate=CsvAggregation,
    ),
)
