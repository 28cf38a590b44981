"""A blueprint as a picture: where each module stands, and what leads where.

Pure geometry on a grid, used by the command line and by whoever shows a scenario. A flow goes from left
to right; the exits of a router or an if-else lie under each other to its right; handlers lie below the
flow they guard. Two boxes never share a place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from make_bridge.engine.blueprint.model import Blueprint, Condition, Filter, Module

_UNARY: Final = frozenset({"exist", "notexist"})
_IN_WORDS: Final = {
    "exist": "exists",
    "notexist": "does not exist",
    "equal": "=",
    "notequal": "≠",
    "greater": ">",
    "greaterorequal": "≥",
    "less": "<",
    "lessorequal": "≤",
    "contain": "contains",
    "notcontain": "does not contain",
    "startwith": "starts with",
    "notstartwith": "does not start with",
    "endwith": "ends with",
    "notendwith": "does not end with",
    "pattern": "matches",
    "notpattern": "does not match",
}


class Way(StrEnum):
    """Why one module follows another."""

    NEXT = "next"
    ROUTE = "route"
    BRANCH = "branch"
    HANDLER = "handler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A module at a place of the grid: column and row, from 0."""

    module: Module
    column: int
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """From one box to another; `label` says what has to hold for going this way."""

    start: Box
    end: Box
    way: Way
    label: str = ""


@dataclass(slots=True, kw_only=True)
class Drawing:
    """The whole picture, `columns` wide and `rows` high."""

    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    columns: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """One way out of a module into a flow of its own."""

    flow: tuple[Module, ...]
    way: Way
    label: str


def draw(blueprint: Blueprint) -> Drawing:
    """Place every module of a blueprint."""
    drawing = Drawing()
    _place(drawing, blueprint.flow, column=0, row=0)
    drawing.columns = max((box.column for box in drawing.boxes), default=-1) + 1
    drawing.rows = max((box.row for box in drawing.boxes), default=-1) + 1
    return drawing


def exits(module: Module) -> Iterator[Exit]:
    """Return the routes or branches of a module, each with what decides for it."""
    fallback = module.parameters.get("else")
    for place, route in enumerate(module.routes):
        label = filter_text(route.flow[0].filter) if route.flow else ""
        if place == fallback and not isinstance(fallback, bool):
            label = f"otherwise, {label}" if label else "otherwise"
        yield Exit(flow=route.flow, way=Way.ROUTE, label=label)
    for branch in module.branches:
        label = "otherwise" if branch.otherwise else branch.label or filter_text(branch.condition)
        yield Exit(flow=branch.flow, way=Way.BRANCH, label=label)


def filter_text(found: Filter | None) -> str:
    """Return a filter in words: its name, else its conditions."""
    if found is None:
        return ""
    if found.name:
        return found.name
    return " or ".join(" and ".join(_in_words(one) for one in group) for group in found.groups)


def _in_words(condition: Condition) -> str:
    name, _, case = condition.operator.partition(":")[2].partition(":")
    name = name or condition.operator
    operator = _IN_WORDS.get(name, condition.operator) + (" (any case)" if case == "ci" else "")
    sides = [_side(condition.a), operator] + ([] if name in _UNARY else [_side(condition.b)])
    return " ".join(sides)


def _side(value: object) -> str:
    """Return one side of a comparison; a single expression without its braces."""
    text = "" if value is None else str(value)
    inner = text.removeprefix("{{").removesuffix("}}")
    return inner if text == f"{{{{{inner}}}}}" and "{{" not in inner else text or "(nothing)"


def _place(drawing: Drawing, flow: Sequence[Module], *, column: int, row: int) -> tuple[list[Box], int, int]:
    """Place a flow; returns its boxes, the first column right of it and its last row."""
    line: list[Box] = []
    last = row
    before: list[Box] = []
    for module in flow:
        box = Box(module=module, column=column, row=row)
        drawing.boxes.append(box)
        line.append(box)
        label = "" if not before and column == 0 else filter_text(module.filter)
        drawing.arrows.extend(Arrow(start=other, end=box, way=Way.NEXT, label=label) for other in before)
        column, bottom, ends = _place_exits(drawing, box)
        last = max(last, bottom)
        before = ends or [box]
    for box in line:
        if box.module.onerror:
            arm, right, last = _place(drawing, box.module.onerror, column=box.column + 1, row=last + 1)
            column = max(column, right)
            drawing.arrows.append(Arrow(start=box, end=arm[0], way=Way.HANDLER, label="on error"))
    return line, column, last


def _place_exits(drawing: Drawing, box: Box) -> tuple[int, int, list[Box]]:
    """Place what a router or an if-else leads to; also returns the boxes a merge behind it would follow."""
    right, row, bottom = box.column + 1, box.row, box.row
    ends: list[Box] = []
    for way_out in exits(box.module):
        if not way_out.flow:
            continue
        inner, after, bottom = _place(drawing, way_out.flow, column=box.column + 1, row=row)
        drawing.arrows.append(Arrow(start=box, end=inner[0], way=way_out.way, label=way_out.label))
        right, row = max(right, after), bottom + 1
        ends.append(inner[-1])
    return right, bottom, ends if box.module.branches else []
