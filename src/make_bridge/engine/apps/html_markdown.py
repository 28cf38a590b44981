"""HTML to Markdown, for the `markdown` app.

Reads the document as tokens and writes blocks with the prefixes of the quotes and lists they stand in. Tags
that mean nothing in Markdown vanish, their text stays; addresses that run code are left out. Nesting is limited,
so that the work stays within a small multiple of the input.
"""

import re
from dataclasses import dataclass
from typing import Final

from make_bridge.engine.apps.html_tokens import Tag, Text, tokens

MAX_CONTAINERS: Final = 20
MAX_MARKS: Final = 10

_MARKS: Final = {"strong": "**", "b": "**", "em": "*", "i": "*", "del": "~~", "s": "~~", "strike": "~~", "code": "`"}
_HEADINGS: Final = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_BLOCKS: Final = frozenset(
    {"p", "div", "section", "article", "header", "footer", "main", "nav", "aside", "address", "figure", "figcaption"}
    | {"dl", "dt", "dd", "form", "fieldset", "title", "body", "html", "caption"}
)
_CLOSED: Final = _BLOCKS | _HEADINGS.keys() | {"li", "blockquote", "ul", "ol"}
_SPACES: Final = re.compile(r"\s+")
_SIGNS: Final = re.compile(r"([\\`*_\[\]<~])")
_LINE_START: Final = re.compile(r"^(?:([#>+=-])|(\d{1,9})([.)]))")
_RUNS: Final = re.compile(r"`+")
_CODE_SCHEME: Final = re.compile(r"(?:javascript|vbscript|data|file):", re.IGNORECASE)
_INVISIBLE: Final = re.compile(r"[\x00-\x20\x7f-\xa0]+")


def html_to_markdown(source: str) -> str:
    """Return the Markdown of a piece of HTML."""
    writer = _Writer()
    for token in tokens(source, attributes=True):
        if isinstance(token, Text):
            writer.text(token.text)
        elif token.closing:
            writer.close(token.name)
        else:
            writer.open(token)
    return writer.finish()


@dataclass(slots=True)
class _Container:
    """A quote or a list item: what stands before its first line and before the others."""

    tag: str
    first: str
    rest: str
    used: bool = False

    def prefix(self) -> str:
        used, self.used = self.used, True
        return self.rest if used else self.first


@dataclass(slots=True)
class _List:
    """A list that is open; an ordered one counts."""

    tag: str
    number: int


