"""The audit trail's wiring: who chains it, and who notes what was refused."""

from make_bridge.domain.organizations.audit_key import AuditKey
from make_bridge.faces.edge.screening import Screening
from make_bridge.faces.edge.witness import Witness
from make_bridge.kernel.clock import Clock
from make_bridge.platform.audit.refusals import Refusals
from make_bridge.platform.audit.sealer import Sealer, SealerConfig
from make_bridge.platform.coordination.port import CandidacyOf
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.settings import LoadedSettings, Settings


def sealer_of(
    shards: Shards, key: AuditKey, metrics: Metrics, loaded: LoadedSettings, candidacy_of: CandidacyOf
) -> Sealer:
    """Return what chains committed rows, on the shards that this process leads."""
    settings = loaded.settings
    config = SealerConfig(
        node=loaded.node_id,
        anchor_rows=settings.audit_anchor_rows,
        kept_days=settings.audit_retention_days,
        candidacy_of=candidacy_of,
    )
    return Sealer(shards, key, metrics, config)


def witness_of(shards: Shards, clock: Clock, settings: Settings) -> Witness:
    """Return what the gates write down."""
    screening = None
    if settings.input_screening == "report":
        screening = Screening(shards, clock, rows_per_hour=settings.input_screening_rows)
    return Witness(refusals=Refusals(shards), screening=screening)
