"""Functions beyond the documented examples: missing arguments, wrong kinds, edges, and what errors name."""

import pytest

from make_bridge.engine.iml import Budget, ExpressionError, compile_template
from make_bridge.engine.iml.functions import FUNCTIONS
from make_bridge.engine.values import ERASE, IGNORE

BUNDLE = {
    "t": "abc",
    "n": 5,
    "l": ["a", 1, None, {"k": "v"}],
    "c": {"a": 1, "b": {"c": 2}, "x.y": 3, "0": "zero"},
    "b": b"\xff\x00",
    "hi": b"hi",
    "rows": [{"n": 1, "s": "b", "in": {"d": 9}}, {"n": 20, "s": "A"}, {"s": "c"}, {"n": 3, "s": "a"}, "scalar"],
    "mixed": ["b", 2, None, "a", 10, True, "B"],
    "emoji": "👍🏽 a 👨‍👩‍👧‍👦 b 🇨🇿 c 5️⃣ d ☀ e ❤️ f © g ™️ 12#",
    "deep": [[1, [2, [3, [4]]]], 5],
    "half": "a\ud800b",
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("upper(1.none)", ""),
        ("trim(1.none)", ""),
        ("replace(1.none; 1.t; 1.t)", ""),
        ("substring(1.none; 1; 2)", ""),
        ("indexOf(1.none; 1.t)", -1),
        ("contains(1.none; 1.t)", False),
        ("encodeURL(1.none)", ""),
        ("base64(1.none)", ""),
        ("sha256(1.none)", ""),
        ("toBinary(1.none)", None),
        ("toString(1.none)", ""),
        ("length(1.none)", 0),
        ("split(1.none; 1.t)", [""]),
        ("abs(1.none)", None),
        ("round(1.none)", None),
        ("parseNumber(1.none)", None),
        ("formatNumber(1.none; 2)", ""),
        ("sum(1.none)", 0),
        ("average(1.none)", None),
        ("formatDate(1.none; 1.t)", ""),
        ('formatDate(""; 1.t)', ""),
        ("addDays(1.none; 1)", None),
        ("parseDate(1.none; 1.t)", None),
        ("parseDate(emptystring; 1.t)", None),
        ("first(1.none)", None),
        ('map(1.none; "x")', []),
        ('join(1.none; ",")', ""),
        ("sort(1.none)", []),
        ("flatten(1.none)", []),
        ("merge(1.none; 1.none)", []),
        ("keys(1.none)", []),
        ("toArray(1.none)", []),
        ('get(1.none; "a")', None),
        ('pick(1.none; "a")', None),
        ("upper(ignore)", ""),
        ("length(erase)", 0),
    ],
)
def test_a_missing_first_argument_is_no_error(evaluate, expression, expected):
    assert evaluate("{{" + expression + "}}", BUNDLE) == expected


