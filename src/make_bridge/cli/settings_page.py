"""The reference of settings: the commented file of defaults as a page, with what a value may be; for ``reference``.

The words are those of ``make-bridge.default.toml``, so what an operator reads in the file and on the page is one text;
bounds and choices are those that ``Settings`` refuses by.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from make_bridge.settings import DEFAULTS, PREFIX, Settings

_SECTION: Final = re.compile(r"# --- (.+?) -+$")
_SETTING: Final = re.compile(r"(#?)([a-z][a-z0-9_]*) = (.+)$")
_ASIDE: Final = re.compile(r"(\S+) {2,}(.+)$")
_UNITS: Final = {"seconds": "seconds", "bytes": "bytes", "ms": "milliseconds", "days": "days", "hours": "hours"}
_NOUNS: Final = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "string": "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One setting as the file has it; ``shown`` is its default, or an example where there is none."""

    name: str
    shown: str
    has_default: bool

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


@dataclass(slots=True, kw_only=True)
class Group:
    """Settings that share a comment, below the section they stand in."""

    section: str
    words: list[str] = field(default_factory=list)
    settings: list[Described] = field(default_factory=list)


def settings_page(note: str) -> str:
    """Return the reference of settings; ``note`` says where the page comes from."""
    lines = [
        "# Settings",
        "",
        note,
        "",
        "Each setting with its default, as `make-bridge.default.toml` has it. Over the defaults go,",
        "each over the last, a file of the same form (`--config FILE`, or `MAKE_BRIDGE_CONFIG=FILE`), the",
        "environment (`MAKE_BRIDGE_` and",
        "the name in capitals), and options of the command line. Lists are separated by commas or blanks in the",
        "environment. A wrong value ends the start with a sentence for each mistake; `make-bridge doctor` checks",
        "without starting.",
    ]
    section = ""
    for group in groups():
        if group.section != section:
            section = group.section
            lines += ["", f"## {section}"]
        lines += ["", *group.words, "", "| setting | default | value |", "|---|---|---|"]
        lines += [_row(setting) for setting in group.settings]
    return "\n".join(lines) + "\n"


def settings_as_data() -> list[dict[str, object]]:
    """Return every setting with its section, words, default and bounds."""
    return [
        {
            "name": setting.name,
            "environment": setting.variable,
            "section": group.section,
            "help": " ".join(group.words),
            "default": tomllib.loads(f"value = {setting.shown}")["value"] if setting.has_default else None,
            "value": _value(setting.name),
        }
        for group in groups()
        for setting in group.settings
    ]


def groups() -> list[Group]:
    """Read the file of defaults: comments, and the settings right below each."""
    found: list[Group] = []
    section, words = "", list[str]()
    for line in DEFAULTS.read_text(encoding="utf-8").splitlines():
        if heading := _SECTION.match(line):
            section, words = heading[1], []
        elif setting := _SETTING.match(line):
            if words or not found or found[-1].section != section:
                found.append(Group(section=section, words=_sentences(words)))
                words = []
            found[-1].settings.append(Described(name=setting[2], shown=setting[3], has_default=not setting[1]))
        elif line.startswith("#"):
            words.append(line.removeprefix("#").removeprefix(" "))
        elif not found or found[-1].section == section:
            words = []
    return found


def _sentences(words: list[str]) -> list[str]:
    """Keep the comment's lines; an indented ``name  what it is`` becomes an item of a list."""
    lines: list[str] = []
    for line in words:
        if line.startswith("  ") and (aside := _ASIDE.match(line.strip())):
            lines += [*([""] if lines and not lines[-1].startswith("* ") else []), f"* `{aside[1]}`: {aside[2]}"]
        else:
            lines += [*([""] if lines and lines[-1].startswith("* ") else []), line]
    return [_marked(line) for line in lines]


def _marked(line: str) -> str:
    """Show commands, and names that no word of the language is, as code."""
    line = re.sub(r"'(make-bridge [^']+)'", r"`\1`", line)
    return re.sub(r"(?<![\w`/.=-])([a-z]+(?:_[a-z0-9]+)+)(?![\w`/])", r"`\1`", line)


def _row(setting: Described) -> str:
    default = f"`{setting.shown}`" if setting.has_default else f"none; like `{setting.shown}`"
    return f"| `{setting.name}`<br>`{setting.variable}` | {_cell(default)} | {_cell(_value(setting.name))} |"


def _value(name: str) -> str:
    schema = Settings.model_json_schema()
    shape = schema["properties"][name]
    return _shape(shape, schema.get("$defs", {}), _UNITS.get(name.rpartition("_")[2], ""))


def _shape(shape: Mapping[str, Any], named: Mapping[str, Any], unit: str) -> str:
    if "$ref" in shape:
        return _shape(named[shape["$ref"].rpartition("/")[2]], named, unit)
    if "anyOf" in shape:
        return _shape(next(kind for kind in shape["anyOf"] if kind.get("type") != "null"), named, unit)
    if "enum" in shape:
        return ", ".join(f"`{value}`" for value in shape["enum"])
    kind = shape["type"]
    if kind == "array":
        return f"list of: {_shape(shape['items'], named, unit)}"
    if kind == "object":
        held = shape["additionalProperties"]
        is_number = held.get("type") == "number"
        return f"entries `NUMBER={'SHARE' if is_number else 'ADDRESS'}`{''.join(_bounds(held)) if is_number else ''}"
    if shape.get("format") == "path":
        return "path"
    if shape.get("format") == "password":
        return "address; never shown"
    bounds = "".join(_bounds(shape))
    return f"{_NOUNS[kind]}{f' of {unit}' if unit and kind != 'string' else ''}{bounds}"


def _bounds(shape: Mapping[str, Any]) -> Iterator[str]:
    least, above, most = shape.get("minimum"), shape.get("exclusiveMinimum"), shape.get("maximum")
    if above is not None:
        yield f", more than {above}"
    elif least is not None:
        yield f", from {least}"
    if most is not None:
        yield f" to {most}" if least is not None else f", {most} at most"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
