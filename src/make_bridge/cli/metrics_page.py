"""The reference of metrics: every figure of the page ``/metrics``, from where it is declared; for ``reference``."""

from itertools import groupby
from typing import Final

from make_bridge.platform.observability.metrics import Declaration, Label, Metrics

_UNITS: Final = {"1": "", "bool": "0 or 1"}


def metrics_page(note: str) -> str:
    """Return the reference of metrics; ``note`` says where the page comes from."""
    declared = Metrics().declared
    lines = [
        "# Metrics",
        "",
        note,
        "",
        f"{len(declared)} metrics that each process shows at `/metrics`, in the text format of Prometheus.",
        "[How to watch a server](../how-to/watch.md) says which to look at first.",
        "",
        "Each process counts what it does itself: counters and histograms are added up with `sum`. A gauge marked as",
        "*shared* is one fact that all processes see, such as what waits in the queue: there it is `max`, never `sum`.",
        "No label is anything that a caller sent; each has the values that stand here, or is bounded as it says.",
    ]
    for subject, group in groupby(declared, lambda one: one.subject):
        lines += ["", f"## {subject}", "", "| name | type | labels | unit | meaning |", "|---|---|---|---|---|"]
        lines += [_row(one) for one in group]
    return "\n".join(lines) + "\n"


def _row(one: Declaration) -> str:
    kind = f"{one.kind}, *shared*" if one.is_shared else one.kind
    labels = "<br>".join(map(_label, one.labels))
    return f"| `{one.name}` | {kind} | {labels} | {_UNITS.get(one.unit, one.unit)} | {one.meaning} |"


def _label(label: Label) -> str:
    bound = ", ".join(f"`{value}`" for value in label.values) or label.bounded_by
    return f"`{label.name}`: {bound}"


def metrics_as_data() -> list[dict[str, object]]:
    """Return the same for programs."""
    return [
        {
            "name": one.name,
            "type": one.kind,
            "labels": {label.name: list(label.values) or label.bounded_by for label in one.labels},
            "unit": one.unit,
            "shared": one.is_shared,
            "subject": one.subject,
            "help": one.meaning,
        }
        for one in Metrics().declared
    ]
