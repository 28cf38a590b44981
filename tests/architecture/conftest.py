"""What the architecture tests read: the files that belong to the project, and its Python as syntax trees.

A file belongs to the project when git follows it or would (not ignored), so that a rule is met before the commit.
"""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Where there is no git (an unpacked archive) only what the machine makes is left out.
MADE_BY_THE_MACHINE = frozenset({".git", ".venv", "node_modules", "dist", "data", "__pycache__"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    path: Path
    tree: ast.Module

    @property
    def name(self) -> str:
        """The dotted name under src/, or the path for a file that is not part of the package."""
        parts = self.path.relative_to("src").with_suffix("").parts if self.path.parts[0] == "src" else self.path.parts
        return ".".join(part for part in parts if part != "__init__")

    def imports(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def project_files() -> list[Path]:
    """Paths relative to the root; a file that was removed but not yet committed is no longer one."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        names = sorted(filter(None, listed.split("\0")))
        return [Path(name) for name in names if (ROOT / name).is_file()]
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return sorted(path for path in found if MADE_BY_THE_MACHINE.isdisjoint(path.parts))


@pytest.fixture(scope="session")
def modules(project_files: list[Path]) -> list[Module]:
    return [
        Module(path=path, tree=ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path)))
        for path in project_files
        if path.suffix in {".py", ".pyi"}
    ]


@pytest.fixture(scope="session")
def package(modules: list[Module]) -> list[Module]:
    """Only what is shipped: the modules under src/make_bridge."""
    return [module for module in modules if module.path.parts[:2] == ("src", "make_bridge")]
