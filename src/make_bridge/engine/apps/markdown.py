"""The app `markdown`: Markdown to HTML and back.

CommonMark by markdown-it-py, with tables and strike-through for GitHub's flavour. Addresses that run code
(`javascript:` and its like) never become links. Sanitizing shows HTML in the source as text, so that the result
holds nothing but what Markdown itself can say.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from markdown_it import MarkdownIt

from make_bridge.engine.apps.fields import Field
from make_bridge.engine.apps.html_markdown import html_to_markdown
from make_bridge.engine.apps.module import Bundles, ErrorType, Kind, ModuleCall, ModuleError, ModuleSpec
from make_bridge.engine.values import to_text

MAX_CHARACTERS: Final = 100_000
MAX_HTML: Final = 500_000


def _renderer(*, gfm: bool, sanitize: bool) -> MarkdownIt:
    renderer = MarkdownIt("commonmark", {"html": not sanitize, "maxNesting": 20})
    return renderer.enable(["table", "strikethrough"]) if gfm else renderer


_RENDERERS: Final[Mapping[tuple[bool, bool], MarkdownIt]] = MappingProxyType(
    {(gfm, sanitize): _renderer(gfm=gfm, sanitize=sanitize) for gfm in (False, True) for sanitize in (False, True)}
)


def _compile(call: ModuleCall) -> Bundles:
    source = _source(call, MAX_CHARACTERS, "Markdown")
    renderer = _RENDERERS[call.input.get("gfm") is not False, call.input.get("sanitize") is True]
    return [{"data": renderer.render(source)}]


def _from_html(call: ModuleCall) -> Bundles:
    return [{"data": html_to_markdown(_source(call, MAX_HTML, "HTML"))}]


def _source(call: ModuleCall, limit: int, what: str) -> str:
    source = to_text(call.input.get("data"))
    if len(source) > limit:
        message = f"The {what} has {len(source)} characters; at most {limit} are converted."
        raise ModuleError(ErrorType.FILE_SIZE, message)
    return source


MODULES: Final = (
    ModuleSpec(
        name="markdown:Compile",
        label="Markdown to HTML",
        kind=Kind.TRANSFORMER,
        versions=(1, 2),
        help="Makes HTML of Markdown.",
        mapper=(
            Field(name="data", type="text", label="Markdown", multiline=True),
            Field(
                name="gfm",
                type="boolean",
                label="GitHub flavored Markdown",
                default=True,
                help="Adds tables and strike-through.",
            ),
            Field(
                name="sanitize",
                type="boolean",
                label="Sanitize",
                default=False,
                help="HTML in the source is shown as text. Turn it on for text that others have written.",
            ),
        ),
        output=(Field(name="data", type="text", label="HTML"),),
        run=_compile,
    ),
    ModuleSpec(
        name="markdown:HTMLToMarkdown",
        label="HTML to Markdown",
        kind=Kind.TRANSFORMER,
        versions=(1, 2),
        help="Makes Markdown of HTML.",
        mapper=(Field(name="data", type="text", label="HTML", multiline=True),),
        output=(Field(name="data", type="text", label="Markdown"),),
        run=_from_html,
    ),
)
