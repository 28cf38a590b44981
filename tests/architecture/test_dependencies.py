"""What is installed is what the project names: locked by content, from no particular index, each with its reason.

A registry's address in a lock or a page would bind every installation to that host; machines have mirrors.
"""

import json
import re
import tomllib

import pytest

# Put together here, because this file is searched too.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("npmmirror", "com"),
    )
)
LOCKS = ("audit", "bootstrap", "build", "dev", "node", "runtime")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)


def normal(requirement):
    """The name of a requirement as the locks write it: `psycopg[binary]>=3` is psycopg."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]).lower()


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def locks(root):
    return {name: (root / "requirements" / f"{name}.txt").read_text(encoding="utf-8") for name in LOCKS}


def test_no_file_names_a_package_registry(root, project_files):
    naming = [
        f"{path}: {host}"
        for path in project_files
        for host in REGISTRY_HOSTS
        if host.encode() in (root / path).read_bytes()
    ]
    assert naming == []


@pytest.mark.attack("J08")
def test_python_locks_hold_only_pins_and_hashes(locks):
    allowed = re.compile(r"#.*|[a-z0-9][a-z0-9._-]*==\S+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    strange = [
        f"{name}: {line}"
        for name, text in locks.items()
        for line in text.splitlines()
        if line and not allowed.fullmatch(line)
    ]
    assert strange == []


@pytest.mark.attack("J08")
def test_the_web_lock_holds_no_addresses(root):
    lock = root / "web" / "package-lock.json"
    if not lock.exists():
        pytest.skip("web/ has no lock yet")
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    assert [name for name, entry in packages.items() if "resolved" in entry and not entry.get("link")] == []


def test_tests_meet_the_versions_that_servers_run(locks):
    served, tested = set(PIN.findall(locks["runtime"])), set(PIN.findall(locks["dev"]))
    assert served - tested == set()


def test_every_dependency_is_locked(project, locks):
    groups = project["dependency-groups"]
    named = {
        "runtime": project["project"]["dependencies"],
        "dev": [entry for entry in groups["dev"] if isinstance(entry, str)],
        "bootstrap": groups["bootstrap"],
        "build": groups["build"],
        "node": groups["node"],
        "audit": groups["audit"],
    }
    missing = [
        f"{name}: {requirement}"
        for name, requirements in named.items()
        for requirement in requirements
        if normal(requirement) not in dict(PIN.findall(locks[name]))
    ]
    assert missing == [], "run `make lock`"


def test_every_dependency_has_its_reason_written_down(root, project):
    page = (root / "docs" / "dependencies.md").read_text(encoding="utf-8")
    named = [*project["project"]["dependencies"]]
    for group in project["dependency-groups"].values():
        named += [entry for entry in group if isinstance(entry, str)]
    undocumented = sorted(normal(entry) for entry in named if f"| `{normal(entry)}` |" not in page)
    assert undocumented == [], "each has a row in docs/dependencies.md"
