"""Wiring of traces: which are kept, and who takes their spans to the collector, where there is one."""

import sys
from contextlib import AsyncExitStack

from make_bridge import __version__
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.tracing.tracer import Tracing
from make_bridge.settings import LoadedSettings


def open_tracing(stack: AsyncExitStack, loaded: LoadedSettings, metrics: Metrics) -> Tracing:
    """Begin to export, where there is somewhere to export to; what waits at the end is sent as ``stack`` closes."""
    settings = loaded.settings
    rules, config = settings.traces(), settings.trace_export()
    if rules is None or config is None:
        return Tracing()
    # The messages of OTLP take megabytes and a fifth of a second: only who has a collector loads them.
    from make_bridge.platform.observability.tracing.encoding import Encoder  # noqa: PLC0415
    from make_bridge.platform.observability.tracing.exporting import Exporter  # noqa: PLC0415

    counters = metrics.traces
    encoder = Encoder(
        {
            "service.name": "make-bridge",
            "service.version": __version__,
            "service.instance.id": loaded.node_id,
            "make_bridge.roles": ",".join(settings.roles),
            "process.runtime.version": sys.version.partition(" ")[0],
        }
    )
    exporter = Exporter(config, encoder, counters)
    exporter.start()
    stack.push_async_callback(exporter.close)
    return Tracing(rules, exporter.offer, counters.dropped["cut"].inc)
