"""The picture of a blueprint: every module once, nothing on top of anything, every way out labelled."""

import json
from pathlib import Path
from typing import Any

import pytest

from make_bridge.engine.blueprint.drawing import Drawing, Way, draw
from make_bridge.engine.blueprint.parse import parse_blueprint
from support.blueprints import module, router, webhook, when

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.json"))


def drawn(*flow: Any) -> Drawing:
    return draw(parse_blueprint({"name": "x", "flow": list(flow), "metadata": {}}))


def ways(drawing: Drawing) -> list[tuple[int, int, str, str]]:
    return sorted((a.start.module.id, a.end.module.id, a.way.value, a.label) for a in drawing.arrows)


def check(drawing: Drawing, count: int) -> None:
    assert len(drawing.boxes) == count
    assert len({(box.column, box.row) for box in drawing.boxes}) == count
    entered = [arrow.end for arrow in drawing.arrows]
    starts = [box for box in drawing.boxes if box not in entered]
    assert len(starts) == (1 if count else 0)
    for arrow in drawing.arrows:
        assert arrow.end.column > arrow.start.column


def test_a_flow_goes_from_left_to_right() -> None:
    drawing = drawn(webhook(), module(2, "util:FunctionSleep", {}), module(3, "builtin:Ignore"))
    assert [(box.column, box.row) for box in drawing.boxes] == [(0, 0), (1, 0), (2, 0)]
    assert ways(drawing) == [(1, 2, "next", ""), (2, 3, "next", "")]
    assert (drawing.columns, drawing.rows) == (3, 1)


def test_routes_lie_under_each_other_and_say_what_decides() -> None:
    drawing = drawn(
        webhook(),
        router(
            2,
            [module(3, "util:FunctionSleep", {}, filter=when("{{1.a}}", "text:equal:ci", "x"))],
            [module(4, "util:FunctionSleep", {}, filter=when("{{1.b}}", "notexist"))],
            [module(5, "util:FunctionSleep", {})],
            parameters={"else": 2},
        ),
    )
    assert ways(drawing) == [
        (1, 2, "next", ""),
        (2, 3, "route", "1.a = (any case) x"),
        (2, 4, "route", "1.b does not exist"),
        (2, 5, "route", "otherwise"),
    ]
    assert [box.row for box in drawing.boxes] == [0, 0, 0, 1, 2]


def test_a_handler_lies_below_the_flow_it_guards() -> None:
    drawing = drawn(
        webhook(), module(2, "http:MakeRequest", {}, onerror=[module(3, "builtin:Ignore")]), module(4, "util:Switcher")
    )
    assert (2, 3, "handler", "on error") in ways(drawing)
    assert {box.module.id: box.row for box in drawing.boxes} == {1: 0, 2: 0, 4: 0, 3: 1}


def test_both_branches_of_an_if_else_lead_to_what_follows() -> None:
    branches = [
        {"type": "condition", "label": "big", "merge": True, "flow": [module(3, "util:FunctionSleep", {})],
         "conditions": [[{"a": "{{1.a}}", "o": "number:greater", "b": "1"}]]},
        {"type": "else", "label": "", "merge": True, "flow": [module(4, "util:FunctionSleep", {})]},
    ]  # fmt: skip
    drawing = drawn(
        webhook(), module(2, "builtin:BasicIfElse", branches=branches), module(5, "builtin:BasicMerge", outputs=[])
    )
    assert [way for way in ways(drawing) if way[1] == 5] == [(3, 5, "next", ""), (4, 5, "next", "")]
    assert [way[3] for way in ways(drawing) if way[0] == 2] == ["big", "otherwise"]


@pytest.mark.parametrize("file", [f for f in SCENARIOS if "expected" not in f.name], ids=lambda file: file.stem)
def test_nothing_stands_on_anything_else(file: Path) -> None:
    blueprint = parse_blueprint(file.read_bytes())
    check(draw(blueprint), len(list(blueprint.modules())))


def test_every_blueprint_of_the_corpus_can_be_drawn(corpus: Path) -> None:
    for file in sorted(corpus.glob("exports/*.json")):
        blueprint = parse_blueprint(json.loads(file.read_text(encoding="utf-8-sig")))
        drawing = draw(blueprint)
        assert len({(box.column, box.row) for box in drawing.boxes}) == len(list(blueprint.modules())), file.name
        assert all(arrow.label == "on error" for arrow in drawing.arrows if arrow.way is Way.HANDLER)
