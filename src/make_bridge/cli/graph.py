"""``blueprint graph``: a blueprint as a tree for the terminal, as Mermaid for a page, as an SVG picture."""

from html import escape
from typing import Final

from rich.text import Text
from rich.tree import Tree

from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.drawing import Arrow, Box, Way, draw, exits, filter_text
from make_bridge.engine.blueprint.model import Blueprint, Module

_WIDTH: Final = 168
_HEIGHT: Final = 52
_STEP_X: Final = 236
_STEP_Y: Final = 92
_MARGIN: Final = 28
_LONGEST: Final = 22
_LONGEST_LABEL: Final = 60
_STYLE: Final = """
svg { background: #fff; font: 13px system-ui, sans-serif }
rect { fill: #f6f7f9; stroke: #8a94a6; rx: 10 }
.off rect { stroke-dasharray: 4 4; opacity: .6 }
text { fill: #1c2430 }
.id { fill: #5b6677; font-size: 11px }
path { fill: none; stroke: #8a94a6; stroke-width: 1.5 }
.handler { stroke: #b3261e; stroke-dasharray: 5 4 }
.label { fill: #44506a; font-size: 11px; paint-order: stroke; stroke: #fff; stroke-width: 4px }
@media (prefers-color-scheme: dark) {
svg { background: #12161d }
rect { fill: #1d2430; stroke: #66728a }
text { fill: #e8ecf3 }
.id { fill: #a3aec2 }
path { stroke: #66728a }
.handler { stroke: #ff8a80 }
.label { fill: #b8c2d6; stroke: #12161d }
}
"""


def as_tree(blueprint: Blueprint) -> Tree:
    """Return the blueprint as a tree: what runs after what, what decides, what handles errors."""
    tree = Tree(Text(blueprint.name or "Blueprint", style="bold"))
    _grow(tree, blueprint.flow)
    return tree


def _caption(module: Module) -> str:
    """Return what people call a module: the author's own name for it, else its app's, else its id."""
    spec = CATALOGUE.get(module.module)
    return module.label or (spec.label if spec is not None else module.module.partition(":")[2])


def _grow(tree: Tree, flow: tuple[Module, ...], *, is_exit: bool = False) -> None:
    for place, module in enumerate(flow):
        condition = filter_text(module.filter)
        if condition and not (is_exit and place == 0):
            tree.add(Text(f"when {condition}", style="yellow"))
        node = tree.add(_line(module))
        for way_out in exits(module):
            _grow(node.add(Text(way_out.label or "always", style="yellow")), way_out.flow, is_exit=True)
        if module.onerror:
            _grow(node.add(Text("on error", style="red")), module.onerror)


def _line(module: Module) -> Text:
    line = Text(f"{module.id} ", style="dim" if module.skipped else "")
    line.append(_caption(module), style="bold")
    line.append(f"  {module.module}{' (off)' if module.skipped else ''}", style="dim")
    return line


def as_mermaid(blueprint: Blueprint) -> str:
    """Return the blueprint as a Mermaid flow chart."""
    drawing = draw(blueprint)
    names = {id(box): f"m{place}" for place, box in enumerate(drawing.boxes)}
    lines = ["flowchart LR"]
    for box in drawing.boxes:
        text = _mermaid(f"{box.module.id} {_caption(box.module)}")
        lines.append(f'    {names[id(box)]}["{text}<br/><small>{_mermaid(box.module.module)}</small>"]')
    for arrow in drawing.arrows:
        line = "-.->" if arrow.way is Way.HANDLER else "-->"
        label = f'|"{_mermaid(arrow.label)}"|' if arrow.label else ""
        lines.append(f"    {names[id(arrow.start)]} {line}{label} {names[id(arrow.end)]}")
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    return escape(_shorten(text, _LONGEST_LABEL), quote=True).replace("\n", " ").replace("&#x27;", "'")


def as_svg(blueprint: Blueprint) -> str:
    """Return the blueprint as a picture that follows the reader's light or dark theme."""
    drawing = draw(blueprint)
    width = 2 * _MARGIN + max(drawing.columns - 1, 0) * _STEP_X + _WIDTH
    height = 2 * _MARGIN + max(drawing.rows - 1, 0) * _STEP_Y + _HEIGHT
    pieces = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<title>{escape(blueprint.name or 'Blueprint')}</title><style>{_STYLE}</style>",
        *(_svg_arrow(arrow) for arrow in drawing.arrows),
        *(_svg_box(box) for box in drawing.boxes),
        *(_svg_label(arrow) for arrow in drawing.arrows if arrow.label),
        "</svg>",
    ]
    return "\n".join(pieces) + "\n"


def _corner(box: Box) -> tuple[int, int]:
    return _MARGIN + box.column * _STEP_X, _MARGIN + box.row * _STEP_Y


def _svg_box(box: Box) -> str:
    x, y = _corner(box)
    title = escape(_shorten(_caption(box.module), _LONGEST))
    name = escape(_shorten(f"{box.module.id}  {box.module.module}", _LONGEST + 4))
    off = ' class="off"' if box.module.skipped else ""
    return (
        f'<g{off}><title>{escape(box.module.module)}</title><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}"/>'
        f'<text x="{x + 12}" y="{y + 22}">{title}</text><text class="id" x="{x + 12}" y="{y + 39}">{name}</text></g>'
    )


def _svg_arrow(arrow: Arrow) -> str:
    (x1, y1), (x2, y2) = _corner(arrow.start), _corner(arrow.end)
    if arrow.way is Way.HANDLER:
        x1, y1, y2 = x1 + _WIDTH // 2, y1 + _HEIGHT, y2 + _HEIGHT // 2
        return f'<path class="handler" d="M{x1} {y1} V{y2} H{x2}"/>'
    x1, y1, y2 = x1 + _WIDTH, y1 + _HEIGHT // 2, y2 + _HEIGHT // 2
    middle = (x1 + x2) // 2
    return f'<path d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"/>'


def _svg_label(arrow: Arrow) -> str:
    x, y = _corner(arrow.end)
    text = escape(_shorten(arrow.label, _LONGEST + 8))
    full = escape(arrow.label)
    return f'<text class="label" x="{x - 8}" y="{y - 8}"><title>{full}</title>{text}</text>'


def _shorten(text: str, longest: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"
