"""Figures of the audit trail and of opened credentials."""

from make_bridge.platform.observability.metrics.declaring import Declarations


class AuditCounters:
    """What becomes of the audit trail."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self.sealed = declare.counter("audit_sealed_total", "Audit rows this process chained, as the leader.")
        self.broken = declare.counter(
            "audit_chains_broken_total", "Audit chains whose head was changed by somebody else; wants a person."
        )
        self.credentials_opened = declare.counter(
            "credentials_opened_total", "Connections and keys opened for calls of runs."
        )