@pytest.mark.parametrize(
    ("expression", "function", "argument", "position", "message"),
    [
        ("nope(1)", "nope", None, 2, "The function nope() does not exist."),
        ("Upper(1)", "Upper", None, 2, "The function Upper() does not exist."),
        ("upper()", "upper", None, 2, "The function upper() takes 1 argument; it is given 0. Write upper(text)."),
        ("upper(1; 2)", "upper", None, 2, "The function upper() takes 1 argument; it is given 2. Write upper(text)."),
        ("if(1)", "if", None, 2, "The function if() takes at least 2 arguments; it is given 1. Write if("),
        ("if(1;2;3;4)", "if", None, 2, "The function if() takes at most 3 arguments; it is given 4."),
        ('map(1.t; "k")', "map", 1, 2, "'abc' is not a valid array."),
        ("1 + first(1.c)", "first", 1, 6, "The collection is not a valid array."),
        ("merge(1.l; 5)", "merge", 2, 2, "'5' is not a valid array."),
        ('pick(1.t; "a")', "pick", 1, 2, "'abc' is not a valid collection."),
        ("round(1.t)", "round", 1, 2, "'abc' is not a valid number."),
        ("upper(round(1.t))", "round", 1, 8, "'abc' is not a valid number."),
        ("substring(1.t; 1.l)", "substring", 2, 2, "The array is not a valid number."),
        ("sum(1; 2; 1.t)", "sum", 3, 2, "'abc' is not a valid number."),
        ("addDays(1.t; 1)", "addDays", 1, 2, "'abc' is not a valid date."),
        ("addDays(now; 1.t)", "addDays", 2, 2, "'abc' is not a valid number."),
        ("addDays(now; 1e15)", "addDays", 2, 2, "The number is too large for a date."),
        ("addDays(now; 1e16)", "addDays", 2, 2, "The number '10000000000000000' is too large for a date."),
        ("addYears(now; 99999)", "addYears", 2, 2, "The date lies outside the years 1 to 9999."),
        ('setDay(now; "someday")', "setDay", 2, 2, "'someday' is neither a number nor a name such as Sunday."),
        ('dateDifference(now; now; "eons")', "dateDifference", 3, 2, "'eons' is not a unit"),
        ("upper(1.b)", "upper", 1, 2, "The buffer holds no text: it is not UTF-8."),
        ('toBinary("zz"; "hex")', "toBinary", 1, 2, "'zz' is not valid hex."),
        ('toBinary("zz"; "rot13")', "toBinary", 2, 2, "'rot13' is not an encoding"),
        ('sha1("a"; "octal")', "sha1", 2, 2, "'octal' is not an encoding"),
        ('sha1("a"; "hex"; "xyz"; "hex")', "sha1", 3, 2, "'xyz' is not valid hex."),
        ('parseNumber("12 apples")', "parseNumber", 1, 2, "'12 apples' is not a valid number."),
        ("trunc(1.5; 101)", "trunc", 2, 2, "The number of decimals must lie between 0 and 100; it is 101."),
        ("formatNumber(1.5; -1)", "formatNumber", 2, 2, "The number of decimals must lie between 0 and 100; it is -1."),
        ('sort(1.rows; "up"; "n")', "sort", 2, 2, "'up' is not an order"),
        ("keys(1.t)", "keys", 1, 2, "'abc' is not a valid collection."),
        ("length(1.c)", "length", 1, 2, "The collection is neither a text nor an array."),
        ('replace("a"; "/(/"; "b")', "replace", 2, 2, "The pattern is not valid: missing ): (. The pattern is '/(/'."),
        ("min(1.mixed)", "min", 1, 2, "'b' is not a valid number."),
        ("max(1e308; 1.t)", "max", 2, 2, "'abc' is not a valid number."),
        ("sum(1e308; 1e308)", "sum", None, 2, "The result is not a number"),
        ('arrayDifference(1.l; 1.l; "odd")', "arrayDifference", 3, 2, "'odd' is not a mode"),
    ],
)
def test_an_error_names_function_argument_and_place(evaluate, expression, function, argument, position, message):
    with pytest.raises(ExpressionError) as caught:
        evaluate("{{" + expression + "}}", BUNDLE)

    error = caught.value
    assert (error.function, error.argument, error.position) == (function, argument, position)
    assert error.message.startswith(message)


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("Dear {{upper(first(1.t))}}", "first(), argument 1 (array), at 13: 'abc' is not a valid array."),
        ("{{substring(1.t; 1.t)}}", "substring(), argument 2 (start), at 2: 'abc' is not a valid number."),
        ("{{merge(1.l; 1.l; 5)}}", "merge(), argument 3 (array), at 2: '5' is not a valid array."),
        ("{{sum(1; 1.t)}}", "sum(), argument 2 (value), at 2: 'abc' is not a valid number."),
        ("{{setDay(now; 1.t)}}", "setDay(), argument 2 (number), at 2: 'abc' is neither a number nor a name such as"),
        ("{{1.n * 1.t}}", "at 6: 'abc' is not a valid number."),
        ("x {{1.n}}{{1.b}}", "at 9: The buffer holds no text: it is not UTF-8."),
        ('{{"x" + 1.n + 1.b}}', "at 12: The buffer holds no text: it is not UTF-8."),
        ("{{upper(1.n, 1.b)}}", "at 11: The buffer holds no text: it is not UTF-8."),
        ("{{nope(1)}}", "nope(), at 2: The function nope() does not exist."),
        ("{{trim(1; 2)}}", "trim(), at 2: The function trim() takes 1 argument; it is given 2. Write trim(text)."),
    ],
)
def test_an_error_reads_as_a_sentence_with_its_place(evaluate, template, sentence):
    with pytest.raises(ExpressionError) as caught:
        evaluate(template, BUNDLE)

    assert str(caught.value).startswith(sentence)