@dataclass(slots=True)
class _Mark:
    """An inline tag that is open, and where its text begins."""

    tag: str
    start: int
    address: str = ""


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.inline: list[str] = []
        self.containers: list[_Container] = []
        self.lists: list[_List] = []
        self.marks: list[_Mark] = []
        self.heading = ""
        self.code: list[str] | None = None
        self.rows: list[list[str]] | None = None
        self.tight = False

    def text(self, text: str) -> None:
        if self.code is not None:
            self.code.append(text)
        elif self.marks and self.marks[-1].tag == "code":
            self.inline.append(_SPACES.sub(" ", text))
        else:
            self.inline.append(_SIGNS.sub(r"\\\1", _SPACES.sub(" ", text)))

    def open(self, tag: Tag) -> None:
        name = tag.name
        if self.code is not None:
            return
        if name in _MARKS or name == "a":
            self._open_mark(tag)
        elif name == "br":
            self.inline.append(" " if self.rows is not None or self.heading else "\\\n")
        elif name == "img":
            self._image(tag)
        elif self.rows is not None:
            self._open_in_table(name)
        elif name == "pre":
            self._end_block()
            self.code = []
        elif name == "table":
            self._end_block()
            self.rows = []
        elif name == "hr":
            self._end_block()
            self._write(["---"])
        else:
            self._open_block(name)

    def _open_block(self, name: str) -> None:
        if name in _HEADINGS:
            self._end_block()
            self.heading = _HEADINGS[name]
        elif name in ("ul", "ol"):
            self._end_block()
            self.lists.append(_List(name, 0))
            self.tight = len(self.lists) > 1
        elif name == "li":
            self._open_item()
        elif name == "blockquote":
            self._end_block()
            self._enter(_Container(name, "> ", "> "))
        elif name in _BLOCKS:
            self._end_block()

    def _open_item(self) -> None:
        self._end_block()
        while self.containers and self.containers[-1].tag == "li" and self._items() >= max(1, len(self.lists)):
            self.containers.pop()
        marker = "- "
        if self.lists and self.lists[-1].tag == "ol":
            self.lists[-1].number += 1
            marker = f"{self.lists[-1].number}. "
        self._enter(_Container("li", marker, " " * len(marker)))

    def _items(self) -> int:
        return sum(container.tag == "li" for container in self.containers)

    def _enter(self, container: _Container) -> None:
        if len(self.containers) < MAX_CONTAINERS:
            self.containers.append(container)

    def close(self, name: str) -> None:
        if self.code is not None:
            if name == "pre":
                self._end_code(self.code)
            return
        if name in _MARKS or name == "a":
            self._close_mark(name)
        elif name in ("td", "th", "tr", "table") and self.rows is not None:
            self._close_in_table(name)
        elif self.rows is not None:
            self.inline.append(" ")
        else:
            self._close_block(name)

    def _close_block(self, name: str) -> None:
        if name not in _CLOSED:
            return
        self._end_block()
        if name in ("li", "blockquote"):
            if any(container.tag == name for container in self.containers):
                while self.containers.pop().tag != name:
                    pass
            self.tight = name == "li"
        elif name in ("ul", "ol"):
            if self.lists:
                self.lists.pop()
            self.tight = bool(self.lists)

    def finish(self) -> str:
        """Close what is still open and return the text."""
        if self.code is not None:
            self._end_code(self.code)
        if self.rows is not None:
            self._close_in_table("table")
        self._end_block()
        return "\n".join(self.lines)

    # Inline.

    def _open_mark(self, tag: Tag) -> None:
        if len(self.marks) < MAX_MARKS:
            self.marks.append(_Mark(tag.name, len(self.inline), _address(tag.attributes.get("href", ""))))

    def _close_mark(self, name: str) -> None:
        if not any(mark.tag == name for mark in self.marks):
            return
        while (mark := self.marks.pop()).tag != name:
            self._apply(mark)
        self._apply(mark)

    def _apply(self, mark: _Mark) -> None:
        """Put the signs around the text; spaces at its ends stay outside, nothing is not marked."""
        text = "".join(self.inline[mark.start :])
        inner = text.strip(" ")
        if not inner:
            return
        before, after = text[: len(text) - len(text.lstrip(" "))], text[len(text.rstrip(" ")) :]
        if mark.tag == "a":
            inner = f"[{inner}]({mark.address})" if mark.address else inner
        elif mark.tag == "code":
            fence = "`" * (1 + max((len(run) for run in _RUNS.findall(inner)), default=0))
            inner = f"{fence} {inner} {fence}" if len(fence) > 1 else f"`{inner}`"
        else:
            inner = f"{_MARKS[mark.tag]}{inner}{_MARKS[mark.tag]}"
        self.inline[mark.start :] = [before, inner, after]

    def _image(self, tag: Tag) -> None:
        source = _address(tag.attributes.get("src", ""))
        if source:
            alternative = _SIGNS.sub(r"\\\1", _SPACES.sub(" ", tag.attributes.get("alt", "")))
            self.inline.append(f"![{alternative}]({source})")

    def _taken(self) -> str:
        """Return the inline text so far and begin anew."""
        while self.marks:
            self._apply(self.marks.pop())
        text = re.sub(" *\\\\\n *", "\\\\\n", re.sub(" {2,}", " ", "".join(self.inline)))
        self.inline = []
        return text.strip(" ").removesuffix("\\\n").removeprefix("\\\n").strip()

    # Blocks.

    def _end_block(self) -> None:
        text, heading = self._taken(), self.heading
        self.heading = ""
        if text:
            safe = text if heading else _LINE_START.sub(_escaped_start, text)
            self._write((heading + safe).split("\n"))

    def _end_code(self, pieces: list[str]) -> None:
        text = "".join(pieces).strip("\n")
        fence = "`" * max(3, 1 + max((len(run) for run in _RUNS.findall(text)), default=0))
        self.code = None
        self._write([fence, *text.split("\n"), fence])

    def _write(self, lines: list[str]) -> None:
        if self.lines and not (self.tight and self.containers and not self.containers[-1].used):
            gap = "".join(container.rest for container in self.containers if container.used)
            self.lines.append(gap.rstrip())
        self.tight = False
        self.lines.extend(
            ("".join(container.prefix() for container in self.containers) + line).rstrip() for line in lines
        )

    # Tables.

    def _open_in_table(self, name: str) -> None:
        if self.rows is None:
            return
        if name == "tr":
            self._end_cell()
            self.rows.append([])
        elif name in ("td", "th"):
            self._end_cell()
            self.rows = self.rows or [[]]
            self.rows[-1].append("")
        else:
            self.inline.append(" ")

    def _end_cell(self) -> None:
        text = self._taken()
        if text and self.rows:
            row = self.rows[-1] or [""]
            row[-1] = text.replace("\\\n", " ").replace("|", "\\|")
            self.rows[-1] = row

    def _close_in_table(self, name: str) -> None:
        self._end_cell()
        if name != "table":
            return
        rows, self.rows = [row for row in self.rows or [] if row], None
        if not rows:
            return
        width = max(len(row) for row in rows)
        lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
        self._write([lines[0], "|" + " --- |" * width, *lines[1:]])


def _escaped_start(match: re.Match[str]) -> str:
    return f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}"


def _address(raw: str) -> str:
    """Return an address as Markdown may carry it; empty when it runs code."""
    address = _INVISIBLE.sub("", raw)
    if _CODE_SCHEME.match(address):
        return ""
    return address.replace("(", "%28").replace(")", "%29").replace("<", "%3C").replace(">", "%3E").replace("\\", "%5C")
