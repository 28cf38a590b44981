"""What happens when a scenario's time has come: run, make up, or leave out. Pure.

* **Missed ticks.** After a downtime the schedule goes on from now. Of the ticks that have gone by, one is made up
  (``one``) or none (``none``); the others are counted, and the next run tells how many. A tick that comes within a
  minute is on time, whatever the policy says.
* **Overlap.** A scenario that runs in order (``sequential``) lets a tick wait in the queue behind the run that is
  going; when one waits already, further ticks are left out. Any other scenario leaves a tick out while the run of the
  tick before is waiting or going. Ticks that were left out are counted, and the next run ends with a warning that says
  how many.
* **Over a limit.** A tick of a team that has used what it may use this month is left out and counted like an overlap.
"""

from datetime import datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from make_bridge.domain.executions.tick_store import DueScenario
from make_bridge.engine.schedule.calendar import count_ticks, next_tick
from make_bridge.engine.schedule.shapes import Schedule

CatchUp = Literal["one", "none"]
ON_TIME: Final = timedelta(seconds=60)
_MOST: Final = 2**31 - 1


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What to do now. The counts are those the started run tells or, without one, the next."""

    fires: bool
    next_run_at: datetime | None
    missed: int
    skipped: int


def decide(
    due: DueScenario, schedule: Schedule, zone: ZoneInfo, catch_up: CatchUp, *, is_over_limit: bool = False
) -> Decision:
    """Return what becomes of a due tick, and when the next one is."""
    gone_by = count_ticks(schedule, due.next_run_at, due.now, zone, due.schedule_anchor)
    upcoming = next_tick(schedule, due.now, zone, due.schedule_anchor)
    missed, skipped, fires = due.ticks_missed, due.ticks_skipped, False
    if is_over_limit or _overlaps(due):
        skipped += 1 + gone_by
    elif catch_up == "one" or due.now - due.next_run_at <= ON_TIME:
        missed, fires = missed + gone_by, True
    else:
        missed += 1 + gone_by
    return Decision(fires=fires, next_run_at=upcoming, missed=min(missed, _MOST), skipped=min(skipped, _MOST))


def _overlaps(due: DueScenario) -> bool:
    if due.last_is_going is None:
        return False
    return not due.is_sequential or not due.last_is_going
