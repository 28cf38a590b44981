"""The rate limits of one process, made from their settings; ``boot`` hands each to the face that asks it."""

from collections.abc import Mapping
from dataclasses import dataclass

from make_bridge.faces.edge.attempts import Attempts
from make_bridge.faces.edge.config import RateLimits
from make_bridge.faces.edge.cross_origin import CrossOrigin, OrganizationFacts, Origins
from make_bridge.faces.edge.turnstile import Turnstile
from make_bridge.kernel.clock import Clock
from make_bridge.platform.limits.local import LocalRateLimit
from make_bridge.platform.limits.port import Rate
from make_bridge.platform.observability.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiters:
    """All of them."""

    attempts: Attempts
    api: LocalRateLimit
    hook: LocalRateLimit
    flow: LocalRateLimit

    @classmethod
    def of(cls, limits: RateLimits, clock: Clock, metrics: Metrics) -> "Limiters":
        """Begin with nothing counted."""

        def limit(rate: Rate) -> LocalRateLimit:
            counter = metrics.rate_limited[rate.name]
            return LocalRateLimit(rate, clock, keys=limits.keys, refused=lambda _name: counter.inc())

        general, failures, strangers = limit(limits.general), limit(limits.failures), limit(limits.strangers)
        api, hook, flow = limit(limits.api), limit(limits.hook), limit(limits.flow)
        counted = (general, failures, strangers, api, hook, flow)

        def keys() -> Mapping[str, int]:
            return {one.rate.name: len(one) for one in counted}

        metrics.watch_limits(keys)
        attempts = Attempts(general, failures, strangers, clock, block_seconds=limits.block_seconds, keys=limits.keys)
        return cls(attempts=attempts, api=api, hook=hook, flow=flow)

    def turnstile(self, origins: Origins, organizations: OrganizationFacts) -> Turnstile:
        """Return what stands before the token-protected APIs."""
        return Turnstile(self.attempts, self.api, CrossOrigin(origins, organizations, self.attempts))