def test_a_choice_that_fails_itself_is_named(make_scope):
    scope = make_scope(bundles={1: {"a": "x" * 9_000, "b": "x" * 8_999 + "y"}}, budget=Budget(steps=10))

    with pytest.raises(ExpressionError) as caught:
        compile_template("{{1 + switch(1.a; 1.b; 2)}}").evaluate(scope)
    assert (caught.value.function, caught.value.position) == ("switch", 6)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('get(1.c; "b.c")', 2),
        ('get(1.c; "x.y")', 3),
        ("get(1.c; 0)", "zero"),
        ("get(1.l; 1)", "a"),
        ("get(1.l; 0)", None),
        ("get(1.l; -1)", None),
        ("get(1.l; 99)", None),
        ('get(1.l; "4.k")', "v"),
        ('get(1.c; "b.c.d.e")', None),
        ('get(1.c; "__class__")', None),
        ('get(1.c; "")', None),
        ('get(1.c; "...")', None),
        ("get(1.t; 1)", None),
        ("get(1.c; 1.l)", None),
        ('get(1.rows; "[1].in.d")', 9),
        ("ifempty(false; 1)", False),
        ("ifempty(emptyarray; 1)", 1),
        ("ifempty(ignore; 1)", 1),
        ("ifempty(1.none; 1.none)", None),
        ('switch(1.n; "5"; "five"; "other")', "five"),
        ("switch(1.none; 1; 2)", None),
        ('pick(1.c; "a"; "zz"; 1.l)', {"a": 1}),
        ('pick(1.c; split("a,0"; ","))', {"a": 1, "0": "zero"}),
        ('omit(1.c; "a"; "b"; "x.y"; "zz")', {"0": "zero"}),
    ],
)
def test_general_functions_at_their_edges(evaluate, expression, expected):
    assert evaluate("{{" + expression + "}}", BUNDLE) == expected


