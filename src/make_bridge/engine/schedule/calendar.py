"""The calendar: when a schedule comes due next.

Pure: a schedule, a moment, a time zone and the schedule's anchor (when it was switched on) give the next tick. The
scheduler, activation and the portal all ask here, so they cannot disagree. The rules:

* **Intervals** are counted from the anchor, ``anchor + k * interval``, and so never drift; the first tick is the anchor
  itself: switching on runs once, at once. With ``between`` the anchor is its beginning, if that is later. Intervals are
  lengths of time, not of the clock on the wall: a change to summer time does not touch them.
* **Times of day** are those of the organization's zone. A local time that does not exist (the clock is put forward)
  comes at the first instant after the gap; one that exists twice comes once, the first time.
* A **cron** expression that comes in every hour is a rhythm and no time of day: it comes at every instant that has the
  right minute, in the repeated hour too, and what a gap leaves out is left out.
* **Months without the day**: a monthly or yearly schedule on day 29, 30 or 31 comes on the last day of a shorter month,
  once even when several of its days fall there. Cron leaves such months out, as cron does.
* **between** holds both ends; a date without a time ends with that day. **restrict** holds if any of its windows does;
  what falls outside is left out, not moved. A time of day that was moved out of its window by a gap is left out too.

A search ends after nine years, which is longer than the eight between two leap days around 2100; what has no tick until
then never has one.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from make_bridge.engine.schedule.cron import Cron
from make_bridge.engine.schedule.shapes import Kind, Schedule, Window

COUNTED: Final = 500
_HORIZON_DAYS: Final = 9 * 366
_LAST_YEAR: Final = 9900
_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_SECOND: Final = timedelta(seconds=1)
_INSTANT: Final = timedelta(microseconds=1)
_MIDNIGHT: Final = time(0)


def first_tick(schedule: Schedule, anchor: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first tick of a schedule that is switched on at ``anchor``."""
    return next_tick(schedule, anchor - _INSTANT, zone, anchor)


def next_tick(schedule: Schedule, after: datetime, zone: ZoneInfo, anchor: datetime) -> datetime | None:
    """Return the first tick after a moment, in UTC; None when there is none."""
    if not schedule.is_timed or after.year > _LAST_YEAR:
        return None
    if schedule.kind is Kind.ONCE:
        tick = _moment(schedule.moment, zone)
        return tick if tick is not None and tick > after else None
    begins, ends = _moment(schedule.begins, zone), _moment(schedule.ends, zone)
    if schedule.kind is Kind.INDEFINITELY:
        start = anchor if begins is None else max(anchor, begins)
        tick = _interval_tick(schedule, after.astimezone(UTC), zone, start.astimezone(UTC))
    else:
        since = after if begins is None else max(after, begins - _INSTANT)
        tick = _calendar_tick(schedule, since.astimezone(UTC), zone)
    return tick if tick is None or ends is None or tick <= ends else None


def count_ticks(schedule: Schedule, after: datetime, until: datetime, zone: ZoneInfo, anchor: datetime) -> int:
    """Return how many ticks lie after one moment and not after another; at most ``COUNTED``."""
    count, tick = 0, after
    while count < COUNTED:
        found = next_tick(schedule, tick, zone, anchor)
        if found is None or found > until:
            break
        count, tick = count + 1, found
    return count


def instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    """Return when a time on the wall is: its first occurrence, or the first instant after the gap it falls into."""
    early = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if early.astimezone(zone).replace(tzinfo=None, fold=0) == local:
        return early
    return _end_of_gap(local.replace(tzinfo=zone, fold=1).astimezone(UTC), early, zone)


