"""The site of the documentation builds without a warning, shows every page, and loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)")

pytestmark = pytest.mark.timeout(200)


def build(folder, *options):
    """Build the site into a folder, as `make site` does."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder, *options],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        check=False,
        text=True,
        timeout=150,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_built_and_is_in_the_navigation(site):
    front = (site / "index.html").read_text(encoding="utf-8")
    pages = [page.relative_to(DOCS).with_suffix(".html").as_posix() for page in DOCS.rglob("*.md")]
    pages = [page.replace("README.html", "index.html") for page in pages]
    assert [page for page in pages if not (site / page).is_file()] == []
    assert [page for page in pages if f'href="{page}"' not in front] == []


def test_nothing_is_loaded_from_elsewhere(site):
    loaded = {
        (page.name, url) for page in site.rglob("*.html") for url in LOADED.findall(page.read_text(encoding="utf-8"))
    }
    assert loaded == set()
    styles = "".join(sheet.read_text(encoding="utf-8") for sheet in site.rglob("*.css"))
    assert re.findall(r"url\(\s*[\"']?(?:https?:)?//[^)]*", styles) == []
    # The theme fetches a renderer of diagrams from elsewhere as soon as a page has one.
    assert [page.name for page in site.rglob("*.html") if 'class="mermaid"' in page.read_text(encoding="utf-8")] == []


def test_a_link_that_leaves_the_pages_becomes_the_name_of_its_file(site):
    page = (site / "explanation" / "scale.html").read_text(encoding="utf-8")
    assert "<code>benchmarks/scale.py</code>" in page
    outside = {
        (page.name, link)
        for page in site.rglob("*.html")
        for link in re.findall(r'href="[^"]*\.(?:py|toml|sql)"', page.read_text())
    }
    assert outside == set()


@pytest.mark.parametrize(
    "link",
    ["[nowhere](how-to/nowhere.md)", "[gone](../src/gone.py)", "[no such place](glossary.md#nowhere)"],
    ids=["page", "file", "heading"],
)
def test_a_link_that_leads_nowhere_ends_the_build(link, tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    for page in ("index.md", "glossary.md"):
        (docs / page).write_text(f"# A page\n\n{link if page == 'index.md' else 'Words.'}\n")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[0]
    hooks = ROOT / "tools" / "site_hooks.py"
    (tmp_path / "mkdocs.yml").write_text(settings.replace("hooks: [tools/site_hooks.py]", f"hooks: [{hooks}]"))
    done = build(tmp_path / "site", "--config-file", tmp_path / "mkdocs.yml")
    assert done.returncode == 1, done.stderr
    assert "WARNING" in done.stderr
