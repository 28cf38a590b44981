"""What every fault test has: the end of every server's log in the report of a failed test."""

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pytest

from support.server import Installation, show_logs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for folder in _folders(getattr(item, "funcargs", {}).values()):
            show_logs(report, folder)
    return report


def _folders(values: Iterable[object]) -> Iterator[Path]:
    """Where servers of a test log: below its own folder, or where its fixture installed them."""
    for value in values:
        if isinstance(value, Path):
            yield value
        elif isinstance(installation := getattr(value, "installation", None), Installation):
            yield installation.folder
