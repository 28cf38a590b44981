"""Wiring of the care of stored runs and of the look at silent sources."""

from make_bridge.domain.gaps.looking import GapWatch
from make_bridge.domain.storage.keeping import StorageCare
from make_bridge.kernel.roles import Role
from make_bridge.platform.coordination.membership import is_served
from make_bridge.settings import LoadedSettings
from make_bridge.wiring.domain import Domain


def storage_care_of(domain: Domain, loaded: LoadedSettings) -> StorageCare:
    """Return what removes runs that are past or too much."""
    return StorageCare(
        domain.shards, domain.metrics.storage, domain.clock, loaded.settings.storage(), domain.candidacy_of
    )


def gap_watch_of(domain: Domain, loaded: LoadedSettings) -> GapWatch:
    """Return what looks at who is silent; where services are apart, calls come in through a gateway alone."""
    settings = loaded.settings

    async def receives() -> bool:
        return not settings.is_called_by_gateways or await is_served(domain.shards.directory, Role.GATEWAY)

    return GapWatch(domain.shards, domain.metrics.gaps, domain.clock, settings.gaps(), domain.candidacy_of, receives)
