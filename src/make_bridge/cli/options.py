"""What several commands take: options with their help, and JSON files. Light: ``blueprint validate`` loads it too."""

from pathlib import Path
from typing import Annotated, Any

import typer

from make_bridge.kernel import json
from make_bridge.kernel.errors import InvalidInput

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where the embedded database lives.")]
Config = Annotated[Path | None, typer.Option("--config", help="A settings file.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Organization = Annotated[int, typer.Option("--organization", help="The organization's id.")]
_MAX_FILE = 8 * 1024 * 1024


def read_json_file(file: Path) -> dict[str, Any]:
    """Read a JSON object; raises InvalidInput that names the file."""
    value = _read(file)
    if not isinstance(value, dict):
        message = f"{file} does not hold a JSON object."
        raise InvalidInput(message)
    return value


def read_bundles(file: Path) -> list[dict[str, Any]]:
    """Read one bundle or an array of them; raises InvalidInput that names the file."""
    value = _read(file)
    given = value if isinstance(value, list) else [value]
    bundles = [bundle for bundle in given if isinstance(bundle, dict)]
    if len(bundles) != len(given):
        message = f"{file} holds neither a JSON object nor an array of objects."
        raise InvalidInput(message)
    return bundles


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_bytes(), max_bytes=_MAX_FILE, max_depth=200, allow_nul=True, allow_bom=True)
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}."
        raise InvalidInput(message) from error
    except InvalidInput as error:
        message = f"{file}: {error.message}"
        raise InvalidInput(message) from error
