"""Templates that try to hurt, run in a process of their own by `test_limits.py`.

Every one must end in an error of the language, or in a value, before long and without memory. Started as a script it
prints, as JSON, what became of each: seconds of processor time, and the growth of the process's peak memory.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from make_bridge.engine.iml import Budget, ExpressionError, compile_template
from make_bridge.engine.values import Value

MEGABYTE = 1_000_000


@dataclass
class HostileScope:
    """A scope whose only module gives large and awkward things."""

    bundles: dict[int, Value]
    now: datetime = datetime(2026, 3, 31, tzinfo=UTC)
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Prague"))
    budget: Budget = field(default_factory=Budget)
    execution_id: str = ""

    def bundle(self, module_id: int) -> Value:
        return self.bundles.get(module_id)

    def variable(self, name: str) -> Value:
        return None

    def random(self) -> float:
        return 0.5

    def uuid(self) -> str:
        return ""


def chained(calls: int, call: str, *, fill: str = " + ") -> str:
    return "{{" + fill.join([call] * calls) + "}}"


def nested(times: int, around: str, inside: str) -> str:
    for _ in range(times):
        inside = around.format(inside)
    return "{{" + inside + "}}"


def hostile_templates() -> Iterator[tuple[str, str]]:
    yield "100 000 parentheses", "{{" + "(" * 100_000 + "1" + ")" * 100_000 + "}}"
    yield "200 000 minus signs", "{{" + "-" * 200_000 + "1}}"
    yield "10 MB of braces", "{" * 10_000_000
    yield "10 MB of opening expressions", "{{1.a" * 2_000_000
    yield "10 MB of segments", "{{1" + ".a" * 5_000_000 + "}}"
    yield "10 MB of dotted words", "{{a" + ".a" * 5_000_000 + "}}"
    yield "10 MB of quotation marks", '{{"' + '""' * 5_000_000 + '"}}'
    yield "10 MB of digits", "{{" + "9" * 10_000_000 + "}}"
    yield "10 MB of literal text", "x" * 10_000_000 + "{{1.one}}"
    yield "the widest sum", "{{" + "1+" * 32_000 + "1.one}}"
    yield "10 MB of one variable", "{{upper(1.ten)}}"
    yield "10 MB to JSON", "{{toString(1.array_of_ten)}}"
    yield "10 MB to base64", "{{base64(1.ten)}}"
    yield "10 MB split into characters", "{{split(1.ten; )}}"
    yield "split without text", chained(2_500, 'length(split("";","))')
    yield "nested replace", nested(12, 'replace({}; "a"; "aaaaaaaaaa")', '"a"')
    yield "nested replace of data", nested(12, 'replace({}; "a"; "aaaaaaaaaa")', "1.a")
    yield "doubling by merge", nested(40, "merge({0}; 1.list)", "1.list")
    yield "joining with a long separator", "{{join(1.list; 1.megabyte)}}"
    yield "thousands separators of 1 MB", "{{formatNumber(1e300; 2; 1.megabyte; 1.megabyte)}}"
    yield "hundreds of decimals", chained(2_000, "formatNumber(1e300; 100)")
    yield "a date format of 1 MB", "{{formatDate(now; 1.megabyte)}}"
    yield "many long date formats", chained(900, "formatDate(now; 1.format)")
    yield "a date of 1 MB", '{{parseDate(1.megabyte; "YYYY")}}'
    yield "a date of blanks", chained(1_500, "addMonths(1.blank; 1)")
    yield "blank numbers of 1 MB", "{{sum(1.blanks)}}"
    yield "comparing what differs at the end", chained(2_200, "(1.megabyte = 1.other)", fill=" | ")
    yield "ordering what differs at the end", chained(2_200, "(1.megabyte > 1.other)", fill=" | ")
    yield "removing what differs at the end", "{{remove(1.same; 1.other)}}"
    yield "searching the worst case", chained(2_000, "indexOf(1.haystack; 1.needle)")
    yield "searching the worst case in splits", chained(1_700, "length(split(1.haystack; 1.needle))")
    yield "a pattern that backtracks", '{{replace(1.a; "/(a+)+$/g"; "")}}'
    yield "a pattern that looks ahead to the end", '{{replace(1.many_a; "/a(.*b)?/g"; "")}}'
    yield "many patterns that look ahead", chained(900, 'length(replace(1.many_a; "/a(.*b)?/g"; ""))')
    yield (
        "many patterns that look ahead from few places",
        chained(900, 'length(replace(1.sparse; "/a(.*b)?/g"; ""))'),
    )
    yield (
        "many large patterns",
        "{{" + " + ".join(f'length(replace(1.a; "/(?:x{{{n}}}y{{9}}){{9}}[a-z]+/"; ""))' for n in range(1, 110)) + "}}",
    )
    yield "many hashes of 1 MB", chained(2_500, "sha512(1.megabyte)")
    yield "sorting what is long", "{{sort(1.same)}}"
    yield "shared arrays", "{{toString(1.shared)}}"
    yield "shared arrays in text", "<{{1.shared}}>"
    yield "flattening shared arrays", "{{length(flatten(1.shared))}}"
    yield "a path of 10 000 steps", "{{get(1.shared; 1.path)}}"
    yield "constants folded for ever", chained(1_500, 'sha512("' + "a" * 20 + '")')


def bundle() -> dict[str, Value]:
    shared: Value = ["x" * 1000]
    for _ in range(40):
        shared = [shared, shared]
    text = "y" * MEGABYTE
    return {
        "one": 1,
        "a": "a" * 50_000,
        "sparse": ("a" + "x" * 99) * 1_000,
        "many_a": "a" * 100_000,
        "ten": "x" * 10 * MEGABYTE,
        "array_of_ten": ["é" * 5 * MEGABYTE, {"key": "x" * 5 * MEGABYTE}],
        "megabyte": text + "a",
        "other": text + "b",
        "blanks": [" " * MEGABYTE] * 50_000,
        "blank": " " * MEGABYTE,
        "list": list(range(5_000)),
        "same": [text + "a"] * 5_000,
        "format": "dddd " * 100,
        "haystack": "a" * 2_400,
        "needle": "a" * 1_200 + "b",
        "shared": shared,
        "path": "1." * 10_000,
    }


def main() -> None:
    data = bundle()
    report: dict[str, dict[str, object]] = {}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, text in hostile_templates():
        outcome = "a value"
        started = time.thread_time()
        try:
            compile_template(text).evaluate(HostileScope(bundles={1: data}))
        except ExpressionError as error:
            outcome = type(error).__name__
        seconds = time.thread_time() - started
        before, peak = peak, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        report[name] = {"outcome": outcome, "seconds": seconds, "grown_kib": peak - before}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
