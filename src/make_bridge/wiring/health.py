"""Wiring of health: what is looked at, and who is told how the sinks of the log stand."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from make_bridge import __version__
from make_bridge.faces.ops.health import Health, Probes
from make_bridge.platform.observability.looks import Looks
from make_bridge.platform.observability.sinks.conveyor import Standing
from make_bridge.platform.observability.sinks.outlet import Outlet
from make_bridge.settings import LoadedSettings
from make_bridge.wiring.domain import Domain


async def watch_health(
    stack: AsyncExitStack, probes: Probes, domain: Domain, loaded: LoadedSettings, logs: Outlet | None
) -> Health:
    """Have what this process depends on looked at until ``stack`` is closed, for the first time before it serves."""

    def sinks() -> Sequence[Standing]:
        return () if logs is None else logs.standings()

    if logs is not None:
        domain.metrics.logs.watch(logs.standings, lambda: logs.broken)
    looks = await stack.enter_async_context(Looks(probes.all(), loaded.settings.health(), domain.clock))
    return Health(node=loaded.node_id, version=__version__, looks=looks, loops=domain.metrics.loops, sinks=sinks)
