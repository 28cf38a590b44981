"""Writes `docs/security/faults.md`: each fault, what must hold, the tests that hold it, and what turns each test red.

``make docs`` runs it; ``test_page`` sees that the page is what it writes. Nothing is run for it: what a test or a patch
says of itself is read.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attacks.rows import ROWS
from faults.rows import FAULTS, OPEN, PARTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security" / "faults.md"
PATCHES = sorted(Path(__file__).with_name("mutants").glob("F-*.patch"))
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_ID = re.compile(r"\bF-(?:\d\d|[A-J]\d\d)\b")
_HEAD = """\
# Faults

What is broken under the product in its tests, fault by fault: what must hold, which test holds it, and the patch
(*red*) that breaks the code on purpose, which that test has to notice: `make mutants` sees each of them do so. Written
by `make docs` from what tests and patches say of themselves; edit `tests/faults/rows.py` or those instead.

Servers, databases, Redis, ZooKeeper and nginx are real, and killed, frozen, filled up, emptied or cut off for real.
*Open* says what is not held. What strangers try is on a page of its own: [attacks](attacks.md).
"""
_ATTACKS = "## People and consents\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A patch, the test that has to notice it, and what it breaks."""

    patch: Path
    test: str
    breaks: str

    @property
    def fault(self) -> str:
        return "-".join(self.patch.name.split("-")[:2])


def read(patch: Path) -> Mutant:
    head = patch.read_text(encoding="utf-8").partition("\ndiff --git ")[0]
    said = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    return Mutant(patch=patch, test=said["Test"].strip(), breaks=said["Breaks"].strip())


def held_by_tests() -> dict[str, set[str]]:
    """Return the tests of each fault that is named by a docstring or a patch."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "F-" in text:
            for fault, test in _named(path.relative_to(ROOT).as_posix(), ast.parse(text)):
                found.setdefault(fault, set()).add(test)
    for mutant in map(read, PATCHES):
        found.setdefault(mutant.fault, set()).add(mutant.test.partition("[")[0])
    return found


def _named(file: str, module: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield fault and test: a test's own docstring is stronger than its module's."""
    of_all = set(_ID.findall(ast.get_docstring(module) or ""))
    for node in module.body:
        if isinstance(node, _FUNCTIONS) and node.name.startswith("test_"):
            own = set(_ID.findall(ast.get_docstring(node) or ""))
            for fault in own or (of_all if len(of_all) == 1 else ()):
                yield fault, f"{file}::{node.name}"


def render() -> str:
    """Return the page."""
    tests, mutants = held_by_tests(), [read(patch) for patch in PATCHES]
    lines = [_HEAD]
    for title, (first, last) in PARTS.items():
        lines.append(f"## {title}\n")
        for fault, row in FAULTS.items():
            if first <= int(fault[2:]) <= last:
                lines.append(f"**{fault}** When {row.broken}: {row.holds}.\n")
                lines += [*_held(fault, tests.get(fault, set()), mutants), ""]
    lines.append(_ATTACKS)
    for fault in sorted(tests.keys() - FAULTS.keys()):
        lines.append(f"**{fault}** {ROWS[fault[2:]]}\n")
        lines += [*_held(fault, tests[fault], mutants), ""]
    return "\n".join(lines)


def _held(fault: str, tests: set[str], mutants: list[Mutant]) -> Iterator[str]:
    for test in sorted(tests):
        yield f"- {_sentence(test)} `{test}`"
        for mutant in mutants:
            if mutant.fault == fault and mutant.test.partition("[")[0] == test:
                yield f"    - *red*, `{mutant.patch.stem}`: {mutant.breaks[:1].upper()}{mutant.breaks[1:]}"
    if fault in OPEN:
        yield f"- *Open*: {OPEN[fault]}"


def _sentence(test: str) -> str:
    name = test.partition("::")[2].removeprefix("test_")
    plain = re.sub(r"^(?:[a-j]\d\d_)+", "", name).replace("_s_", "'s_").replace("_", " ")
    return plain[:1].upper() + plain[1:] + "."


if __name__ == "__main__":
    sys.stdout.write(render())
