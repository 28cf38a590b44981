"""A plugin of pytest that writes `docs/security/attacks.md`: which test holds which row of the list of attacks.

Loaded by ``make attacks`` (`-p attacks.report`) and by the test that holds the page against what pytest collects. A
test belongs to a row when its name holds the row's id (`test_a14_…`) or its marker does. What the page says of a test
is its docstring, or its name as a sentence. A run of some files leaves on the page what it says of all others.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from attacks.rows import OPEN, PARTS, ROWS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security" / "attacks.md"
_ROW = re.compile(r"^\*\*([A-J]\d\d)\*\* ", re.MULTILINE)
_LINE = re.compile(r"^- .* `([^`]+::[^`]+)`: .*$", re.MULTILINE)
_NAMED = re.compile(r"test_((?:[a-j]\d\d_)+)")
_HEAD = """\
# Attacks

What is tried against the product in its tests, row by row, and which test holds it. Written by `make attacks` from a
run of those tests; edit `tests/attacks/rows.py` or the tests instead. Tests of part A, and others whose way in is HTTP,
go through nginx to two servers on one database.

Every refusal is held against the same rules: an answer in time, never a fault of ours, nothing of the inside in it,
nothing stored, nothing run. *Open* says what is not held.
"""
Lines = dict[str, dict[str, str]]
_PROPERTY = "attack"
_OUTCOMES = ("failed", "error", "known gap", "skipped", "held", "not run")


@dataclass(slots=True)
class Held:
    """One test function of the page: the rows it holds, its sentence, and the outcome of each of its cases."""

    rows: tuple[str, ...]
    sentence: str
    outcomes: dict[str, str] = field(default_factory=dict)
    gaps: set[str] = field(default_factory=set)

    @property
    def outcome(self) -> str:
        told = [outcome for outcome in _OUTCOMES if outcome in self.outcomes.values()]
        counts = [list(self.outcomes.values()).count(outcome) for outcome in told]
        cases = [
            f"{outcome} ({count} cases)" if count > 1 else outcome for outcome, count in zip(told, counts, strict=True)
        ]
        return ": ".join([", ".join(cases), *sorted(self.gaps)])


def rows_of(item: pytest.Item) -> tuple[str, ...]:
    """Return the rows a test holds: those in its name, then those of its markers."""
    named = _NAMED.match(item.name)
    ids = [part.upper() for part in named[1].split("_") if part] if named else []
    ids += [str(row) for marker in item.iter_markers("attack") for row in marker.args]
    return tuple(dict.fromkeys(ids))


def sentence_of(item: pytest.Item) -> str:
    """Return what a test says: the first sentence of its docstring, or its name."""
    written = (getattr(getattr(item, "function", None), "__doc__", None) or "").strip()
    if written:
        return " ".join(written.partition("\n\n")[0].split())
    name = item.name.partition("[")[0].removeprefix("test_")
    plain = re.sub(r"^(?:[a-j]\d\d_)+", "", name).replace("_s_", "'s_").replace("_", " ")
    return plain[:1].upper() + plain[1:] + "."


class AttackReport:
    """See the module."""

    def __init__(self, page: Path) -> None:
        self.page = page
        self.held: dict[str, Held] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the tests that hold a row, and let their reports say which."""
        chosen = [item for item in items if rows_of(item)]
        others = [item for item in items if not rows_of(item)]
        items[:] = chosen
        config.hook.pytest_deselected(items=others)
        for item in chosen:
            test = item.nodeid.partition("[")[0]
            held = self.held.setdefault(test, Held(rows_of(item), sentence_of(item)))
            held.outcomes[item.nodeid] = "not run"
            item.user_properties.append((_PROPERTY, [list(held.rows), held.sentence]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the outcome of each phase; the worst one stays. Reports of other processes bring their rows along."""
        given = dict(report.user_properties).get(_PROPERTY)
        if not isinstance(given, list):
            return
        rows, sentence = given
        held = self.held.setdefault(report.nodeid.partition("[")[0], Held(tuple(rows), sentence))
        before, now = held.outcomes.get(report.nodeid, "not run"), outcome_of(report)
        if hasattr(report, "wasxfail"):
            held.gaps.add(str(report.wasxfail).removeprefix("reason: "))
        if now is not None and _OUTCOMES.index(now) <= _OUTCOMES.index(before):
            held.outcomes[report.nodeid] = now

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page, in the process that hears of all tests."""
        if not hasattr(session.config, "workerinput"):
            self.page.parent.mkdir(parents=True, exist_ok=True)
            is_whole = session.config.args_source is not pytest.Config.ArgsSource.ARGS
            before = {} if is_whole or not self.page.exists() else lines_of(self.page.read_text(encoding="utf-8"))
            self.page.write_text(render(self.held, before), encoding="utf-8")


def outcome_of(report: pytest.TestReport) -> str | None:
    """Return what one phase of a test says of it, None for a phase that went well beside the call."""
    if hasattr(report, "wasxfail"):
        return "known gap"
    if report.failed:
        return "failed" if report.when == "call" else "error"
    if report.skipped:
        return "skipped"
    return "held" if report.when == "call" else None


def lines_of(page: str) -> Lines:
    """Read a page back: for each row the line of each test."""
    pieces = _ROW.split(page)
    return {
        row: {line[1]: line[0] for line in _LINE.finditer(text)}
        for row, text in zip(pieces[1::2], pieces[2::2], strict=True)
    }


def render(held: dict[str, Held], before: Lines) -> str:
    """Return the page. Of tests that were not asked for stays what ``before`` says of them."""
    return "\n".join([_HEAD, *_parts(held, before)]) + "\n"


def _parts(held: dict[str, Held], before: Lines) -> Iterator[str]:
    for letter, title in PARTS.items():
        yield f"## {letter}. {title}\n"
        for row, tried in ROWS.items():
            if row.startswith(letter):
                yield f"**{row}** {tried}\n"
                lines = {test: line for test, line in before.get(row, {}).items() if test not in held}
                for test, one in held.items():
                    if row in one.rows:
                        lines[test] = f"- {one.sentence} `{test}`: {one.outcome}"
                yield from (line for _, line in sorted(lines.items()))
                yield from (f"- *Open*: {OPEN[row]}",) if row in OPEN else ()
                yield ""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--attacks-page", type=Path, default=PAGE, help="where the page is written")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(AttackReport(config.getoption("--attacks-page")), "attack-report")
