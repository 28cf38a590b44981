"""How far something is: a bar on a terminal, nothing elsewhere."""

import io

import pytest
from rich.console import Console

from make_bridge.cli import output


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "elsewhere"])
def test_a_bar_is_shown_on_a_terminal_alone(monkeypatch, is_terminal):
    said = io.StringIO()
    monkeypatch.setattr(output, "_err", Console(file=said, force_terminal=is_terminal, width=80))
    with output.measuring("Report [7]") as tell:
        tell(0.5)
        tell(1.0)
    assert ("Report [7]" in said.getvalue()) is is_terminal
    assert bool(said.getvalue()) is is_terminal
