"""Functions that undo each other, or change nothing the second time, over generated values."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from make_bridge.engine.iml import compile_template

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(max_size=20)
keys = st.text(min_size=1, max_size=6)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.floats(-1e6, 1e6), texts)
arrays = st.lists(scalars, max_size=8)
collections = st.dictionaries(keys, scalars, max_size=6)
rows = st.lists(st.fixed_dictionaries({"k": texts, "n": st.integers(-9, 9)}), max_size=8)
# From 1950 on all these zones have offsets of whole minutes, as the tokens print them.
moments = st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2099, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
)
zones = st.sampled_from(
    ["UTC", "Europe/Prague", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"]
)

# Each set of tokens says all of an instant, down to the unit that is named.
WHOLE_DATES = {
    "YYYY-MM-DD HH:mm:ss.SSS Z": "milliseconds",
    "YY-M-D H:m:s.SSSSSS ZZ": "milliseconds",
    "dddd, MMMM Do YYYY, h:mm:ss a Z": "seconds",
    "ddd D MMM YYYY hh:mm A ZZ": "minutes",
    "YYYY DDDD kk:mm:ss Z": "seconds",
    "YYYY-DDD k:mm:ss.SS ZZ": "hundredths",
    "GGGG-[W]WW-E HH:mm:ss Z": "seconds",
    "YYYYMMDDHHmmssSSSZZ": "milliseconds",
    "[on] YYYY-MM-DDTHH:mm:ss[ exactly ]Z": "seconds",
    "X": "seconds",
    "x": "milliseconds",
}
UNITS = {"milliseconds": 1, "hundredths": 10, "seconds": 1000, "minutes": 60_000}


@pytest.fixture(scope="module")
def computed(make_scope):
    """Evaluate an expression over the members of module 1."""

    def run(expression, zone="UTC", **members):
        scope = make_scope(bundles={1: members}, timezone=ZoneInfo(zone))
        return compile_template("{{" + expression + "}}").evaluate(scope)

    return run


@pytest.mark.parametrize("pattern", WHOLE_DATES)
@settings(quick, max_examples=40)
@given(moment=moments, zone=zones)
def test_a_date_survives_its_format(computed, pattern, moment, zone):
    if "YY-" in pattern and "YYYY" not in pattern:
        moment = moment.replace(year=1969 + moment.year % 100, day=min(moment.day, 28))
    unit = UNITS[WHOLE_DATES[pattern]]
    milliseconds = int(computed("1.d - 0", d=moment))
    expected = milliseconds - milliseconds % unit

    assert computed("parseDate(formatDate(1.d; 1.p); 1.p) - 0", zone=zone, d=moment, p=pattern) == expected
    assert computed("parseDate(formatDate(1.d; 1.p; 1.z); 1.p; 1.z) - 0", d=moment, p=pattern, z=zone) == expected


@quick
@given(moments, zones, st.integers(-400, 400))
def test_days_and_months_come_back_where_clocks_allow_it(computed, moment, zone, days):
    noon = computed("setHour(setDate(1.d; 15); 12)", zone=zone, d=moment)

    assert computed("addDays(addDays(1.d; 1.n); -1.n)", zone=zone, d=noon, n=days) == noon
    assert computed("addMonths(addMonths(1.d; 1.n); -1.n)", zone=zone, d=noon, n=days) == noon
    assert computed("addYears(addYears(1.d; 3); -3)", zone=zone, d=noon) == noon
    assert computed('formatDate(addDays(1.d; 1.n); "HH:mm")', zone=zone, d=noon, n=days) == computed(
        'formatDate(1.d; "HH:mm")', zone=zone, d=noon
    )


@quick
@given(moments, zones)
def test_setting_a_unit_to_itself_changes_nothing(computed, moment, zone):
    for function, token in (
        ("setSecond", "s"),
        ("setMinute", "m"),
        ("setHour", "H"),
        ("setDate", "D"),
        ("setMonth", "M"),
        ("setYear", "YYYY"),
    ):
        assert computed(f'{function}(1.d; formatDate(1.d; "{token}"))', zone=zone, d=moment) == moment
    assert computed('setDay(1.d; formatDate(1.d; "dddd"))', zone=zone, d=moment) == moment


@quick
@given(texts)
def test_text_survives_its_encodings(computed, text):
    for expression in (
        'toString(toBinary(base64(1.t); "base64"))',
        "toString(toBinary(1.t))",
        "decodeURL(encodeURL(1.t))",
        "toString(1.t)",
        'replace(replace(1.t; "a"; "\u0000"); "\u0000"; "a")' if "\u0000" not in text else "toString(1.t)",
    ):
        assert computed(expression, t=text) == text
    assert computed("base64(toBinary(base64(1.t); 1.e))", t=text, e="base64") == computed("base64(1.t)", t=text)


@quick
@given(st.binary(max_size=40))
def test_bytes_survive_base64_and_hex(computed, data):
    assert computed('toBinary(base64(1.b); "base64")', b=data) == data
    assert computed('toBinary(1.h; "hex")', h=data.hex()) == data


@quick
@given(texts)
def test_what_makes_text_plain_changes_nothing_the_second_time(computed, text):
    for function in ("trim", "ascii", "lower", "escapeHTML"):
        once = computed(f"{function}(1.t)", t=text)
        if function != "escapeHTML":
            assert computed(f"{function}(1.t)", t=once) == once
        else:
            assert computed("stripHTML(1.t)", t=once) == once


@quick
@given(texts, st.text(min_size=1, max_size=3))
def test_split_and_join_undo_each_other(computed, text, separator):
    assert computed("join(split(1.t; 1.s); 1.s)", t=text, s=separator) == text
    assert computed("replace(1.t; 1.s; 1.s)", t=text, s=separator) == text
    pieces = computed("split(1.t; 1.s)", t=text, s=separator)
    assert len(pieces) == text.count(separator) + 1


@quick
@given(arrays, arrays)
def test_arrays_keep_their_laws(computed, first, second):
    def value(expression):
        return computed(expression, a=first, b=second)

    assert value("reverse(reverse(1.a))") == first
    assert value("sort(sort(1.a))") == value("sort(1.a)")
    assert value('sort(sort(1.a); "desc ci")') == value('sort(sort(sort(1.a); "desc ci"); "desc ci")')
    assert value("distinct(distinct(1.a))") == value("distinct(1.a)")
    assert value("deduplicate(merge(1.a; 1.a))") == value("distinct(1.a)")
    assert value("flatten(flatten(1.a))") == value("flatten(1.a)") == first
    assert value("length(merge(1.a; 1.b))") == len(first) + len(second)
    assert value("slice(merge(1.a; 1.b); length(1.a))") == second
    assert value("arrayDiff(1.a; 1.a)") == []
    assert value("arrayIntersect(1.a; 1.a)") == first
    assert value("length(arrayDiff(1.a; 1.b)) + length(arrayIntersect(1.a; 1.b))") == len(first)
    assert value("length(shuffle(1.a))") == len(first)
    assert value("arrayDiff(shuffle(1.a); 1.a)") == []
    assert value("first(reverse(1.a))") == value("last(1.a)")


@quick
@given(collections)
def test_collections_keep_their_laws(computed, collection):
    def value(expression, **more):
        return computed(expression, c=collection, **more)

    assert value('toCollection(toArray(1.c); "key"; "value")') == collection
    assert value("pick(1.c; keys(1.c))") == collection
    assert value("omit(1.c; keys(1.c))") == {}
    assert value("mergeCollections(1.c; 1.c)") == collection
    assert value('map(toArray(1.c); "key")') == value("keys(1.c)") == list(collection)
    for key, member in collection.items():
        assert value("get(1.c; 1.k)", k=key) == member or "." in key or "[" in key


@quick
@given(rows)
def test_sorting_by_a_key_orders_the_key(computed, items):
    numbers = computed('map(sort(1.r; "asc"; "n"); "n")', r=items)

    assert numbers == sorted(item["n"] for item in items)
    assert computed('reverse(map(sort(1.r; "desc"; "n"); "n"))', r=items) == numbers
    assert computed('length(distinct(1.r; "k"))', r=items) == len({item["k"] for item in items})


@quick
@given(st.floats(-1e12, 1e12), st.integers(0, 6))
def test_numbers_survive_their_format(computed, number, decimals):
    written = computed("formatNumber(1.n; 1.d)", n=number, d=decimals)

    assert computed('parseNumber(1.t; ",")', t=written) == pytest.approx(number, abs=0.51 * 10**-decimals, rel=1e-12)
    assert computed("parseNumber(toString(1.n))", n=number) == number
    assert computed("trunc(trunc(1.n; 1.d); 1.d)", n=number, d=decimals) == computed(
        "trunc(1.n; 1.d)", n=number, d=decimals
    )
