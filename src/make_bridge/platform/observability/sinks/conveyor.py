"""What carries log lines to a sink beside requests: a bounded queue and a thread of its own.

``put`` never waits and never raises, however slow, full or broken the place is. As long as a sink takes nothing, what
has come for it is kept and offered again, with pauses that grow up to a bound; what finds no more room is dropped and
counted. So an outage costs memory up to the bound, lines, and nothing else. That it began and that it is over is
logged, where the other sinks (and this one, later) tell of it.

Lines may come from any thread, and from finalizers in the middle of ``put``: hence a queue and a lock that are safe to
be entered again.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Final

import structlog

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.entropy import chance
from make_bridge.platform.observability.sinks.port import Sink, Taken

DROPS: Final = ("full", "rejected", "ended")
"""Why a line did not arrive: no room to wait in, refused for good, or still waiting when the process ended."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConveyorLimits:
    """``queue_bytes`` bounds what waits, under way included; a batch leaves when it is full or after ``linger``.

    Pauses between tries and ``linger`` are in seconds.
    """

    queue_bytes: int
    batch_bytes: int = 64 * 1024
    batch_lines: int = 500
    linger: float = 0.0
    first_pause: float = 0.1
    longest_pause: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a sink stands: since when it takes lines or does not, and why not."""

    name: str
    is_up: bool
    since: datetime
    reason: str
    written: int
    dropped: Mapping[str, int]
    waiting_bytes: int


class Conveyor:
    """See the module; the thread runs from the beginning and ends with ``close``, or with the process."""

    def __init__(self, name: str, sink: Sink, limits: ConveyorLimits, clock: Clock) -> None:
        """``name`` is one of our own words."""
        self.name = name
        self._sink = sink
        self._limits = limits
        self._clock = clock
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._lock = threading.RLock()
        self._waiting_bytes = 0
        self._waiting_lines = 0
        self._written = 0
        self._dropped = dict.fromkeys(DROPS, 0)
        self._ending = threading.Event()
        self._is_up, self._since, self._reason = True, clock.now(), ""
        self._dropped_before = 0
        self._thread = threading.Thread(target=self._run, name=f"log {name}", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Hand a line over, or drop it where there is no room."""
        size = len(line)
        with self._lock:
            if self._ending.is_set():
                self._dropped["ended"] += 1
                return
            if self._waiting_bytes + size > self._limits.queue_bytes:
                self._dropped["full"] += 1
                return
            self._waiting_bytes += size
            self._waiting_lines += 1
        self._queue.put(line)

    def standing(self) -> Standing:
        """Return how it stands."""
        with self._lock:
            return Standing(
                name=self.name,
                is_up=self._is_up,
                since=self._since,
                reason=self._reason,
                written=self._written,
                dropped=dict(self._dropped),
                waiting_bytes=self._waiting_bytes,
            )

    def close(self, seconds: float) -> None:
        """Offer what waits once more and end, within ``seconds``; what is left then is dropped. May be repeated."""
        if not self._ending.is_set():
            self._ending.set()
            self._queue.put(None)
        self._thread.join(seconds)
        with self._lock:
            self._drop("ended", self._waiting_lines)
            self._waiting_lines = 0

    def _run(self) -> None:
        while batch := self._next_batch():
            self._deliver(batch)
        self._sink.close()

    def _next_batch(self) -> list[bytes]:
        """Return the next lines together, in their order; none at the end."""
        line = self._queue.get()
        if line is None:
            return []
        batch = [line]
        if self._fill(batch) and self._limits.linger:
            self._ending.wait(self._limits.linger)
            self._fill(batch)
        return batch

    def _fill(self, batch: list[bytes]) -> bool:
        """Add what waits; True when there is room for more."""
        size = sum(map(len, batch))
        while size < self._limits.batch_bytes and len(batch) < self._limits.batch_lines:
            try:
                line = self._queue.get_nowait()
            except Empty:
                return True
            if line is None:
                self._queue.put(None)
                return False
            batch.append(line)
            size += len(line)
        return False

    def _deliver(self, batch: Sequence[bytes]) -> None:
        pause = self._limits.first_pause
        while batch:
            taken = self._offer(batch)
            self._account(batch, taken)
            batch = taken.left
            if not batch:
                self._note_up()
                return
            self._note_away(taken.reason)
            if self._ending.is_set():
                return
            # A quarter by chance, so that many processes do not come back together.
            self._ending.wait(pause * (1 - chance() / 4))
            pause = min(pause * 2, self._limits.longest_pause)

    def _offer(self, batch: Sequence[bytes]) -> Taken:
        try:
            return self._sink.write(batch)
        except Exception as error:  # noqa: BLE001 - a mistake in a sink must not end the thread
            return Taken(left=batch, reason=f"an error of this program: {type(error).__name__}")

    def _account(self, batch: Sequence[bytes], taken: Taken) -> None:
        gone = len(batch) - len(taken.left)
        size = sum(map(len, batch)) - sum(map(len, taken.left))
        with self._lock:
            self._waiting_bytes -= size
            self._waiting_lines -= gone
            self._written += gone - taken.rejected
            self._drop("rejected", taken.rejected)

    def _drop(self, why: str, lines: int) -> None:
        self._dropped[why] += lines

    def _note_away(self, reason: str) -> None:
        with self._lock:
            was_up, self._reason = self._is_up, reason
            if was_up:
                self._is_up, self._since = False, self._clock.now()
                self._dropped_before = sum(self._dropped.values())
        if was_up:
            _log.warning("log_sink_away", sink=self.name, reason=reason)

    def _note_up(self) -> None:
        with self._lock:
            was_up, since = self._is_up, self._since
            if was_up:
                return
            self._is_up, self._since, self._reason = True, self._clock.now(), ""
            seconds = (self._since - since).total_seconds()
            dropped = sum(self._dropped.values()) - self._dropped_before
        _log.warning("log_sink_back", sink=self.name, seconds=round(seconds, 3), dropped=dropped)
