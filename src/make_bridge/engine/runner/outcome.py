"""How one step ended: what the performer gives back to the walk."""

from dataclasses import dataclass

from make_bridge.engine.apps.module import Collection, ModuleError


@dataclass(slots=True)
class Outcome:
    """With bundles or with an error; `replayed` when an earlier attempt has done it."""

    bundles: list[Collection]
    error: ModuleError | None = None
    replayed: bool = False
