"""The app `placeholder`: an empty slot of the editor, skipped when a scenario runs."""

from typing import Final

from make_bridge.engine.apps.module import Kind, ModuleSpec

MODULES: Final = (
    ModuleSpec(name="placeholder:Placeholder", label="Empty module", kind=Kind.PLACEHOLDER, operations=0, credits=0),
)