def _end_of_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Find the change between two instants; ``before`` has the old offset from UTC, ``after`` the new one."""
    old = before.astimezone(zone).utcoffset()
    low, high = 0, int((after - before) / _SECOND) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if (before + middle * _SECOND).astimezone(zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return (before + high * _SECOND).replace(microsecond=0)


def _moment(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    if moment is None:
        return None
    return instant_of(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC)


# Intervals.


def _interval_tick(schedule: Schedule, after: datetime, zone: ZoneInfo, start: datetime) -> datetime | None:
    step = timedelta(seconds=schedule.interval)
    tick = start if after < start else start + ((after - start) // step + 1) * step
    last = max(after, start) + _HORIZON_DAYS * _DAY
    while tick <= last:
        if is_allowed(schedule.windows, tick.astimezone(zone)):
            return tick
        opening = _next_opening(schedule.windows, tick, zone, last)
        if opening is None:
            return None
        tick = start + -((start - opening) // step) * step
    return None


def _next_opening(windows: tuple[Window, ...], after: datetime, zone: ZoneInfo, last: datetime) -> datetime | None:
    """Return when the next window opens."""
    day = after.astimezone(zone).date()
    while (midnight := instant_of(datetime.combine(day, _MIDNIGHT), zone)) <= last:
        openings = [
            instant_of(datetime.combine(day, opens), zone)
            for window in windows
            if _fits_day(window, day)
            for opens in _openings(window)
        ]
        found = min((opening for opening in openings if opening > max(after, midnight - _INSTANT)), default=None)
        if found is not None:
            return found
        day += _DAY
    return None


def _openings(window: Window) -> tuple[time, ...]:
    if window.opens is None or window.closes is None:
        return (_MIDNIGHT,)
    return (window.opens,) if window.opens <= window.closes else (_MIDNIGHT, window.opens)


def _fits_day(window: Window, day: date) -> bool:
    in_week = not window.days or day.isoweekday() % 7 in window.days
    return in_week and (not window.months or day.month in window.months)


def _fits_time(window: Window, at: time) -> bool:
    if window.opens is None or window.closes is None:
        return True
    if window.opens <= window.closes:
        return window.opens <= at <= window.closes
    return at >= window.opens or at <= window.closes


def is_allowed(windows: tuple[Window, ...], local: datetime) -> bool:
    """Say whether a local time falls into one of the windows; without windows every time is allowed."""
    if not windows:
        return True
    at = local.time().replace(microsecond=0)
    return any(_fits_day(window, local.date()) and _fits_time(window, at) for window in windows)


# Days and times of day.


def _calendar_tick(schedule: Schedule, after: datetime, zone: ZoneInfo) -> datetime | None:
    if schedule.cron is not None and schedule.cron.every_hour:
        return _rhythm_tick(schedule, schedule.cron, after, zone)
    times = _Times(schedule)
    first = after.astimezone(zone).date() - _DAY
    for offset in range(_HORIZON_DAYS):
        day = first + offset * _DAY
        if not _comes_on(schedule, day):
            continue
        for at in times.of(day):
            tick = instant_of(datetime.combine(day, at), zone)
            if tick > after and is_allowed(schedule.windows, tick.astimezone(zone)):
                return tick
    return None


class _Times:
    """A schedule's times of day that its windows let through; they differ by weekday and month only."""

    def __init__(self, schedule: Schedule) -> None:
        cron = schedule.cron
        self._windows = schedule.windows
        self._known: dict[tuple[int, int], tuple[time, ...]] = {}
        if cron is not None:
            self._all = tuple(time(hour, minute) for hour in cron.hours for minute in cron.minutes)
        else:
            self._all = () if schedule.at is None else (schedule.at,)

    def of(self, day: date) -> tuple[time, ...]:
        key = (day.weekday(), day.month)
        if key not in self._known:
            allowed = (at for at in self._all if is_allowed(self._windows, datetime.combine(day, at)))
            self._known[key] = tuple(allowed)
        return self._known[key]


def _comes_on(schedule: Schedule, day: date) -> bool:
    match schedule.kind:
        case Kind.CRON:
            return schedule.cron is not None and schedule.cron.comes_on(day)
        case Kind.WEEKLY:
            return day.isoweekday() % 7 in schedule.days
        case Kind.MONTHLY:
            return _fits_month(schedule.days, day)
        case Kind.YEARLY:
            return day.month in schedule.months and _fits_month(schedule.days, day)
        case _:
            return True


def _fits_month(days: frozenset[int], day: date) -> bool:
    """Say whether one of the days falls on this date; those that the month lacks fall on its last."""
    if day.day in days:
        return True
    return (day + _DAY).day == 1 and any(wanted > day.day for wanted in days)


def _rhythm_tick(schedule: Schedule, cron: Cron, after: datetime, zone: ZoneInfo) -> datetime | None:
    minutes = frozenset(cron.minutes)
    tick = after.replace(second=0, microsecond=0) + _MINUTE
    last = after + _HORIZON_DAYS * _DAY
    while tick <= last:
        local = tick.astimezone(zone)
        if not cron.comes_on(local.date()):
            tick = _at_least(instant_of(datetime.combine(local.date() + _DAY, _MIDNIGHT), zone), tick)
        elif local.minute not in minutes or local.second:
            tick += _MINUTE
        elif is_allowed(schedule.windows, local):
            return tick
        else:
            opening = _next_opening(schedule.windows, tick, zone, last)
            if opening is None:
                return None
            tick = _at_least(opening, tick)
    return None


def _at_least(found: datetime, tick: datetime) -> datetime:
    """Return a later moment at the beginning of a minute, and never go back: midnights can come twice."""
    return max(found.replace(second=0, microsecond=0), tick + _MINUTE)
