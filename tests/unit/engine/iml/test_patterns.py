"""Patterns as JavaScript writes them, on RE2."""

import time
from contextlib import suppress

import pytest

from make_bridge.engine.iml import Budget, BudgetExceeded, ExpressionError
from make_bridge.engine.iml.patterns import compile_pattern, read_pattern_literal

# What a JavaScript engine gives for text.replace(/pattern/flags, replacement).
REPLACED = [
    ("abcabc", "b", "", "<$&>", "a<b>cabc"),
    ("abcabc", "b", "g", "<$&>", "a<b>ca<b>c"),
    ("ABC", "b", "i", "x", "AxC"),
    ("a\nb", "^b", "m", "x", "a\nx"),
    ("a\nb", "a.b", "", "x", "a\nb"),
    ("a\nb", "a.b", "s", "x", "x"),
    ("a\u2028b", "a.b", "", "x", "a\u2028b"),
    ("abc", "$", "g", "#", "abc#"),
    ("abc", "^", "g", "#", "#abc"),
    ("abc", "x*", "g", "-", "-a-b-c-"),
    ("abc", "b*", "g", "-", "-a--c-"),
    ("a\u00a0\u3000b", r"\s+", "", "_", "a_b"),
    ("a\u2028b c", r"[\S]", "g", "#", "#\u2028# #"),
    ("a b,c", r"[\s,]", "g", "_", "a_b_c"),
    ("2026-03", r"(\d+)-(\d+)", "", "$2/$1 $$ $3 $0 $10", "03/2026 $ $3 $0 20260"),
    ("ab", "(?<x>a)(?<y>b)", "", "$<y>$<x>$<z>", "ba"),
    ("ab", "(a)(b)?(c)?", "", "[$3]", "[]"),
    ("ab", "b", "", "$`|$'|$<x>", "aa||$<x>"),
    ("[x]", "[[\\]]", "g", "", "x"),
    ("a-b_c", r"[\w-]", "g", "x", "xxxxx"),
    ("a-b5", r"[a-\d]", "g", "x", "xxbx"),
    ("a-b", r"[\-]", "g", "+", "a+b"),
    ("é", r"\u00e9", "", "e", "e"),
    ("😀!", r"\ud83d\ude00", "", ":)", ":)!"),
    ("😀!", r"\u{1f600}", "u", ":)", ":)!"),
    ("AbC", r"[\x41-\x43]", "g", "_", "_b_"),
    ("a/b", r"\/", "", "-", "a-b"),
    ("a_b", r"\_", "", "-", "a-b"),
    ("a{2}", "a{", "", "x", "x2}"),
    ("aa", "a{2}", "", "x", "x"),
    ("a{,2}", "a{,2}", "", "x", "x"),
    ("x\ny", "[^]", "g", "#", "###"),
    ("xy", "[]", "g", "#", "xy"),
    ("zA", r"\z\A", "", "ok", "ok"),
    ("αβ x", r"\p{Script=Greek}+", "u", "greek", "greek x"),
    ("a\x08b", r"[\b]", "", "|", "a|b"),
    ("a\nb", r"\cJ", "", "|", "a|b"),
    ("say ```json\n{}```", "```(json)?", "g", "", "say \n{}"),
    ("${name}!", r"\$\{(\w+)\}", "", "$1", "name!"),
]


@pytest.mark.parametrize(("text", "pattern", "flags", "replacement", "expected"), REPLACED)
def test_a_pattern_replaces_as_javascript_does(evaluate, text, pattern, flags, replacement, expected):
    bundle = {"t": text, "p": f"/{pattern}/{flags}", "r": replacement}

    assert evaluate("{{replace(1.t; 1.p; 1.r)}}", bundle) == expected


@pytest.mark.attack("F10")
@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("a(?=b)", "looks ahead or behind"),
        ("a(?!b)", "looks ahead or behind"),
        ("(?<=a)b", "looks ahead or behind"),
        ("(?<!a)b", "looks ahead or behind"),
        (r"(a)\1", "refers back to a group"),
        (r"(?<x>a)\k<x>", "refers back to a group"),
        ("(?#comment)", "group of an unknown kind"),
        ("(?<0bad>x)", "group of an unknown kind"),
        ("a**", "The pattern is not valid"),
        ("(", "The pattern is not valid"),
        ("[a", "bracket of the pattern is not closed"),
        ("a{1001}", "The pattern is not valid"),
        ("((a{100}){100}){100}", "The pattern is not valid"),
        (r"\p{Nonsense}", "The pattern is not valid"),
        ("x\\", "lone backslash"),
        ("x" * 2000, "longer than 1024"),
    ],
)
def test_what_cannot_be_matched_is_refused_by_name(evaluate, pattern, message):
    with pytest.raises(ExpressionError, match=message):
        evaluate('{{replace("aab"; 1.p; "")}}', {"p": f"/{pattern}/"})


def test_text_that_is_not_written_as_a_pattern_is_text(evaluate):
    for text in ("/", "//", "/a", "a/", "/usr/bin", "/a/gg", "/a/x"):
        assert read_pattern_literal(text) is None
        assert evaluate('{{replace("<" + 1.t + ">"; 1.t; "")}}', {"t": text}) == "<>"


def test_half_a_surrogate_pair_matches_as_a_replacement_character(evaluate):
    assert evaluate('{{replace(1.t; "/b/"; 1.t)}}', {"t": "a\ud800b"}) == "a\ufffda\ufffdb"


def test_the_sticky_flag_is_refused():
    with pytest.raises(ExpressionError, match="sticky"):
        compile_pattern("a", "y")


def test_a_pattern_finds_without_replacing():
    budget = Budget()

    assert compile_pattern("b.", "i").found_in("abC", budget)
    assert not compile_pattern("^b").found_in("ab", budget)
    assert budget.steps < Budget().steps


@pytest.mark.attack("F10")
@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+$", "a" * 100_000 + "b"),
        ("(a|aa|aaa)*c", "a" * 100_000),
        ("(.*)*x", "a" * 100_000),
        (".*a.{400}$", "ab" * 50_000),
        ("[ab]*a[ab]{200}c", "abbaab" * 15_000),
        ("(?:(?:a?){20}){20}b", "a" * 100_000),
        ("a(.*b)?", "a" * 100_000),
    ],
)
def test_no_pattern_runs_away(evaluate, pattern, text):
    """Linear work is done, the rest is refused."""
    started = time.thread_time()
    with suppress(BudgetExceeded):
        assert isinstance(evaluate('{{replace(1.t; 1.p; "-")}}', {"t": text, "p": f"/{pattern}/g"}), str)

    assert time.thread_time() - started < 1


def test_a_search_that_is_slow_for_its_length_is_charged_for_its_time():
    """From each of few places it looks ahead to the end; counting matches and characters would not notice."""
    pattern = compile_pattern("a(.*b)?", "g")
    text = ("a" + "x" * 99) * 1_000
    counted = 4 * 1_000 + (len(text) * pattern.regexp.programsize >> 8) + 1_000
    budget = Budget(steps=1_000_000)
    ended = False
    try:
        assert sum(1 for _ in pattern.matches(text, budget)) == 1_000
    except BudgetExceeded:
        ended = True

    assert ended or 1_000_000 - budget.steps > counted + 9_000
