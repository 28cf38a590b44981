"""What the build of the documentation's site does beside MkDocs itself; named in mkdocs.yml.

* ``folder/*`` in the navigation stands for the pages of a folder that are named nowhere else, so that a new page finds
  its place without a line there.
* A link to a file outside of docs/ works where the repository is read; the site has no such file, so there it becomes
  the file's name. One that leads nowhere is a warning, and `--strict` ends with it.
"""

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_LINK = re.compile(r"\[([^\]\[]+)\]\(((?:\.\./)+[^)\s#]*)(#[^)\s]*)?\)")
_log = logging.getLogger("mkdocs.hooks.site")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put pages that the navigation does not name where it says ``folder/*``."""
    if config.nav is not None:
        named = set(_named(config.nav))
        config.nav = _spread(config.nav, Path(config.docs_dir), named)
    return config


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that leave docs/ into names of files."""
    del files
    folder = posixpath.dirname(page.file.src_uri)
    root = Path(config.config_file_path).parent

    def told(found: "re.Match[str]") -> str:
        label, target = found[1], found[2]
        place = posixpath.normpath(posixpath.join("docs", folder, target))
        if place.startswith("docs/"):
            return found[0]
        if not (root / place).exists():
            _log.warning("%s links to %s, which is not there", page.file.src_uri, target)
        return f"`{place}`" if label.strip("`") in {place, posixpath.basename(place)} else f"{label} (`{place}`)"

    return _LINK.sub(told, markdown)


def _named(entry: Any) -> list[str]:  # noqa: ANN401 - as YAML gives it
    if isinstance(entry, str):
        return [entry]
    inner = entry.values() if isinstance(entry, dict) else entry
    return [name for part in inner for name in _named(part)]


def _spread(entry: Any, docs: Path, named: set[str]) -> Any:  # noqa: ANN401 - the same
    if isinstance(entry, dict):
        return {title: _spread(inner, docs, named) for title, inner in entry.items()}
    if not isinstance(entry, list):
        return entry
    spread: list[Any] = []
    for part in entry:
        if isinstance(part, str) and part.endswith("/*"):
            found = (page.relative_to(docs).as_posix() for page in sorted(docs.glob(f"{part}.md")))
            spread += [page for page in found if page not in named]
        else:
            spread.append(_spread(part, docs, named))
    return spread
