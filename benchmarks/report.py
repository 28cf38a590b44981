"""How figures are told: a line each, goals with the ratio they were asked for."""

import sys
from dataclasses import dataclass, field


@dataclass(slots=True)
class Report:
    """Collects and prints the figures of one run."""

    missed: list[str] = field(default_factory=list)

    def title(self, text: str) -> None:
        """Begin a benchmark."""
        sys.stdout.write(f"\n{text}\n")

    def line(self, name: str, value: str) -> None:
        """Print a figure."""
        sys.stdout.write(f"  {name:<38} {value}\n")
        sys.stdout.flush()

    def goal(self, name: str, value: float, *, at_least: float | None = None, at_most: float | None = None) -> None:
        """Print a figure beside its goal."""
        reached = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
        wanted = f"≥ {at_least:g}" if at_least is not None else f"≤ {at_most:g}"
        self.line(name, f"{value:.2f}  (goal {wanted}: {'reached' if reached else 'NOT REACHED'})")
        if not reached:
            self.missed.append(name)
