"""Lists: which part, in which order, with which columns.

The official form is ``pg[offset]``, ``pg[limit]``, ``pg[sortBy]``, ``pg[sortDir]`` and ``cols[]``. A list is answered
with what was understood of it under ``pg``. Columns that were not asked for are left out; ``*`` asks for all.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from fastapi import Depends
from starlette.requests import Request

from make_bridge.kernel.errors import InvalidInput

Direction = Literal["asc", "desc"]
MAX_LIMIT: Final = 10_000
_MAX_OFFSET: Final = 10_000_000
_MOST_DIGITS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a list request asks; ``limit``, ``sort_by`` and ``direction`` are None where it left the choice to us."""

    offset: int = 0
    limit: int | None = None
    sort_by: str | None = None
    direction: Direction | None = None
    columns: frozenset[str] | None = None
    all_columns: bool = False

    def with_columns(self, columns: frozenset[str]) -> "Page":
        """Return the same with a choice of columns: what a list shows to those who chose none."""
        return dataclasses.replace(self, columns=columns)

    def newest_first(self) -> "Page":
        """Return the same request with the order turned round: for lists of what happened."""
        return replace(self, direction="desc")

    def describe(self, *, limit: int, sort_by: str, direction: Direction = "asc") -> dict[str, object]:
        """Return the ``pg`` of the answer, with the list's own defaults filled in."""
        return {
            "sortBy": self.sort_by or sort_by,
            "sortDir": self.direction or direction,
            "limit": limit if self.limit is None else min(self.limit, limit),
            "offset": self.offset,
        }


async def read_page(request: Request) -> Page:
    """Read it from the query; raises InvalidInput."""
    query = request.query_params
    columns = frozenset([*query.getlist("cols[]"), *query.getlist("cols")])
    return Page(
        offset=_number(query.get("pg[offset]"), "pg[offset]", _MAX_OFFSET) or 0,
        limit=_number(query.get("pg[limit]"), "pg[limit]", None),
        sort_by=query.get("pg[sortBy]") or None,
        direction=_direction(query.get("pg[sortDir]")),
        columns=None if not columns or "*" in columns else columns,
        all_columns="*" in columns,
    )


CurrentPage = Annotated[Page, Depends(read_page)]


def part_of(
    rows: Sequence[Mapping[str, Any]], page: Page, *, sort_by: str, sortable: frozenset[str]
) -> list[dict[str, Any]]:
    """Sort, cut and narrow rows that are all at hand; raises InvalidInput for a column that sorts no such list."""
    key = page.sort_by or sort_by
    if key not in sortable:
        names = ", ".join(sorted(sortable))
        raise InvalidInput(f"This list cannot be sorted by {key[:50]!r}, only by {names}.", code="invalid_page")
    ordered = sorted(rows, key=lambda row: _comparable(row[key]), reverse=page.direction == "desc")
    end = None if page.limit is None else page.offset + page.limit
    return [narrowed(row, page) for row in ordered[page.offset : end]]


def narrowed(row: Mapping[str, Any], page: Page) -> dict[str, Any]:
    """Return the columns that were asked for; without a choice all."""
    return dict(row) if page.columns is None else {name: row[name] for name in row if name in page.columns}


def _comparable(value: object) -> tuple[int, Any]:
    """Order null before numbers before texts: one list may hold all three."""
    if value is None:
        return (0, 0)
    return (1, value) if isinstance(value, int | float) else (2, str(value).casefold())


def _direction(text: str | None) -> Direction | None:
    match text:
        case "asc" | "desc" | None as direction:
            return direction
        case _:
            raise InvalidInput("pg[sortDir] is asc or desc.", code="invalid_page")


def _number(text: str | None, name: str, largest: int | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InvalidInput(f"{name} is a whole number from 0.", code="invalid_page")
    if largest is not None and int(text) > largest:
        raise InvalidInput(f"{name} is at most {largest}.", code="invalid_page")
    return int(text)
