"""OAuth's wiring: one provider's client below handlers, consents, the keeper of tokens and what gives them back."""

from dataclasses import dataclass

from make_bridge.domain.oauth.consent import Consents
from make_bridge.domain.oauth.endpoints import Provider
from make_bridge.domain.oauth.handlers import OAuthFarewell, OAuthHandlers
from make_bridge.domain.oauth.idle_renewal import IdleConfig, IdleRenewal
from make_bridge.domain.oauth.keeping import TokenKeeper
from make_bridge.domain.oauth.revoking import Revoking
from make_bridge.domain.organizations.keys import DataKeys, OrganizationReader
from make_bridge.platform.coordination.port import CandidacyOf
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.egress.client import EgressClient
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.settings import LoadedSettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthGround:
    """What it stands on."""

    shards: Shards
    data_keys: DataKeys
    organizations: OrganizationReader
    jobs: JobQueue
    egress: EgressClient
    metrics: Metrics
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthParts:
    """What others are given of it."""

    handlers: OAuthHandlers
    farewell: OAuthFarewell
    tokens: TokenKeeper
    consents: Consents


def wire_oauth(ground: OAuthGround) -> OAuthParts:
    """Put it together, and make its job known."""
    shards, sealing, settings = ground.shards, ground.data_keys, ground.settings
    limits = settings.oauth()
    provider = Provider(out=ground.egress, limits=limits)
    revoking = Revoking(shards=shards, sealing=sealing, provider=provider, jobs=ground.jobs)
    ground.jobs.types.add(revoking.type())
    return OAuthParts(
        handlers=OAuthHandlers(
            sealing=sealing,
            organizations=ground.organizations,
            revoking=revoking,
            policy=settings.egress().policy,
            own_origin=settings.origin,
            limits=limits,
        ),
        farewell=OAuthFarewell(revoking=revoking),
        tokens=TokenKeeper(shards, sealing, provider, ground.metrics),
        consents=Consents(
            shards=shards,
            sealing=sealing,
            provider=provider,
            organizations=ground.organizations,
            revoking=revoking,
            origin=settings.origin,
            limits=limits,
        ),
    )


def idle_renewal_of(
    shards: Shards, tokens: TokenKeeper, metrics: Metrics, loaded: LoadedSettings, candidacy_of: CandidacyOf
) -> IdleRenewal:
    """Return what renews connections that no run uses, on the shards that this process leads."""
    settings = loaded.settings
    config = IdleConfig(
        node=loaded.node_id,
        idle_seconds=settings.oauth_idle_renew_seconds,
        at_once=settings.oauth_idle_at_once,
        candidacy_of=candidacy_of,
    )
    return IdleRenewal(shards, tokens, metrics, config)
