"""A scope to evaluate in: fixed time, fixed chance, bundles as the case needs them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from make_bridge.engine.iml import Budget, compile_template
from make_bridge.engine.values import Value


@dataclass
class FakeScope:
    """What the runner gives: here from plain dictionaries."""

    bundles: Mapping[int, Value] = field(default_factory=dict)
    variables: Mapping[str, Value] = field(default_factory=dict)
    now: datetime = datetime(2026, 3, 31, 10, 20, 30, 400_000, tzinfo=UTC)
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    budget: Budget = field(default_factory=Budget)
    execution_id: str = "019acafe0001000000000000000000ff"
    draws: int = 0

    def bundle(self, module_id: int) -> Value:
        return self.bundles.get(module_id)

    def variable(self, name: str) -> Value:
        return self.variables.get(name)

    def random(self) -> float:
        self.draws += 1
        return (self.draws * 0.618034) % 1

    def uuid(self) -> str:
        return "6f1c7d1e-5f6b-4c58-9d3f-1f6f3e0a2b4c"


@pytest.fixture(scope="session")
def make_scope() -> type[FakeScope]:
    return FakeScope


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., Value]:
    """Evaluate a template; keyword ``m`` is the bundle of module 1, the others are those of the scope."""

    def run(template: str, m: Value = None, zone: str = "UTC", **others: object) -> Value:
        scope = FakeScope(bundles={1: m}, timezone=ZoneInfo(zone), **others)  # type: ignore[arg-type]
        return compile_template(template).evaluate(scope)

    return run