def test_markers_survive_as_results_of_choices(evaluate):
    assert evaluate("{{if(false; 1; ignore)}}") is IGNORE
    assert evaluate("{{ifempty(1.none; erase)}}") is ERASE
    assert evaluate("{{ignore}}") is IGNORE
    assert evaluate("a{{ignore}}b") == "ab"
    assert evaluate('{{ignore + "x"}}') == "x"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("round(0.49999999999999994)", 0),
        ("round(-2.5)", -2),
        ("round(1e300)", 1e300),
        ("trunc(1.15; 1)", 1.1),
        ("trunc(-0.999; 2)", -0.99),
        ("trunc(1e22; 5)", 1e22),
        ("floor(random)", 0),
        ('sum("1"; 2; 1.none; "")', 3),
        ('max(split("1,30,4"; ","))', 30),
        ("stdevS(1)", None),
        ("stdevP(1)", 0),
        ("sum(0.1; 0.2; 0.3)", 0.6000000000000001),
        ("formatNumber(1.005; 2)", "1,01"),
        ("formatNumber(-1234.5; 0)", "-1.235"),
        ("formatNumber(-0.001; 2)", "0,00"),
        ("formatNumber(1234.5)", "1.234,5"),
        ('formatNumber(1234567; 2; "."; "")', "1234567.00"),
        ("formatNumber(1e21; 1)", "1.000.000.000.000.000.000.000,0"),
        ('parseNumber("1,756.45")', 1756.45),
        ('parseNumber("1.756.000,5"; ",")', 1756000.5),
        ('parseNumber(" -12 000 ")', -12000),
        ('parseNumber("1e3")', 1000),
        ('parseNumber(12.5; ".")', 12.5),
    ],
)
def test_mathematical_functions_at_their_edges(evaluate, expression, expected):
    assert evaluate("{{" + expression + "}}", BUNDLE) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("length(1.hi)", 2),
        ("length(12345)", 5),
        ('length("👍")', 1),
        ('substring("Hello"; 3; 1)', "el"),
        ('substring("Hello"; -5; 2)', "He"),
        ('substring("Hello"; 0; -1)', ""),
        ('substring("Hello"; 99)', ""),
        ('substring("Hello"; 1; "")', "ello"),
        ('substring("Hello"; 1; )', "ello"),
        ('indexOf("abc"; "")', 0),
        ('indexOf("abcabc"; "a"; 1)', 3),
        ('trim("\ufeff\u00a0\n x \t")', "x"),
        ('startcase("mary-ann O\'NEIL  smith")', "Mary-ann O'neil  Smith"),
        ("capitalize(emptystring)", ""),
        ('replace("aaa"; ""; "x")', "aaa"),
        ('replace("a.b"; "."; "$&")', "a$&b"),
        ('replace("a/b/c"; "/"; "-")', "a-b-c"),
        ('replace("path /usr/bin x"; "/usr/bin"; "B")', "path B x"),
        ('replace("x"; "y"; 1.n)', "x"),
        ('split("a||b"; "||")', ["a", "b"]),
        ('split(12.5; ".")', ["12", "5"]),
        ("contains(1.l; 1)", True),
        ('contains(1.l; "1")', True),
        ('contains(1.l; "zz")', False),
        ('contains(12345; "34")', True),
        ("toString(1.l)", '["a",1,null,{"k":"v"}]'),
        ("toString(1.hi)", "hi"),
        ("toString(null)", ""),
        ('toBinary(" aG k")', b" aG k"),
        ('toBinary("_-8"; "base64")', b"\xff\xef"),
        ('toBinary("ÿ"; "latin1")', b"\xff"),
        ("toBinary(12)", b"12"),
        ("base64(1.b)", "/wA="),
        ("base64(1.half)", "Ye+/vWI="),
        ('length(sha256(1.hi; "latin1"))', 32),
        ('sha1("a"; ; "6b"; "hex")', "40e7d441cadb17b07f050341aa23a6820ed81c8b"),
        ('decodeURL("a+b%zz%C3%BC%ff")', "a b%zzü\ufffd"),
        ('encodeURL("-_.!~*()")', "-_.!~*()"),
        ('escapeHTML("a & b \'c\' ""d""")', "a &amp; b &#39;c&#39; &quot;d&quot;"),
        ("stripHTML(\"a < b <!-- <i> --> <p class='x'>c</p> <br/>d <e\")", "a < b  c d <e"),
        ('stripHTML("<!-- never closed <b>bold</b>")', "bold"),
        ('replaceEmojiCharacters(1.emoji; "#")', "# a # b # c # d # e # f © g # 12#"),
        ('escapeMarkdown("*a_[b](c)")', "\\*a\\_\\[b\\]\\(c\\)"),
        ('escapeMarkdown("\\")', "\\\\"),
    ],
)
def test_text_functions_at_their_edges(evaluate, expression, expected):
    assert evaluate("{{" + expression + "}}", BUNDLE) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('map(1.rows; "n")', [1, 20, 3]),
        ('map(1.rows; "in.d")', [9]),
        ('map(1.rows; "n"; "s"; "b, A")', [1, 20]),
        ('map(1.rows; "n"; "s"; split("a,b"; ","))', [1, 3]),
        ('map(1.rows; "s"; "n"; 3)', ["a"]),
        ('map(1.l[]; "k")', ["v"]),
        ('join(1.l; "-")', 'a-1--{"k":"v"}'),
        ("sort(1.mixed)", [True, 2, 10, "B", "a", "b", None]),
        ('sort(1.mixed; "desc")', ["b", "a", "B", 10, 2, True, None]),
        ('sort(split("10,9,1"; ","))', ["1", "10", "9"]),
        ('map(sort(1.rows; "n"); "s")', ["b", "a", "A", "c"]),
        ('map(sort(1.rows; ; "n"); "s")', ["b", "a", "A", "c"]),
        ('map(sort(1.rows; "desc ci"; "s"); "s")', ["c", "b", "A", "a"]),
        ("slice(1.deep; -1)", [5]),
        ("slice(1.l; 1; 99)", [1, None, {"k": "v"}]),
        ("flatten(1.deep)", [1, 2, 3, 4, 5]),
        ("flatten(1.deep; 2)", [1, 2, [3, [4]], 5]),
        ("flatten(1.deep; 0)", [[1, [2, [3, [4]]]], 5]),
        ('distinct(add(1.l; 1; "1"; 1.c; 1.c))', ["a", 1, None, {"k": "v"}, "1", BUNDLE["c"]]),
        ('remove(1.l; "1"; null)', ["a", {"k": "v"}]),
        ("keys(1.l)", [1, 2, 3, 4]),
        ("toArray(1.deep)", BUNDLE["deep"]),
        ('toCollection(1.rows; "s"; "n")', {"b": 1, "A": 20, "c": None, "a": 3}),
        ("length(shuffle(1.l))", 4),
        ('arrayIntersect(1.l; add(emptyarray; 1; "1"))', [1]),
    ],
)
def test_array_functions_at_their_edges(evaluate, expression, expected):
    assert evaluate("{{" + expression + "}}", BUNDLE) == expected


