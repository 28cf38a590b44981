"""Imports point down, and the pure parts stay pure.

The order of the strata is written once, as contracts in pyproject.toml; here it is run, and what import-linter cannot
say is added: which libraries the engine may know, and that a slice's model and messages touch no I/O.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ENGINE_MAY_KNOW = sys.stdlib_module_names | {"msgspec", "re2", "cryptography", "markdown_it"}
ENGINE_MAY_NOT_KNOW = frozenset(
    {"asyncio.subprocess", "http.client", "os", "pathlib", "shutil", "socket", "subprocess", "urllib.request"}
)
INPUT_AND_OUTPUT = frozenset({"aiohttp", "alembic", "fastapi", "psycopg", "psycopg_pool", "sqlalchemy", "starlette"})
SQL = frozenset({"psycopg", "psycopg_pool", "sqlalchemy"})
SLICES = frozenset(
    {
        "organizations",
        "customers",
        "data_structures",
        "data_stores",
        "functions",
        "templates",
        "connections",
        "scenarios",
    }
    | {
        "executions",
        "integrations",
        "activity",
        "jobs",
        "usage",
        "reports",
        "deliveries",
        "audit",
        "oauth",
        "users",
        "teams",
        "folders",
        "gaps",
        "storage",
        "credential_requests",
        "variables",
    }
)


def known(name, names):
    """True where a dotted import is one of the names or lies below one."""
    parts = name.split(".")
    return any(".".join(parts[:length]) in names for length in range(1, len(parts) + 1))


def test_the_contracts_of_the_strata_are_kept(root):
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache", "--no-logo"], cwd=root, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_folder_of_the_package_is_a_package(package):
    # import-linter does not look into a folder without __init__.py: a knot could hide there.
    folders = {module.path.parent for module in package if "migrations" not in module.path.parts}
    packages = {module.path.parent for module in package if module.path.name == "__init__.py"}
    assert folders - packages == set()


@pytest.mark.attack("F04")
def test_the_engine_knows_only_python_the_kernel_and_libraries_that_compute(package):
    strangers = [
        f"{module.path}: {name}"
        for module in package
        if module.name.startswith("make_bridge.engine")
        for name in module.imports()
        if not name.startswith(("make_bridge.engine", "make_bridge.kernel"))
        and (not known(name, ENGINE_MAY_KNOW) or known(name, ENGINE_MAY_NOT_KNOW))
    ]
    assert strangers == []


def test_the_domain_has_only_slices_with_a_place_in_the_order(package):
    found = {module.path.parts[3] for module in package if module.name.startswith("make_bridge.domain.")}
    assert {Path(name).stem for name in found} - SLICES == set()


def test_model_and_messages_of_a_slice_touch_no_input_or_output(package):
    touching = [
        f"{module.path}: {name}"
        for module in package
        if module.name.startswith("make_bridge.domain.") and module.path.stem in {"model", "messages"}
        for name in module.imports()
        if known(name, INPUT_AND_OUTPUT) or known(name, {"make_bridge.platform"})
    ]
    assert touching == []


def test_in_the_domain_only_the_store_knows_sql(package):
    speaking = [
        f"{module.path}: {name}"
        for module in package
        if module.name.startswith("make_bridge.domain.") and "store" not in module.path.stem
        for name in module.imports()
        if known(name, SQL)
    ]
    assert speaking == []


def test_faces_and_services_speak_no_sql(package):
    speaking = [
        f"{module.path}: {name}"
        for module in package
        if module.name.startswith(("make_bridge.faces.", "make_bridge.services."))
        for name in module.imports()
        if known(name, SQL)
    ]
    assert speaking == []
