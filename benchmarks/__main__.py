"""Run the benchmarks named on the command line, or all of them."""

import sys
from collections.abc import Callable

from benchmarks import (
    acceptance,
    bundles,
    bus,
    cache,
    calls,
    claims,
    edge,
    executions,
    expressions,
    footprint,
    gateway,
    jobs,
    lists,
    metrics_page,
    neighbours,
    nodes,
    observing,
    scale,
    sealing,
)
from benchmarks.report import Report
from make_bridge.kernel.collector import calm_collector

ALL: dict[str, Callable[[Report], None]] = {
    "acceptance": acceptance.run,
    "bundles": bundles.run,
    "bus": bus.run,
    "cache": cache.run,
    "calls": calls.run,
    "claims": claims.run,
    "edge": edge.run,
    "executions": executions.run,
    "expressions": expressions.run,
    "footprint": footprint.run,
    "gateway": gateway.run,
    "jobs": jobs.run,
    "lists": lists.run,
    "metrics_page": metrics_page.run,
    "neighbours": neighbours.run,
    "nodes": nodes.run,
    "observing": observing.run,
    "scale": scale.run,
    "sealing": sealing.run,
}


def main() -> int:
    """Run and say which goals were missed; a missed goal is told, not an error."""
    calm_collector()
    report = Report()
    for name in sys.argv[1:] or list(ALL):
        report.title(name)
        ALL[name](report)
    missed = ", ".join(report.missed) or "none"
    sys.stdout.write(f"\ngoals not reached: {missed}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
