"""How many sources are missed; shown by the process that looks at a shard."""

from contextlib import suppress
from typing import Final

from make_bridge.platform.observability.metrics.declaring import SHARD, Declarations, Label

_KIND: Final = Label("kind", ("hook", "schedule"))


class GapGauges:
    """Who is silent; shown by the process that looks."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self._silent = declare.gauge(
            "silent_sources", "Webhooks that are silent and schedules that are late.", _KIND, SHARD
        )

    def show(self, shard: int, *, hooks: int, schedules: int) -> None:
        """Show how many there are on a shard."""
        self._silent.labels("hook", str(shard)).set(hooks)
        self._silent.labels("schedule", str(shard)).set(schedules)

    def forget(self, shard: int) -> None:
        """Show a shard no more: another process does."""
        for kind in _KIND.values:
            with suppress(KeyError):
                self._silent.remove(kind, str(shard))
