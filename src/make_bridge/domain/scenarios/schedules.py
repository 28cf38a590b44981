"""When a scenario runs: does its schedule fit its blueprint, and when does it come due first. Pure.

A scenario that begins with a webhook runs when a request arrives, so it is scheduled ``immediately``, and no other is.
One that takes inputs, or that others call, has nobody to ask for them when the clock starts it, so it runs on demand.
Processing a webhook's requests on a schedule is not supported, and refused with a sentence.
"""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from make_bridge.domain.scenarios.blueprints import BlueprintFacts
from make_bridge.domain.scenarios.model import JsonObject
from make_bridge.engine.schedule.calendar import first_tick
from make_bridge.engine.schedule.shapes import Kind, Schedule
from make_bridge.kernel.errors import Conflict

MISMATCH = "scheduling_mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where a schedule stands when it is switched on; both are None for one that no clock starts."""

    next_run_at: datetime | None
    anchor: datetime | None


OFF = Plan(next_run_at=None, anchor=None)


def scheduling_of(given: JsonObject | None, facts: BlueprintFacts) -> JsonObject:
    """Return the schedule of a new scenario: what was asked for, what the blueprint says, or what fits it."""
    if given is not None:
        return given
    if facts.scheduling is not None:
        return facts.scheduling
    return {"type": (Kind.IMMEDIATELY if facts.is_instant else Kind.ON_DEMAND).value}


def plan(schedule: Schedule, facts: BlueprintFacts, zone: ZoneInfo, now: datetime) -> Plan:
    """Return when a scenario that is switched on now runs; raises Conflict when its schedule does not fit it."""
    _require_fit(schedule.kind, facts)
    if not schedule.is_timed:
        return OFF
    tick = first_tick(schedule, now, zone)
    if tick is None:
        message = "This schedule never comes due: its date is over, or its days and windows leave no time."
        raise Conflict(message, code=MISMATCH)
    return Plan(next_run_at=tick, anchor=now)


def _require_fit(kind: Kind, facts: BlueprintFacts) -> None:
    if facts.is_instant:
        if kind is not Kind.IMMEDIATELY:
            message = (
                "This scenario begins with a webhook and runs as soon as a request arrives: its schedule has to be"
                " 'immediately'. Collecting requests for a later time is not supported."
            )
            raise Conflict(message, code=MISMATCH)
    elif kind is Kind.IMMEDIATELY:
        message = (
            "Only a scenario that begins with a webhook runs immediately: give this one a schedule, or 'on-demand'."
        )
        raise Conflict(message, code=MISMATCH)
    elif facts.takes_inputs and kind is not Kind.ON_DEMAND:
        message = "This scenario takes inputs, which no clock can give: its schedule has to be 'on-demand'."
        raise Conflict(message, code=MISMATCH)
