"""The way out of log lines: every sink of a process, and each line in the form that it takes.

Standard output is always there: lines to be read on a terminal, JSON elsewhere. Files and Elasticsearch are sent JSON.
Nothing here may hurt who logs: a line that cannot be made is counted, and sinks take theirs beside requests
(``conveyor``).
"""

import atexit
import io
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog

from make_bridge.kernel.clock import Clock
from make_bridge.platform.observability.sinks.conveyor import Conveyor, ConveyorLimits, Standing
from make_bridge.platform.observability.sinks.elasticsearch import ElasticsearchSink
from make_bridge.platform.observability.sinks.elasticsearch_config import ElasticsearchConfig
from make_bridge.platform.observability.sinks.port import Sink
from make_bridge.platform.observability.sinks.rotating_file import FileConfig, RotatingFile
from make_bridge.platform.observability.sinks.stream import StreamSink

# Elasticsearch is sent what comes within this time together.
_LINGER: Final = 0.5
_LONGEST_BATCH: Final = 2000
_LONGEST_PAUSE: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """``node`` stands in every line of JSON; ``queue_bytes`` bound what waits for each sink.

    ``close_seconds`` is how long each sink has at the end for what waits.
    """

    level: str
    node: str = ""
    queue_bytes: int = 4 * 1024 * 1024
    close_seconds: float = 2.0
    file: FileConfig | None = None
    elasticsearch: ElasticsearchConfig | None = None


class Outlet:
    """See the module; it is closed with the process at last."""

    def __init__(self, config: LogConfig, clock: Clock, *, as_json: bool | None = None) -> None:
        """Open the sinks; without ``as_json`` a terminal is told from other outputs."""
        self._config = config
        self._clock = clock
        self._for_people = structlog.dev.ConsoleRenderer()
        self._broken = 0
        output = self._conveyor("output", StreamSink(_output()), ConveyorLimits(queue_bytes=config.queue_bytes))
        is_json = not sys.stdout.isatty() if as_json is None else as_json
        self._people = None if is_json else output
        self._machines = [*([output] if is_json else []), *self._configured()]
        atexit.register(self.close)

    @property
    def broken(self) -> int:
        """How many lines could not be made."""
        return self._broken

    def standings(self) -> list[Standing]:
        """Return how each sink stands."""
        return [conveyor.standing() for conveyor in self._all()]

    def deliver(self, event: MutableMapping[str, Any]) -> None:
        """Hand a line, harmless by now, to all sinks; raises nothing."""
        try:
            if self._machines:
                line = line_of(event, self._config.node)
                for conveyor in self._machines:
                    conveyor.put(line)
            if self._people is not None:
                text = str(self._for_people(None, "", dict(event)))
                self._people.put(text.encode("utf-8", "backslashreplace"))
        except Exception:  # noqa: BLE001 - what cannot be logged must not stop what was to be logged
            self.count_broken()

    def count_broken(self) -> None:
        """Count a line that could not be made."""
        self._broken += 1

    def close(self) -> None:
        """Let the sinks write what waits, each for a bounded time; what is logged afterwards is dropped."""
        for conveyor in self._all():
            conveyor.close(self._config.close_seconds)

    def _all(self) -> Iterator[Conveyor]:
        if self._people is not None:
            yield self._people
        yield from self._machines

    def _configured(self) -> Iterator[Conveyor]:
        config = self._config
        if config.file is not None:
            yield self._conveyor("file", RotatingFile(config.file), ConveyorLimits(queue_bytes=config.queue_bytes))
        if config.elasticsearch is not None:
            limits = ConveyorLimits(
                queue_bytes=config.queue_bytes,
                batch_bytes=config.elasticsearch.batch_bytes,
                batch_lines=_LONGEST_BATCH,
                linger=_LINGER,
                longest_pause=_LONGEST_PAUSE,
            )
            yield self._conveyor("elasticsearch", ElasticsearchSink(config.elasticsearch), limits)

    def _conveyor(self, name: str, sink: Sink, limits: ConveyorLimits) -> Conveyor:
        return Conveyor(name, sink, limits, self._clock)


def _output() -> int:
    """Return the descriptor of standard output, past whatever has taken its place."""
    try:
        return sys.stdout.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return 1


def line_of(event: Mapping[str, Any], node: str) -> bytes:
    """Return a line of JSON; it begins with its time, which sinks may count on."""
    line = {"timestamp": event.get("timestamp", ""), "level": event.get("level", ""), "event": event.get("event", "")}
    if node:
        line["node"] = node
    line |= {name: value for name, value in event.items() if not name.startswith("_")}
    return msgspec.json.encode(line)
