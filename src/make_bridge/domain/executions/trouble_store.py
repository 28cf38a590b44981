"""What failures write: counters and switches of their scenarios, and the facts in the outbox.

Called by ``aftermath`` inside the settling transaction, for runs that did not simply succeed. The scenarios'
rows belong to the tenants; the engine's role reaches them through one function that does only this.
"""

from collections.abc import Sequence

import msgspec
from psycopg.rows import DictRow

from make_bridge.domain.executions.incomplete import plain_text
from make_bridge.domain.executions.model import Outcome
from make_bridge.domain.executions.troubles import BACKOFF_MINUTES, Trouble, backoffs
from make_bridge.kernel.entropy import chance
from make_bridge.kernel.ids import OrganizationId
from make_bridge.kernel.messages import Event
from make_bridge.platform.database.transactions import WriteTx

_NOTE = """
SELECT organization_id, scenario_id, done, cause FROM shard.note_troubles(
    %(organizations)s::bigint[], %(scenarios)s::bigint[], %(executions)s::uuid[], %(errors)s::integer[],
    %(limits)s::integer[], %(waits)s::boolean[], %(pauses)s::boolean[], %(causes)s::text[], %(types)s::text[],
    %(seconds)s::double precision[], %(steps)s::integer)
"""
_TELL = """
INSERT INTO shard.outbox (organization_id, type, subject, payload, trace_context)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bytea[], %s::text[])
"""
_QUIET = Trouble(error_type="", message="", counts=False, limit=1, waits=False, cause="")


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """An event about to be told, with whose it is and what it is about."""

    organization_id: OrganizationId
    subject: str
    event: Event
    trace_context: str | None = None


async def note(tx: WriteTx, outcomes: Sequence[Outcome], paused: Sequence[Outcome]) -> list[DictRow]:
    """Count failures, let scenarios wait, pause them or switch them off; return which were paused or switched off.

    A scenario that failed several times in one batch is one row: its counted failures are added up, the
    strictest of them decides.
    """
    grouped: dict[int, list[Outcome]] = {}
    for outcome in (*outcomes, *paused):
        grouped.setdefault(outcome.scenario_id, []).append(outcome)
    if not grouped:
        return []
    groups = [(members, _strictest(members)) for members in grouped.values()]
    stopped = {outcome.scenario_id for outcome in paused}
    parameters = {
        "organizations": [members[0].organization_id for members, _ in groups],
        "scenarios": [members[0].scenario_id for members, _ in groups],
        "executions": [members[0].id for members, _ in groups],
        "errors": [sum(_counts(outcome) for outcome in members) for members, _ in groups],
        "limits": [worst.limit for _, worst in groups],
        "waits": [any(_waits(outcome) for outcome in members) for members, _ in groups],
        "pauses": [members[0].scenario_id in stopped for members, _ in groups],
        "causes": [worst.cause for _, worst in groups],
        "types": [plain_text(worst.error_type) for _, worst in groups],
        "seconds": [pause for members, _ in groups for pause in backoffs(_asked(members), chance())],
        "steps": len(BACKOFF_MINUTES),
    }
    return await tx.all(_NOTE, parameters)


async def tell(tx: WriteTx, facts: Sequence[Fact]) -> None:
    """Write events into the outbox."""
    if not facts:
        return
    columns = (
        [fact.organization_id for fact in facts],
        [fact.event.wire_name for fact in facts],
        [fact.subject for fact in facts],
        [msgspec.json.encode(fact.event) for fact in facts],
        [fact.trace_context for fact in facts],
    )
    await tx.execute(_TELL, columns)


def _strictest(members: Sequence[Outcome]) -> Trouble:
    troubles = [outcome.trouble for outcome in members if outcome.trouble is not None]
    counting = [trouble for trouble in troubles if trouble.counts] or troubles
    return min(counting, key=lambda trouble: trouble.limit, default=_QUIET)


def _counts(outcome: Outcome) -> int:
    return int(outcome.trouble is not None and outcome.trouble.counts)


def _waits(outcome: Outcome) -> bool:
    return outcome.trouble is not None and outcome.trouble.waits


def _asked(members: Sequence[Outcome]) -> float:
    return max((outcome.trouble.asked for outcome in members if outcome.trouble is not None), default=0.0)
