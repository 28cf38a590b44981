"""``docs/reference/blueprints.md``: what becomes of every blueprint of the corpus, as the program itself judges it.

``MAKE_BRIDGE_WRITE_PAGES=1`` writes the page; without it the page must be what would be written.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from make_bridge.engine.apps.catalogue import APPS, CATALOGUE
from make_bridge.engine.blueprint.findings import Finding, Severity
from make_bridge.engine.blueprint.model import Blueprint
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.blueprint.validate import validate

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "blueprints.md"
INTRODUCTION = """# Other people's blueprints

<!-- Written by tests/unit/engine/scenarios/test_compatibility.py with MAKE_BRIDGE_WRITE_PAGES=1. -->

What becomes of collected blueprints that other people made: every one of them imports, keeps its bytes and can be
drawn. One whose modules are all known here *runs* once its connections are chosen. One with modules of an app that is
not known here is kept as a draft: each such module is named with its position, and the scenario refuses to be switched
on. The list of modules is in [modules.md](modules.md).
"""


def _blueprints(corpus: Path) -> Iterator[tuple[Path, Blueprint]]:
    for file in sorted(corpus.glob("*/*.json")):
        yield file, parse_blueprint(json.loads(file.read_text(encoding="utf-8-sig")))


def _verdict(findings: list[Finding], missing: Counter[str]) -> str:
    if missing:
        return "draft: " + ", ".join(
            f"`{name}`" + (f" × {count}" if count > 1 else "") for name, count in sorted(missing.items())
        )
    errors = [finding for finding in findings if finding.severity is not Severity.WARNING]
    if errors:
        return "; ".join(dict.fromkeys(f"`{finding.position}`: {finding.message}" for finding in errors))
    return "runs"


def _page(corpus: Path) -> str:
    rows, total, runs, known, modules = [], 0, 0, 0, 0
    for file, blueprint in _blueprints(corpus):
        found = [module for module in blueprint.modules() if not module.placeholder]
        missing = Counter(module.module for module in found if module.module not in CATALOGUE)
        verdict = _verdict(list(validate(blueprint, CATALOGUE)), missing)
        total, runs, modules = total + 1, runs + (verdict == "runs"), modules + len(found)
        known += sum(module.module in CATALOGUE for module in found)
        rows.append(
            f"| {file.parent.name}/{file.stem.partition('__')[2]} | {len(found)} | {verdict} |".replace("||", "| |")
        )
    summary = f"{total} blueprints, {runs} run as they are; {known} of their {modules} modules are known."
    table = ["| blueprint | modules | what becomes of it |", "|---|---|---|", *rows]
    return "\n".join([INTRODUCTION, summary, "", *table]) + "\n"


def test_the_page_says_what_the_program_does(corpus: Path) -> None:
    page = _page(corpus)
    if os.environ.get("MAKE_BRIDGE_WRITE_PAGES"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, "write the page anew: its head says how"


def test_a_module_that_is_not_known_is_named_with_its_position_and_id(corpus: Path) -> None:
    unknown = 0
    for file, blueprint in _blueprints(corpus):
        findings = {(finding.position, finding.module_id) for finding in validate(blueprint, CATALOGUE)}
        for module in blueprint.modules():
            if module.module not in CATALOGUE and not module.skipped:
                unknown += 1
                assert (f"{module.position}.module", module.id) in findings, (file.name, module.module)
    assert unknown > 50


def test_of_our_own_apps_only_a_misspelt_module_is_unknown(corpus: Path) -> None:
    ours = {
        module.module for _, blueprint in _blueprints(corpus) for module in blueprint.modules() if module.app in APPS
    }
    assert ours - CATALOGUE.keys() == {"gateway:CustomWebhook"}
