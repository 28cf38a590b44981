"""Expressions: ours compiled once, beside Jinja2's compiled templates doing the same work.

Goals: at most twice Jinja2's time, and at least five times faster than parsing anew for each
evaluation. The pairs are the kinds of expressions real blueprints hold most; both sides get the same
data and make the same text.
"""

import math
import timeit
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import jinja2

from benchmarks.report import Report
from make_bridge.engine.iml import Budget, compile_template
from make_bridge.engine.iml import template as templates
from make_bridge.engine.values import Value, to_text

_ROUNDS = 2_000
_REPEATS = 7
_DATA: dict[str, Value] = {
    "name": "  Dana Miller ",
    "nickname": "",
    "price": 69.5,
    "qty": 3,
    "total": 208.5,
    "date": datetime(2026, 3, 31, 10, 20, 30, tzinfo=UTC),
    "text": "Oak side table, oiled, with a drawer",
    "user": {"name": "Dana", "address": {"city": "Brno"}},
    "order": {"id": "A-1001", "state": "paid"},
    "rows": [{"sku": f"SKU-{number}", "qty": number} for number in range(5)],
}
_PAIRS = (
    ("one field", "{{1.name}}", "{{ m.name }}"),
    ("a nested field", "{{1.user.address.city}}", "{{ m.user.address.city }}"),
    (
        "a sentence",
        "Hello {{1.user.name}}, order {{1.order.id}} over {{1.total}} is {{1.order.state}}.",
        "Hello {{ m.user.name }}, order {{ m.order.id }} over {{ m.total }} is {{ m.order.state }}.",
    ),
    ("arithmetic", "{{1.price * 1.qty + 10}}", "{{ m.price * m.qty + 10 }}"),
    ("a fallback", "{{ifempty(1.nickname; 1.user.name)}}", "{{ m.nickname or m.user.name }}"),
    ("a choice", '{{if(1.total > 100; "big"; "small")}}', "{{ 'big' if m.total > 100 else 'small' }}"),
    ("nested calls", "{{upper(trim(1.name))}}", "{{ m.name|trim|upper }}"),
    ("replace", '{{replace(1.text; ", "; " / ")}}', "{{ m.text|replace(', ', ' / ') }}"),
    ("map and join", '{{join(map(1.rows; "sku"); ", ")}}', "{{ m.rows|map(attribute='sku')|join(', ') }}"),
    ("a date", '{{formatDate(1.date; "YYYY-MM-DD HH:mm")}}', "{{ m.date.strftime('%Y-%m-%d %H:%M') }}"),
)


class _Scope:
    """The least an expression needs."""

    def __init__(self) -> None:
        self.budget = Budget(1 << 40, 1 << 50)
        self.timezone = ZoneInfo("UTC")
        self.now = datetime(2026, 3, 31, tzinfo=UTC)
        self.execution_id = ""

    def bundle(self, module_id: int) -> Value:
        return _DATA if module_id == 1 else None

    def variable(self, name: str) -> Value:  # noqa: ARG002  the scope's shape
        return None

    def random(self) -> float:
        return 0.5

    def uuid(self) -> str:
        return ""


def run(report: Report) -> None:
    """Measure and report."""
    scope = _Scope()
    environment = jinja2.Environment(autoescape=False)  # noqa: S701  text, as ours makes
    ratios, gains = [], []
    for name, ours, theirs in _PAIRS:
        evaluate = compile_template(ours).evaluate
        render = environment.from_string(theirs).render
        assert to_text(evaluate(scope)) == render(m=_DATA), name
        mine = _microseconds(lambda evaluate=evaluate: evaluate(scope))
        other = _microseconds(lambda render=render: render(m=_DATA))
        naive = _microseconds(lambda text=ours: _parse_and_evaluate(text, scope))
        ratios.append(mine / other)
        gains.append(naive / mine)
        report.line(name, f"{mine:.2f} µs, Jinja2 {other:.2f} µs, parsed anew {naive:.1f} µs")
    report.goal("time / Jinja2's (mean)", _mean(ratios), at_most=2.0)
    report.goal("time / Jinja2's (worst)", max(ratios), at_most=2.0)
    report.goal("parsed anew / compiled once (mean)", _mean(gains), at_least=5.0)


def _parse_and_evaluate(text: str, scope: _Scope) -> Value:
    return templates._compile(text).evaluate(scope)  # noqa: SLF001  the way past the cache


def _microseconds(work: object) -> float:
    assert callable(work)
    return min(timeit.repeat(work, number=_ROUNDS, repeat=_REPEATS)) / _ROUNDS * 1e6


def _mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))
