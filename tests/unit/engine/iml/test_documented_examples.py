"""Every example of the language's specification, one line each."""

from datetime import UTC, datetime

import pytest

from make_bridge.engine.values import IGNORE

D = datetime(2026, 3, 31, 10, 20, 30, 400_000, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


BUNDLE = {
    "x": "X",
    "D": D,
    "a": "b",
    "e": "",
    "user": {"address": {"city": "Brno"}},
    "items": [{"name": "one"}, {"name": "two"}],
    "abc": {"a": 1, "b": 2, "c": 3},
    "ab": {"a": 1, "b": 2},
    "x1": {"x": 1},
    "xy": {"x": 2, "y": 3},
    "rows": [{"n": 2, "tags": ["p", ["q"]]}, {"n": 4, "tags": ["r"]}],
    "mails": [
        {"email": "a@x", "label": "work"},
        {"email": "b@x", "label": "home"},
        {"email": "c@x", "label": "other"},
        {"label": "work"},
    ],
    "headers": [{"name": "x-id", "value": "17"}, {"name": "y", "value": "2"}],
    "c": [{"name": "n", "age": 9}, {"name": "m", "age": 30}, {"name": "n", "age": 100}],
    "kv": [{"k": "x", "v": 1}],
    "n123": [1, 2, 3],
    "n2": [2],
    "n29": [2, 9],
    "n12": [1, 2],
    "n23": [2, 3],
    "nums": [2, 4, 4, 4, 5, 5, 7, 9],
    "ts": "1482940986",
}

OPERATORS = [
    ("1 + 2", 3),
    ('"a" + 1', "a1"),
    ('"-" + 3', "-3"),
    ("7 % 3", 1),
    ('"5" - 1', 4),
    ("1.D - 1.D", 0),
    ('1 = "1"', True),
    ('"a" != "b"', True),
    ('"10" > 9', True),
    ('1.ts >= formatDate(1.D;"x")', False),
    ("1 = 1 & 2 = 3", False),
    ('"Hello " + 1.a + "!"', "Hello b!"),
    ('indexOf(1.a; "c") != -1', False),
    ("1.nothing | 1.x", True),
    ("((random + 0.1) * 300) * (random + 0.1) > 0", True),
]

GENERAL = [
    ('get(split("a,b";",");2)', "b"),
    ('get(1.user;"address.city")', "Brno"),
    ('get(1.items;"2.name")', "two"),
    ('if(2 > 1;"y";"n")', "y"),
    ("if(1.e;1.e;ignore)", IGNORE),
    ('if(1.a = "b";"c";)', "c"),
    ('if(1.a = "x";"c";)', None),
    ('if(1.a = "x";"c")', None),
    ('ifempty("";"x")', "x"),
    ("ifempty(0;5)", 0),
    ('ifempty(1.missing;"d")', "d"),
    ('switch("b";"a";1;"b";2)', 2),
    ('switch("z";"a";1;9)', 9),
    ('switch("z";"a";1)', None),
    ('pick(1.abc;"a";"c")', {"a": 1, "c": 3}),
    ('omit(1.ab;"b")', {"a": 1}),
    ("equal(1;1)", True),
    ('equal("a";"b")', False),
    ("mergeCollections(1.x1;1.xy)", {"x": 2, "y": 3}),
]

MATHEMATICS = [
    ("abs(-3)", 3),
    ("abs(2.5)", 2.5),
    ("ceil(1.2)", 2),
    ("ceil(-1.2)", -1),
    ("floor(-1.2)", -2),
    ("round(2.5)", 3),
    ("round(-1.5)", -1),
    ("trunc(-1.9)", -1),
    ("trunc(3.14159;2)", 3.14),
    ("sum(1;2;3)", 6),
    ('average(map(1.rows;"n"))', 3),
    ("average(2;4)", 3),
    ("max(3;9;4)", 9),
    ("min(emptyarray)", None),
    ("median(1;3;2)", 2),
    ("median(1;2;3;4)", 2.5),
    ("stdevP(2;4;4;4;5;5;7;9)", 2),
    ("stdevS(1.nums)", pytest.approx(2.138089935)),
    ('parseNumber("1 756,45";",")', 1756.45),
    ('parseNumber("12.5")', 12.5),
    ("formatNumber(1234567.891;2)", "1.234.567,89"),
    ('formatNumber(1234.5;1;".";",")', "1,234.5"),
    ("formatNumber(7;0)", "7"),
    ("floor(random * (6 - 1 + 1)) + 1 <= 6", True),
]

TEXT = [
    ('length("héy")', 3),
    ("length(emptyarray)", 0),
    ('capitalize("ab cD")', "Ab cD"),
    ('startcase("ab cD")', "Ab Cd"),
    ('upper("ß")', "SS"),
    ('lower("ÀB")', "àb"),
    ('trim("  a ")', "a"),
    ('ascii("čau€")', "au"),
    ('ascii("čau€";true)', "cau"),
    ('replace("a-b-c";"-";"+")', "a+b+c"),
    ('replace("a1b2";"/\\d/g";"#")', "a#b#"),
    ('replace("John Doe";"/(\\w+) (\\w+)/";"$2 $1")', "Doe John"),
    ('replace("xay"; "a"; )', "xy"),
    ('substring("Hello";0;3)', "Hel"),
    ('substring("Hello";1;3)', "el"),
    ('substring("Hello";1)', "ello"),
    ('indexOf("abcabc";"c")', 2),
    ('indexOf("abcabc";"c";3)', 5),
    ('indexOf("a";"z")', -1),
    ('contains("abc";"b")', True),
    ('contains("abc";"B")', False),
    ('split("a, b";",")', ["a", " b"]),
    ('split("";",")', [""]),
    ('split("ab"; )', ["a", "b"]),
    ("toString(12.50)", "12.5"),
    ("toString(true)", "true"),
    ("toString(1.D)", "2026-03-31T10:20:30.400Z"),
    ("toString(1.abc)", '{"a":1,"b":2,"c":3}'),
    ('toString(toBinary("aGk=";"base64"))', "hi"),
    ('toBinary("aGk=";"base64")', b"hi"),
    ('toBinary("6869";"hex")', b"hi"),
    ('base64("héllo")', "aMOpbGxv"),
    ('base64("Make")', "TWFrZQ=="),
    ('md5("abc")', "900150983cd24fb0d6963f7d28e17f72"),
    ('sha1("abc")', "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ('sha256("abc";"hex";"key")', "9c196e32dc0175f86f4b1cb89289d6619de6bee699e4c378e68309ed97a1a6ab"),
    ('sha256("abc";"base64";"key")', "nBluMtwBdfhvSxy4konWYZ3mvuaZ5MN45oMJ7Zehpqs="),
    ('encodeURL("a b&c=ü")', "a%20b%26c%3D%C3%BC"),
    ('decodeURL("a%20b")', "a b"),
    ('escapeHTML("<b>")', "&lt;b&gt;"),
    ('stripHTML("<b>x</b> y")', "x y"),
    ('escapeMarkdown("# a")', "\\# a"),
    ('replaceEmojiCharacters("hi 😀";"")', "hi "),
    ('replace(replace("a""b\\c"; "\\"; "\\\\"); """"; "\\""")', 'a\\"b\\\\c'),
]

DATES = [
    ("addDays(1.D;1)", at("2026-04-01T10:20:30.400")),
    ("addMonths(1.D;-1)", at("2026-02-28T10:20:30.400")),
    ("addHours(1.D;-11)", at("2026-03-30T23:20:30.400")),
    ("setMinute(1.D;75)", at("2026-03-31T11:15:30.400")),
    ("setHour(1.D;-1)", at("2026-03-30T23:20:30.400")),
    ("setDay(1.D;1)", at("2026-03-29T10:20:30.400")),
    ('setDay(1.D;"monday")', at("2026-03-30T10:20:30.400")),
    ("setDate(1.D;1)", at("2026-03-01T10:20:30.400")),
    ("setDate(1.D;32)", at("2026-04-01T10:20:30.400")),
    ('setMonth(1.D;"january")', at("2026-01-31T10:20:30.400")),
    ("setMonth(1.D;13)", at("2027-01-31T10:20:30.400")),
    ('formatDate(1.D;"YYYY-MM-DD")', "2026-03-31"),
    ('formatDate(1.D;"DD.MM.YYYY HH:mm";"Europe/Prague")', "31.03.2026 12:20"),
    ('formatDate(1.D;"X")', "1774952430"),
    ('parseDate("28.12.2026";"DD.MM.YYYY")', at("2026-12-28T00:00:00")),
    ('parseDate("1482940986";"X")', at("2016-12-28T16:03:06")),
    ('dateDifference("2026-03-02";"2026-03-01";"hours")', 24),
    ("formatDate(1.D; YYYY)", "2026"),
    ('round((1.D - parseDate("2026-03-29T10:20:30.400Z")) / 1000 / 60 / 60 / 24)', 2),
]

ARRAYS = [
    ('length(split("a,b";","))', 2),
    ('first(split("a,b";","))', "a"),
    ("last(emptyarray)", None),
    ('map(1.mails;"email")', ["a@x", "b@x", "c@x"]),
    ('map(1.mails;"email";"label";"work,home")', ["a@x", "b@x"]),
    ('get(map(1.headers;"value";"name";"x-id");1)', "17"),
    ('join(emptyarray;",")', ""),
    ('join(split("a b";space);"-")', "a-b"),
    ('contains(split("a,b";",");"b")', True),
    ('add(split("a";",");"b")', ["a", "b"]),
    ('remove(split("a,b,a";",");"a")', ["b"]),
    ('merge(split("a";",");split("b";","))', ["a", "b"]),
    ('slice(split("a,b,c";",");1)', ["b", "c"]),
    ('slice(split("a,b,c";",");0;1)', ["a"]),
    ('sort(split("b,a,C";","))', ["C", "a", "b"]),
    ('sort(split("b,a,C";",");"asc ci")', ["a", "b", "C"]),
    ('map(sort(1.c;"desc";"age"); "age")', [100, 30, 9]),
    ('reverse(split("a,b";","))', ["b", "a"]),
    ('distinct(split("a,b,a";","))', ["a", "b"]),
    ('map(distinct(1.c;"name"); "age")', [9, 30]),
    ('deduplicate(split("a,b,a";","))', ["a", "b"]),
    ('flatten(map(1.rows;"tags"))', ["p", "q", "r"]),
    ('flatten(map(1.rows;"tags"); 1)', ["p", ["q"], "r"]),
    ("keys(1.ab)", ["a", "b"]),
    ("toArray(1.x1)", [{"key": "x", "value": 1}]),
    ('toCollection(1.kv;"k";"v")', {"x": 1}),
    ("arrayDiff(1.n123;1.n2)", [1, 3]),
    ("arrayIntersect(1.n123;1.n29)", [2]),
    ('arrayDifference(1.n12;1.n23;"symmetric")', [1, 3]),
    ("arrayDifference(1.n12;1.n23)", [1]),
]

KEYWORDS: list[tuple[str, object]] = [
    ("null", None),
    ("true", True),
    ("false", False),
    ("emptystring", ""),
    ("emptyarray", []),
    ("space + tab + newline + carriagereturn + nbsp", " \t\n\r\u00a0"),
    ("now", D),
    ("timestamp", 1774952430),
    ("pi", 3.141592653589793),
    ("executionId", "019acafe0001000000000000000000ff"),
    ("uuid", "6f1c7d1e-5f6b-4c58-9d3f-1f6f3e0a2b4c"),
]


@pytest.mark.parametrize(
    ("expression", "expected"), [*OPERATORS, *GENERAL, *MATHEMATICS, *TEXT, *DATES, *ARRAYS, *KEYWORDS]
)
def test_a_documented_example_gives_the_documented_result(evaluate, expression, expected):
    result = evaluate("{{" + expression + "}}", BUNDLE)

    assert result == expected
    assert type(result) is type(expected) or isinstance(expected, float | type(pytest.approx(1)))
