"""A built page: read anew after a build, kept while one is under way."""

import os

from make_bridge.faces.edge.built_page import BuiltPage


def write(file, text, at):
    file.write_text(text, encoding="utf-8")
    os.utime(file, (at, at))


def test_a_page_built_under_a_running_server_is_served_from_then_on(tmp_path):
    file = tmp_path / "index.html"
    write(file, "old.js", 1_000_000_000)
    page = BuiltPage(file)
    assert page.text == "old.js"
    write(file, "new.js", 1_000_000_001)
    assert page.text == "new.js"


def test_while_a_build_has_taken_the_file_away_the_last_page_stands_in(tmp_path):
    file = tmp_path / "index.html"
    write(file, "old.js", 1_000_000_000)
    page = BuiltPage(file)
    assert page.text == "old.js"
    file.unlink()
    assert page.text == "old.js"
    write(file, "new.js", 1_000_000_000)
    assert page.text == "new.js"


def test_pages_that_are_not_built_say_so_until_they_are(tmp_path):
    page = BuiltPage(tmp_path / "index.html")
    assert "make web" in page.text
    write(tmp_path / "index.html", "built", 1_000_000_000)
    assert page.text == "built"
