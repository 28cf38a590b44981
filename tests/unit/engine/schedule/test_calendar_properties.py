"""The calendar against a plain search over every minute, for schedules nobody chose by hand."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from make_bridge.engine.schedule.calendar import first_tick, instant_of, is_allowed, next_tick
from make_bridge.engine.schedule.shapes import Kind, read_schedule

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
DAYS = 3
# Days on which clocks change, and some on which they do not.
STARTS = st.sampled_from(
    [
        ("Europe/Prague", datetime(2026, 3, 28, 12, tzinfo=UTC)),
        ("Europe/Prague", datetime(2026, 10, 24, 12, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 7, 12, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 10, 31, 12, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 0, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 10, 3, 0, tzinfo=UTC)),
        ("America/Havana", datetime(2026, 3, 7, 12, tzinfo=UTC)),
        ("America/Havana", datetime(2026, 10, 31, 12, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2026, 2, 27, 12, tzinfo=UTC)),
        ("UTC", datetime(2027, 12, 30, 12, tzinfo=UTC)),
    ]
)
CLOCK = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 45, 59]))
WINDOW = st.fixed_dictionaries(
    {},
    optional={
        "days": st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True),
        "months": st.lists(st.integers(1, 12), min_size=1, max_size=8, unique=True),
        "time": st.tuples(CLOCK, CLOCK).map(list),
    },
)
RESTRICT = st.fixed_dictionaries({}, optional={"restrict": st.lists(WINDOW, max_size=3)})


def numbers(lowest, highest):
    return st.lists(st.integers(lowest, highest), min_size=1, max_size=5, unique=True)


def field(lowest, highest):
    number = st.integers(lowest, highest)
    ranged = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    stepped = st.builds("*/{}".format, st.integers(1, highest or 1))
    return st.one_of(
        st.just("*"), number.map(str), ranged, stepped, st.lists(number.map(str), min_size=1).map(",".join)
    )


SHAPE = st.one_of(
    st.fixed_dictionaries({"type": st.just("daily"), "time": CLOCK}),
    st.fixed_dictionaries({"type": st.just("weekly"), "time": CLOCK, "days": numbers(0, 6)}),
    st.fixed_dictionaries({"type": st.just("monthly"), "time": CLOCK, "days": numbers(1, 31)}),
    st.fixed_dictionaries({"type": st.just("yearly"), "time": CLOCK, "days": numbers(1, 31), "months": numbers(1, 12)}),
    st.fixed_dictionaries({"type": st.just("indefinitely"), "interval": st.integers(1, 2000).map(lambda n: n * 60)}),
    st.fixed_dictionaries(
        {
            "type": st.just("cron"),
            "expression": st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)).map(" ".join),
        }
    ),
)
SCHEDULES = st.tuples(SHAPE, RESTRICT).map(lambda both: both[0] | both[1])
MEASURED = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def on_wall(schedule, local):
    """Say whether a local minute is one of a schedule's times of day."""
    if not is_allowed(schedule.windows, local):
        return False
    if schedule.cron is not None:
        cron = schedule.cron
        return cron.comes_on(local.date()) and local.hour in cron.hours and local.minute in cron.minutes
    if local.time() != schedule.at:
        return False
    if schedule.kind is Kind.WEEKLY:
        return local.isoweekday() % 7 in schedule.days
    if schedule.kind in {Kind.MONTHLY, Kind.YEARLY}:
        last = (local + DAY).day == 1
        fits = local.day in schedule.days or (last and max(schedule.days) > local.day)
        return fits and (schedule.kind is Kind.MONTHLY or local.month in schedule.months)
    return True


def searched(schedule, start, end, zone):
    """All ticks from start to end, found by looking at every minute."""
    rhythm = schedule.cron is not None and schedule.cron.every_hour
    if schedule.kind is Kind.INDEFINITELY or rhythm:
        instants = (start + n * MINUTE for n in range(int((end - start) / MINUTE) + 1))
        found = {
            instant
            for instant in instants
            if (schedule.kind is Kind.INDEFINITELY and not int((instant - start).total_seconds()) % schedule.interval)
            or (rhythm and on_wall(schedule, instant.astimezone(zone).replace(tzinfo=None)))
        }
    else:
        first = start.astimezone(zone).replace(tzinfo=None, fold=0) - DAY
        walls = (first + n * MINUTE for n in range(int((end - start + 3 * DAY) / MINUTE)))
        found = {instant_of(local, zone) for local in walls if on_wall(schedule, local)}
    allowed = (tick for tick in found if is_allowed(schedule.windows, tick.astimezone(zone)))
    return sorted(tick for tick in allowed if start <= tick <= end)


@MEASURED
@given(raw=SCHEDULES, place=STARTS)
@example(
    raw={"type": "cron", "expression": "*/20 0-3 * * *"}, place=("Europe/Prague", datetime(2026, 3, 28, 12, tzinfo=UTC))
)
@example(
    raw={"type": "cron", "expression": "*/20 * * * *"}, place=("America/Havana", datetime(2026, 10, 31, 12, tzinfo=UTC))
)
def test_the_calendar_finds_what_a_search_over_every_minute_finds(raw, place):
    zone, start = ZoneInfo(place[0]), place[1]
    schedule, end = read_schedule(raw, shortest=1), start + DAYS * DAY
    found, tick = [], first_tick(schedule, start, zone)
    while tick is not None and tick <= end:
        found.append(tick)
        tick = next_tick(schedule, tick, zone, start)
    assert found == searched(schedule, start, end, zone)


@MEASURED
@given(raw=SCHEDULES, place=STARTS, seconds=st.integers(0, 400 * 86_400))
def test_ticks_rise_and_do_not_depend_on_when_one_asks(raw, place, seconds):
    zone, start = ZoneInfo(place[0]), place[1]
    schedule, after = read_schedule(raw, shortest=1), start + timedelta(seconds=seconds)
    tick = next_tick(schedule, after, zone, start)
    if tick is None:
        return
    assert tick > after
    assert is_allowed(schedule.windows, tick.astimezone(zone))
    assert next_tick(schedule, tick - timedelta(microseconds=1), zone, start) == tick
    between = after + (tick - after) / 2
    assert next_tick(schedule, between, zone, start) == tick
    following = next_tick(schedule, tick, zone, start)
    assert following is None or following > tick
