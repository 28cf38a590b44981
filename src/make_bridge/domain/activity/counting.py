"""The consumer that counts events by organization, day and type.

Its counters move in the transaction that moves its position, so each event is counted once, whoever is killed. What
runs use (operations, transfer) is not counted here: that is exact already, in the statement that settles a run.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC

from make_bridge.domain.activity import store
from make_bridge.domain.activity.store import Counted
from make_bridge.platform.bus.events import Envelope
from make_bridge.platform.database.transactions import WriteTx


class Counting:
    """See the module."""

    name = "counting"
    types = None

    async def consume(self, tx: WriteTx, envelopes: Sequence[Envelope]) -> None:
        """Count a batch."""
        counted: Counter[Counted] = Counter(
            (envelope.organization_id, envelope.time.astimezone(UTC).date(), envelope.type) for envelope in envelopes
        )
        await store.count(tx, counted)
