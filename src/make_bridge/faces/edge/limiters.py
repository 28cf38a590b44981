"""The rate limits of one process, made from their settings; ``boot`` hands each to the face that asks it.

``boot`` tells them, too, how many servers hold them, and whether those can count together at present.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from make_bridge.faces.edge.attempts import Attempts
from make_bridge.faces.edge.config import RateLimits
from make_bridge.faces.edge.cross_origin import CrossOrigin, OrganizationFacts, Origins
from make_bridge.faces.edge.turnstile import Turnstile
from make_bridge.kernel.clock import Clock
from make_bridge.platform.limits.local import LocalRateLimit
from make_bridge.platform.limits.port import Counts, Rate
from make_bridge.platform.limits.shared import SharedRateLimit
from make_bridge.platform.observability.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiters:
    """All of them."""

    attempts: Attempts
    api: SharedRateLimit
    hook: SharedRateLimit
    flow: SharedRateLimit
    all: Sequence[SharedRateLimit]

    @classmethod
    def of(cls, limits: RateLimits, clock: Clock, metrics: Metrics, counts: Counts | None = None) -> "Limiters":
        """Begin with nothing counted here; ``counts`` is where servers count together."""

        def local(rate: Rate) -> LocalRateLimit:
            counter = metrics.rates.refused[rate.name]
            return LocalRateLimit(rate, clock, keys=limits.keys, refused=lambda _name: counter.inc())

        rates = (limits.general, limits.failures, limits.api, limits.hook, limits.flow)
        general, failures, api, hook, flow = (SharedRateLimit(local(rate), counts) for rate in rates)
        strangers = local(limits.strangers)
        counted = (general, failures, SharedRateLimit(strangers), api, hook, flow)

        def keys() -> Mapping[str, int]:
            return {one.rate.name: len(one) for one in counted}

        metrics.rates.watch(keys)
        attempts = Attempts(general, failures, strangers, clock, block_seconds=limits.block_seconds, keys=limits.keys)
        return cls(attempts=attempts, api=api, hook=hook, flow=flow, all=counted)

    @property
    def held(self) -> list[str]:
        """The names of the limits that are set."""
        return [one.rate.name for one in self.all if one.rate.most]

    def share_among(self, servers: Mapping[str, int]) -> None:
        """Take in how many servers hold each limit."""
        for one in self.all:
            one.share_among(servers.get(one.rate.name, 1))

    def count_apart(self, *, apart: bool) -> None:
        """Take in whether servers cannot count together at present."""
        for one in self.all:
            one.count_apart(apart=apart)

    def turnstile(self, origins: Origins, organizations: OrganizationFacts) -> Turnstile:
        """Return what stands before the token-protected APIs."""
        return Turnstile(self.attempts, self.api, CrossOrigin(origins, organizations, self.attempts))
