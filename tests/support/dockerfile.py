"""The Dockerfile as data: its stages with their instructions, and what of the checkout a build may see.

Tests of the image ask here; `support.image_build` carries the instructions out.
"""

import io
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from dockerfile_parse import DockerfileParser

_FLAG = re.compile(r"--([a-z-]+)(?:=(\S+))?\s+")
# Never walked: they are ignored whole, and large.
_UNSEEN = frozenset({".git", ".venv", "__pycache__", "node_modules"})
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction; `flags` are those before its value, like `--from=web`."""

    word: str
    value: str
    flags: tuple[tuple[str, str], ...] = ()
    line: int = 0

    def flag(self, name: str) -> list[str]:
        return [value for flag, value in self.flags if flag == name]

    def pairs(self) -> dict[str, str]:
        """Read `NAME=value …` of ENV, ARG and LABEL."""
        return dict(word.partition("=")[::2] for word in shlex.split(self.value))

    def exec_form(self) -> list[str]:
        """Read the JSON form of ENTRYPOINT and its kin; raises ValueError for the form that needs a shell."""
        words = json.loads(self.value)
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{self.word} is not in exec form: {self.value}")
        return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: what it begins from (another stage, an image, or `scratch`), and what is done then."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]

    def of(self, word: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.word == word]


def read_stages(text: str) -> list[Stage]:
    """Read a Dockerfile; the defaults of ARGs before the first FROM are put in."""
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for instruction in _instructions(text):
        if instruction.word == "ARG" and not stages:
            arguments |= instruction.pairs()
        elif instruction.word == "FROM":
            base, _, name = instruction.value.partition(" AS ")
            base = _VARIABLE.sub(partial(_filled_in, arguments), base.strip())
            stages.append(Stage(name=name.strip() or str(len(stages)), base=base, instructions=()))
        else:
            last = stages[-1]
            stages[-1] = Stage(name=last.name, base=last.base, instructions=(*last.instructions, instruction))
    return stages


def _filled_in(arguments: Mapping[str, str], found: re.Match[str]) -> str:
    return arguments[found[1]]


def _instructions(text: str) -> list[Instruction]:
    parser = DockerfileParser(fileobj=io.BytesIO(text.encode()), env_replace=False)
    found = []
    for item in parser.structure:
        if item["instruction"] == "COMMENT":
            continue
        value, flags = item["value"], []
        while flag := _FLAG.match(value):
            flags.append((flag[1], flag[2] or ""))
            value = value[flag.end() :]
        found.append(Instruction(word=item["instruction"], value=value, flags=tuple(flags), line=item["startline"] + 1))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """What .dockerignore keeps out of a build: of all rules that fit a path or a folder above it, the last counts."""

    rules: Sequence[tuple[re.Pattern[str], bool]]

    @classmethod
    def read(cls, file: Path) -> "Ignored":
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
        return cls(
            rules=[(_pattern(line.removeprefix("!")), not line.startswith("!"))
                   for line in lines if line and not line.startswith("#")]
        )  # fmt: skip

    def __contains__(self, path: str) -> bool:
        place = PurePosixPath(path)
        within = [path, *(str(above) for above in place.parents)]
        ignored = False
        for pattern, keeps_out in self.rules:
            if any(pattern.fullmatch(place) for place in within):
                ignored = keeps_out
        return ignored


def _pattern(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]*\])", glob.strip("/"))
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(signs.get(part, part if part.startswith("[") else re.escape(part)) for part in parts))


def seen_by_a_build(root: Path) -> list[str]:
    """List the files of a checkout that a build gets; folders that are ignored whole are not walked."""
    ignored = Ignored.read(root / ".dockerignore")
    found = []
    for path in _walk(root):
        name = str(path.relative_to(root))
        if name not in ignored:
            found.append(name)
    return sorted(found)


def _walk(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if not entry.is_dir() or entry.is_symlink():
            yield entry
        elif entry.name not in _UNSEEN:
            yield from _walk(entry)
