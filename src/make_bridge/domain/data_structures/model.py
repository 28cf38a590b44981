"""What makes a data structure valid, and a record of it. Pure.

A description is a list of field specs in Make's own form, kept as it came. What of it this server understands checks
and converts records; fields of a type it does not know take any value.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

from make_bridge.engine.apps.fields import fields_from_json
from make_bridge.engine.blueprint.mapping import checked_collection
from make_bridge.engine.stores import DataStructure as EngineStructure
from make_bridge.engine.values import Value
from make_bridge.kernel import json
from make_bridge.kernel.errors import InvalidInput

JsonObject = dict[str, Any]
MAX_NAME: Final = 128
MAX_FIELDS: Final = 500
MAX_SPEC_BYTES: Final = 256 * 1024
_MAX_DEPTH: Final = 20
_MOST_PROBLEMS: Final = 20


def checked_name(text: str, noun: str) -> str:
    """Return a display name, or raise InvalidInput."""
    name = unicodedata.normalize("NFC", text).strip()
    plain = not any(unicodedata.category(character) in {"Cc", "Cs"} for character in name)
    if not name or len(name) > MAX_NAME or not plain:
        message = f"The name of a {noun} has 1 to {MAX_NAME} characters and no control characters."
        raise InvalidInput(message, fields={"name": message})
    return name


def checked_spec(spec: Sequence[Mapping[str, Any]]) -> list[JsonObject]:
    """Return a description, or raise InvalidInput with what is wrong and where."""
    found = [dict(field) for field in spec]
    if len(json.dumps(found)) > MAX_SPEC_BYTES:
        raise InvalidInput(f"A data structure's description has at most {MAX_SPEC_BYTES} bytes.")
    _check_fields(found)
    return found


def _check_fields(spec: Sequence[object]) -> None:
    """Walk the description with a list of what is left: it is foreign, and may be deep."""
    left: list[tuple[object, str, int, bool]] = [(spec, "spec", 0, True)]
    count = 0
    while left:
        value, place, depth, named = left.pop()
        if depth > _MAX_DEPTH:
            raise InvalidInput(f"{place} is nested deeper than {_MAX_DEPTH} levels.")
        if isinstance(value, list):
            names = [str(item.get("name")) for item in value if isinstance(item, dict)]
            if len(set(names)) < len(names):
                raise InvalidInput(f"{place} names a field twice.")
            left.extend((item, f"{place}[{index}]", depth, True) for index, item in enumerate(value))
            continue
        if not isinstance(value, dict):
            raise InvalidInput(f"{place} must be a field: an object with name and type.")
        count += 1
        if count > MAX_FIELDS:
            raise InvalidInput(f"A data structure has at most {MAX_FIELDS} fields.")
        if not isinstance(value.get("type"), str) or (named and not _is_name(value.get("name"))):
            raise InvalidInput(f"{place} must be a field: an object with a name and a type, both texts.")
        if value.get("spec") is not None:
            # An array of scalars describes its items by one field, whose name nobody sees.
            left.append((value["spec"], f"{place}.spec", depth + 1, isinstance(value["spec"], list)))


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME


def engine_structure(
    structure_id: int, name: str, spec: Sequence[Mapping[str, Any]], *, strict: bool
) -> EngineStructure:
    """Return the structure as the engine knows it."""
    return EngineStructure(id=structure_id, name=name, fields=fields_from_json(spec), strict=strict)


def checked_record(structure: EngineStructure | None, data: Mapping[str, Value]) -> dict[str, Value]:
    """Return a record's data as its structure wants it, or raise InvalidInput with all that is wrong."""
    if structure is None:
        return dict(data)
    made, problems = checked_collection(dict(data), structure.fields, strict=structure.strict)
    if problems:
        raise InvalidInput(" ".join(problems[:_MOST_PROBLEMS]), code="record_invalid")
    return made
