"""The caches' wiring: what servers remember together, what makes them forget, and whose numbers the metrics show."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from make_bridge.domain.scenarios.messages import ScenarioCreated, ScenarioDeleted
from make_bridge.domain.templates.messages import PublicTemplate, TemplatePublished, TemplateWithdrawn
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.context import Context
from make_bridge.kernel.ids import OrganizationId
from make_bridge.kernel.messages import Event
from make_bridge.platform.bus.events import LiveSubscription
from make_bridge.platform.cache.far import FarCache, FarShelf
from make_bridge.platform.cache.layers import Lives, RememberedAnswers
from make_bridge.platform.cache.near import CacheNumbers
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.redis.client import RedisClient
from make_bridge.settings import Settings

Templates = tuple[PublicTemplate, ...]

# The public templates with how often they are used: nobody's access hangs on them. What a server shows that has heard
# of nothing is at most as old as all three together.
_LIVES: Final = Lives(seconds=2.0, stale_seconds=2.0)
_FAR_SECONDS: Final = 5.0
_TOLD: Final = (TemplatePublished, TemplateWithdrawn)


class Counted(Protocol):
    """Something that remembers, and counts what became of its reads."""

    def numbers(self) -> CacheNumbers:
        """Return what it has counted."""
        ...


def watch_near_caches(metrics: Metrics, caches: Mapping[str, Counted]) -> None:
    """Show the numbers of what this process remembers."""
    for name, cache in caches.items():
        metrics.near_caches.watch(name, cache.numbers)


def wire_far_cache(
    redis: RedisClient, clock: Clock, key_secret: bytes, metrics: Metrics, settings: Settings
) -> FarCache:
    """Return what servers remember together."""
    return FarCache(redis, clock, settings.far_cache(), secret=key_secret, counters=metrics.far_caches)


def program_sources(far: FarCache) -> FarShelf[bytes]:
    """Return the blueprints that programs are compiled of, as they are stored: by scenario and version."""
    return far.shelf("programs", bytes, schema=1)


class Catalogue:
    """The public templates of organizations, remembered, and forgotten when something changes them."""

    def __init__(self, clock: Clock) -> None:
        """Begin with nothing remembered."""
        self.answers: RememberedAnswers[Templates] = RememberedAnswers(clock, _LIVES)

    def share(self, far: FarCache) -> None:
        """Have servers share what they have read."""
        self.answers.share(far.shelf("public_templates", Templates, schema=1, seconds=_FAR_SECONDS))

    def hear(self, context: Context, events: Sequence[Event]) -> None:
        """Forget what changed here: also how often a template is used, which others learn as entries end."""
        if any(isinstance(event, (*_TOLD, ScenarioCreated, ScenarioDeleted)) for event in events):
            self.answers.forget(context.organization_id)

    def subscription(self) -> LiveSubscription:
        """Return what makes this process forget what another has changed."""
        return LiveSubscription(kinds=_TOLD, hear=self._hear_from_afar)

    def _hear_from_afar(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, _TOLD):
                self.answers.forget(OrganizationId(event.organization_id))
