"""What tests of `deploy/` read: its YAML, and the settings it gives to the program."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from make_bridge.settings import PREFIX, Settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
# Read by the program, and no field of its settings.
_OTHERS = frozenset({f"{PREFIX}CONFIG"})


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_all(path: Path) -> list[dict[str, Any]]:
    """Read every document of a file; those that a template left empty are left out."""
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


def unknown_settings(names: Iterable[str]) -> set[str]:
    """Return those of our own variables that the program does not know."""
    known = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields} | _OTHERS
    return {name for name in names if name.startswith(PREFIX)} - known


def seconds(duration: str) -> float:
    """Read `90s`, `2m`, `500ms`."""
    for unit, size in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        if duration.endswith(unit) and duration.removesuffix(unit).replace(".", "", 1).isdigit():
            return float(duration.removesuffix(unit)) * size
    raise AssertionError(f"{duration} is no duration")