def test_arrays_are_never_changed_in_place(evaluate):
    original = [3, 1, 2]
    bundle = {"l": original}
    for expression in ("sort(1.l)", "reverse(1.l)", "shuffle(1.l)", "add(1.l; 9)", "remove(1.l; 1)", "slice(1.l; 1)"):
        evaluate("{{" + expression + "}}", bundle)

    assert original == [3, 1, 2]


def test_shuffle_follows_the_executions_own_chance(evaluate):
    bundle = {"l": list(range(20))}
    first, second = evaluate("{{shuffle(1.l)}}", bundle), evaluate("{{shuffle(1.l)}}", bundle)

    assert first == second
    assert first != bundle["l"]
    assert sorted(first) == bundle["l"]


def test_every_function_of_the_catalogue_exists():
    catalogue = (
        "get if ifempty switch pick omit equal mergeCollections abs ceil floor round trunc sum average min max median "
        "stdevS stdevP parseNumber formatNumber length lower upper capitalize startcase trim ascii replace substring "
        "indexOf contains split toString toBinary base64 md5 sha1 sha256 sha512 encodeURL decodeURL escapeHTML "
        "stripHTML escapeMarkdown replaceEmojiCharacters addSeconds addMinutes addHours addDays addMonths addYears "
        "setSecond setMinute setHour setDay setDate setMonth setYear formatDate parseDate dateDifference first last "
        "map join add remove merge slice sort reverse shuffle distinct deduplicate flatten keys toArray toCollection "
        "arrayDiff arrayIntersect arrayDifference"
    )

    assert set(FUNCTIONS) == set(catalogue.split())
