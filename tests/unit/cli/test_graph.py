"""``blueprint graph``: the three forms of a picture, by the command itself."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from make_bridge.cli.application import app
from support.blueprints import module, router, webhook, when

RUN = CliRunner()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    named = module(2, "util:FunctionSleep", {}, metadata={"designer": {"name": 'Wait <a> "while"'}})
    exits = [module(4, "vendor:DoIt", {}, filter=when("{{1.a}}", "exist"))]
    flow = [webhook(), named, router(3, exits, [module(5, "builtin:Ignore")])]
    path = tmp_path / "blueprint.json"
    path.write_text(json.dumps({"name": "Orders & more", "flow": flow, "metadata": {}}))
    return path


def test_a_tree_is_for_the_terminal(file: Path) -> None:
    told = RUN.invoke(app, ["blueprint", "graph", str(file)])
    assert told.exit_code == 0, told.output
    assert 'Wait <a> "while"  util:FunctionSleep' in told.output
    assert "1.a exists" in told.output
    assert told.output.index("vendor:DoIt") < told.output.index("builtin:Ignore")


def test_mermaid_names_every_module_and_escapes_what_people_wrote(file: Path) -> None:
    told = RUN.invoke(app, ["blueprint", "graph", str(file), "--format", "mermaid"])
    assert told.output.startswith("flowchart LR\n")
    assert "Wait &lt;a&gt; &quot;while&quot;" in told.output
    assert '-->|"1.a exists"|' in told.output


def test_the_picture_is_well_formed_and_written_where_asked(file: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.svg"
    told = RUN.invoke(app, ["blueprint", "graph", str(file), "--format", "svg", "-o", str(picture)])
    assert told.exit_code == 0, told.output
    root = ET.fromstring(picture.read_text())  # noqa: S314  our own picture
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert 'Wait <a> "while"' in texts
    labels = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "1.a exists1.a exists" in labels, "the full label as a tooltip, then the label"


def test_a_folder_that_is_not_there_is_named(file: Path, tmp_path: Path) -> None:
    told = RUN.invoke(app, ["blueprint", "graph", str(file), "--format", "svg", "-o", str(tmp_path / "no" / "x.svg")])
    assert told.exit_code == 1
    assert "Cannot write" in told.output


def test_a_tree_in_a_file_is_refused_with_what_to_do(file: Path, tmp_path: Path) -> None:
    told = RUN.invoke(app, ["blueprint", "graph", str(file), "-o", str(tmp_path / "x")])
    assert told.exit_code == 1
    assert "--format mermaid" in told.output
