"""What a process says of its health: whether it can serve, what it depends on, and whether its loops turn.

Not ready means that nobody is served here: the process is about to end, its clock is wrong, the directory is away, or
all shards are. A directory that is back says nothing of them: who was not ready waits until one of them has answered
since, or everybody would be let in and refused. Whatever else is missing degrades: some tenants, or one task, lack
something, and the rest goes on. States are those of ``platform/observability/looks``, so nothing is asked while
somebody waits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.clock_skew import ClockWatch
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.looks import Dependency, Looks, Probe, Seen
from make_bridge.platform.observability.metrics.loops import LoopAge, LoopTurns
from make_bridge.platform.observability.sinks.conveyor import Standing
from make_bridge.platform.redis.client import RedisClient

DIRECTORY: Final = "directory"
SHARDS: Final = "shards"
CLOCK: Final = "clock"
REDIS: Final = "redis"
ZOOKEEPER: Final = "zookeeper"
_NO_SHARD: Final = "No shard answers."
_LEAVING: Final = "This server is about to end."
_WITHOUT_SHARD: Final = "Shard {} is away, and with it the organizations that live there: {}"
_WITHOUT_REDIS: Final = "Redis does not answer: each server lets its part of the rate limits through."
_WITHOUT_ZOOKEEPER: Final = "ZooKeeper does not answer: this process leads nothing. {}"
_WITHOUT_SINK: Final = "The log does not reach its sink '{}': {}."
_LATE_LOOP: Final = "The loop '{}' did not come through for {:.0f} seconds."


class Session(Protocol):
    """The session with ZooKeeper."""

    def is_live(self) -> bool:
        """Say whether what it holds may be acted upon."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What the looks look at; the directory has ``directory_seconds`` to answer."""

    shards: Shards
    clock: ClockWatch
    directory_seconds: float
    redis: RedisClient | None = None
    session: Session | None = None

    def all(self) -> dict[str, Probe]:
        """Return them by the name of what they look at."""
        found: dict[str, Probe] = {DIRECTORY: self._directory, SHARDS: self._shards, CLOCK: self._clock}
        if self.redis is not None:
            found[REDIS] = self._redis
        if self.session is not None:
            found[ZOOKEEPER] = self._zookeeper
        return found

    async def _directory(self) -> Mapping[str, Seen]:
        await self.shards.feel_directory(self.directory_seconds)
        return {DIRECTORY: Seen()}

    async def _shards(self) -> Mapping[str, Seen]:
        await self.shards.feel_pulses()
        away = self.shards.away()
        return {
            f"shard {number}": Seen(reason=away.get(number, ""), seconds=self.shards.pulses.get(number))
            for number in sorted(self.shards.map.shards)
        }

    async def _clock(self) -> Mapping[str, Seen]:
        return {CLOCK: Seen(reason=self.clock.complaint if self.clock.is_off() else "")}

    async def _redis(self) -> Mapping[str, Seen]:
        if self.redis is not None:
            await self.redis.pulse()
        return {REDIS: Seen()}

    async def _zookeeper(self) -> Mapping[str, Seen]:
        if self.session is not None and not self.session.is_live():
            raise Unavailable("There is no session that can be proven.")
        return {ZOOKEEPER: Seen()}


@dataclass(slots=True, kw_only=True)
class Health:
    """See the module; ``sinks`` tells how log sinks stand."""

    node: str
    version: str
    looks: Looks
    loops: LoopTurns
    sinks: Callable[[], Sequence[Standing]]
    _is_leaving: bool = field(default=False, init=False)

    def leave(self) -> None:
        """Be ready no more: this process is about to end, and serves on until everybody has noticed."""
        self._is_leaving = True

    def reasons(self) -> list[str]:
        """Return why nobody is served here; nothing when everybody is."""
        reasons = [_LEAVING] if self._is_leaving else []
        for name in (CLOCK, DIRECTORY):
            reasons += [dependency.reason for dependency in self.looks.of(name).values() if not dependency.is_up]
        if not any(map(self._serves, self.looks.of(SHARDS).values())):
            reasons.append(_NO_SHARD)
        return reasons

    def _serves(self, shard: Dependency) -> bool:
        """Say whether a shard is up, and was seen since the directory came back, with which it may have been away."""
        back = [directory.changed for directory in self.looks.of(DIRECTORY).values() if directory.is_up]
        return shard.is_up and all(shard.answered is not None and shard.answered >= moment for moment in back)

    def lacking(self) -> list[str]:
        """Return what is missing while this process serves, one sentence each."""
        away = [shard for shard in self.looks.of(SHARDS).values() if not shard.is_up]
        told = [_WITHOUT_SHARD.format(shard.name.removeprefix("shard "), shard.reason) for shard in away]
        told += [_WITHOUT_REDIS for redis in self.looks.of(REDIS).values() if not redis.is_up]
        told += [_WITHOUT_ZOOKEEPER.format(one.reason) for one in self.looks.of(ZOOKEEPER).values() if not one.is_up]
        told += [_WITHOUT_SINK.format(sink.name, sink.reason) for sink in self.sinks() if not sink.is_up]
        told += [_LATE_LOOP.format(_shown(loop), loop.seconds) for loop in self.loops.all() if loop.is_late]
        return told

    def detail(self) -> dict[str, object]:
        """Return all that is known."""
        reasons, lacking = self.reasons(), self.lacking()
        return {
            "status": "unready" if reasons else "degraded" if lacking else "ready",
            "reasons": reasons,
            "degraded": lacking,
            "node": self.node,
            "version": self.version,
            "dependencies": {dependency.name: _of_dependency(dependency) for dependency in self.looks.all()},
            "logs": {sink.name: _of_sink(sink) for sink in self.sinks()},
            "loops": [_of_loop(loop) for loop in self.loops.all()],
        }


def _shown(loop: LoopAge) -> str:
    return f"{loop.name} {loop.shard}".strip()


def _of_dependency(dependency: Dependency) -> dict[str, object]:
    took = dependency.seconds
    return {
        "state": "up" if dependency.is_up else "down",
        "since": dependency.since,
        "reason": dependency.reason,
        "milliseconds": None if took is None else round(took * 1000, 3),
    }


def _of_sink(sink: Standing) -> dict[str, object]:
    return {
        "state": "up" if sink.is_up else "down",
        "since": sink.since,
        "reason": sink.reason,
        "written": sink.written,
        "dropped": sink.dropped,
        "waitingBytes": sink.waiting_bytes,
    }


def _of_loop(loop: LoopAge) -> dict[str, object]:
    return {
        "loop": loop.name,
        "shard": int(loop.shard) if loop.shard else None,
        "state": "ended" if loop.has_failed else "late" if loop.is_late else "turning",
        "secondsAgo": round(loop.seconds, 3),
        "lateAfterSeconds": loop.within,
    }
