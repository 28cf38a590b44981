"""Looks at what a process depends on: again and again, each with a deadline, and believed after a few in a row.

One slow answer must not take a process out of service, and one good one not bring it back: so a dependency changes its
state after ``fall`` bad looks or ``rise`` good ones in a row. The first look decides alone. While looks contradict the
state they come four times as often, so that the doubt is short. Each is looked at by itself: one that is slow to answer
keeps nobody from seeing that another is gone. Who asks reads the state and waits for nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import structlog

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import BridgeError

# Probes have deadlines of their own, which know what they wait for; this one is for what they forgot.
_LOOK_SECONDS: Final = 2.5
_IN_DOUBT: Final = 4
_SILENT: Final = "It does not answer."
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookConfig:
    """``seconds`` between two looks; how many in a row are believed."""

    seconds: float
    rise: int
    fall: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look saw: an empty ``reason`` is well; without ``seconds`` it took what its probe did."""

    reason: str = ""
    seconds: float | None = None


Probe = Callable[[], Awaitable[Mapping[str, Seen]]]
"""Looks at one dependency or several of a kind, and returns what it saw by name; raises BridgeError for all of them."""


@dataclass(slots=True, kw_only=True)
class Dependency:
    """Something that a process depends on, as far as looks are believed."""

    name: str
    is_up: bool
    since: datetime
    reason: str
    seconds: float | None
    changed: float
    answered: float | None
    """When its state became what it is, and when a look last found it well: on a clock that is never set."""
    _against: int = 0

    @property
    def is_in_doubt(self) -> bool:
        """Whether the last look contradicts the state."""
        return self._against > 0

    def take(self, seen: Seen, config: LookConfig, at: datetime, moment: float) -> bool:
        """Take one look, at a time of day and of a clock that is never set; return whether the state has changed."""
        self.seconds = seen.seconds
        looks_up = not seen.reason
        self.answered = moment if looks_up else self.answered
        if looks_up == self.is_up:
            self._against, self.reason = 0, seen.reason
            return False
        self._against += 1
        if self._against < (config.rise if looks_up else config.fall):
            return False
        self.is_up, self.since, self.changed = looks_up, at, moment
        self.reason, self._against = seen.reason, 0
        return True


class Looks:
    """See the module; an async context manager that looks once before anything is served."""

    def __init__(self, probes: Mapping[str, Probe], config: LookConfig, clock: Clock) -> None:
        """``probes`` go by the name of what they look at, which is told of one that does not come back."""
        self._probes = probes
        self._config = config
        self._clock = clock
        self._seen: dict[str, dict[str, Dependency]] = {name: {} for name in probes}
        self._looking: list[asyncio.Task[None]] = []

    def all(self) -> list[Dependency]:
        """Return every dependency, in the order of the probes."""
        return [dependency for found in self._seen.values() for dependency in found.values()]

    def of(self, probe: str) -> Mapping[str, Dependency]:
        """Return what one probe looks at, by name; nothing for one that is not there."""
        return self._seen.get(probe, {})

    async def look(self) -> None:
        """Look at everything at once, and take it in as seen at one moment."""
        found = await asyncio.gather(*map(self._ask, self._probes))
        moment = self._clock.monotonic()
        for name, seen in zip(self._probes, found, strict=True):
            self._take(name, seen, moment)

    async def __aenter__(self) -> Self:
        """Begin."""
        await self.look()
        self._looking += [
            asyncio.create_task(self._keep_looking(name), name=f"looks at {name}") for name in self._probes
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look no more."""
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)

    async def _keep_looking(self, name: str) -> None:
        while True:
            is_in_doubt = any(dependency.is_in_doubt for dependency in self._seen[name].values())
            await asyncio.sleep(self._config.seconds / (_IN_DOUBT if is_in_doubt else 1))
            seen = await self._ask(name)
            self._take(name, seen, self._clock.monotonic())

    async def _ask(self, name: str) -> Mapping[str, Seen]:
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                found = await self._probes[name]()
            took = self._clock.monotonic() - began
            return {each: replace(seen, seconds=seen.seconds or took) for each, seen in found.items()}
        except TimeoutError:
            seen = Seen(reason=_SILENT, seconds=self._clock.monotonic() - began)
        except BridgeError as error:
            seen = Seen(reason=error.message, seconds=self._clock.monotonic() - began)
        except Exception as error:  # noqa: BLE001
            # Readiness hangs on this loop: a mistake in one look is a look that failed.
            _log.exception("look_failed", dependency=name)
            seen = Seen(reason=f"The look failed: {type(error).__name__}.")
        return dict.fromkeys(self._seen[name] or [name], seen)

    def _take(self, probe: str, seen: Mapping[str, Seen], moment: float) -> None:
        known, now = self._seen[probe], self._clock.now()
        for gone in known.keys() - seen.keys():
            del known[gone]
        for name, look in seen.items():
            dependency = known.get(name)
            if dependency is None:
                is_up = not look.reason
                known[name] = Dependency(
                    name=name,
                    is_up=is_up,
                    since=now,
                    reason=look.reason,
                    seconds=look.seconds,
                    changed=moment,
                    answered=moment if is_up else None,
                )
            elif dependency.take(look, self._config, now, moment):
                tell = _log.info if dependency.is_up else _log.warning
                tell("dependency_up" if dependency.is_up else "dependency_down", dependency=name, reason=look.reason)
