"""XML: text to bundles and back, queries, and documents made to hurt."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.engine.apps import xml
from make_bridge.engine.apps.module import ModuleError
from make_bridge.engine.apps.xml_paths import Query
from make_bridge.engine.apps.xml_text import read_xml
from make_bridge.engine.apps.xml_tree import read_tree
from make_bridge.engine.apps.xml_writing import write_xml
from make_bridge.engine.iml import Budget, BudgetExceeded
from support.one_module import error, outputs

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
FEED = b"""<?xml version="1.0"?>
<feed xmlns:m="urn:m"><title>News</title>
  <item id="1" lang="en"><title>First</title><price>5.5</price><m:tag>a</m:tag></item>
  <item id="2"><title>Second &amp; last</title><price>12</price><m:tag>b</m:tag><note/></item>
  <group><item id="3"><title>Third</title></item></group>
</feed>"""
NAMES = st.from_regex(r"[A-Za-zé_][A-Za-z0-9._-]{0,8}", fullmatch=True).filter(lambda name: name[0] != "_")
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")).map(
    lambda text: text.strip()
)
TREES = st.recursive(
    WORDS, lambda inner: st.dictionaries(NAMES, inner | st.lists(inner, min_size=2, max_size=3), min_size=1, max_size=3)
)


def plain(value):
    """What reading gives: an element with nothing in it is empty text."""
    if isinstance(value, dict):
        made = {name: plain(item) for name, item in value.items()}
        return made or ""
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("text", "bundle"),
    [
        ("<a>5</a>", {"a": "5"}),
        ("<a/>", {"a": ""}),
        ("<a b='1'>x</a>", {"a": {"_attributes": {"b": "1"}, "_value": "x"}}),
        ("<r><i>1</i><i>2</i><i>3</i><j/></r>", {"r": {"i": ["1", "2", "3"], "j": ""}}),
        ("<r>a<b/>c</r>", {"r": {"b": "", "_value": "ac"}}),
        ("<r><![CDATA[<x>]]> &lt;&#65;</r>", {"r": "<x> <A"}),
        (b"\xef\xbb\xbf<a>\xc3\xa9</a>", {"a": "é"}),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>'.encode("latin-1"), {"a": "é"}),
    ],
)
async def test_a_document_becomes_one_bundle(text, bundle):
    assert await outputs("xml:ParseXML", {"xml": "{{1.t}}"}, {"t": text}, type=7) == [bundle]


HOSTILE = {
    "entities within entities": "<!DOCTYPE a [<!ENTITY x 'xx'><!ENTITY y '&x;&x;'>]><a>&y;</a>",
    "a file of the server": "<!DOCTYPE a [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><a>&f;</a>",
    "a declaration elsewhere": "<!DOCTYPE a SYSTEM 'http://127.0.0.1/a.dtd'><a/>",
    "parameter entities": "<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://127.0.0.1/p'>%p;]><a/>",
    "an entity nobody declared": "<a>&nope;</a>",
    "a depth": "<a>" * 5_000 + "</a>" * 5_000,
    "no end": "<a>",
    "two roots": "<a/><b/>",
    "nothing": " ",
    "no XML": "{}",
    "an unknown encoding": '<?xml version="1.0" encoding="x-none"?><a/>',
}


@pytest.mark.attack("D12")
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("name", ["xml:ParseXML", "xml:PerformXPathQuery"])
async def test_what_is_broken_or_dangerous_is_refused(name, text):
    found = await error(name, {"xml": "{{1.t}}", "xpath": "//a"}, {"t": text})
    assert (found.type, found.message) == ("DataError", "The source is not XML that can be read.")


async def test_a_document_is_measured_before_it_is_read():
    found = await error("xml:ParseXML", {"xml": "{{1.t}}"}, {"t": b"<a>" + b"x" * xml.MAX_BYTES})
    assert found.type == "MaxFileSizeExceededError"


def test_many_equal_elements_cost_no_more_than_their_number():
    started = time.thread_time()
    document = read_xml(b"<r>" + b"<a/>" * 100_000 + b"</r>", "It")
    assert isinstance(document, dict)
    assert time.thread_time() - started < 5
    with pytest.raises(ModuleError):
        read_xml(b"<r>" + b"<a/>" * 200_001 + b"</r>", "It")


@pytest.mark.parametrize(
    ("mapper", "text"),
    [
        ({"order": {"id": "{{1.n}}", "gap": "{{1.nothing}}"}}, "<order><id>5</id></order>"),
        ({"a": "x", "b": True}, "<root><a>x</a><b>true</b></root>"),
        ({"a": {"_attributes": {"k": 'a"<&'}, "_value": "x<y"}}, '<a k="a&quot;&lt;&amp;">x&lt;y</a>'),
        ({"r": {"i": [1, 2, {"j": 3}]}}, "<r><i>1</i><i>2</i><i><j>3</j></i></r>"),
        ({"i": [1, 2]}, "<root><i>1</i><i>2</i></root>"),
        ({"a": {}}, "<a/>"),
        ({"a": "]]>"}, "<a>]]&gt;</a>"),
        ({}, "<root/>"),
    ],
)
async def test_fields_become_xml(mapper, text):
    assert await outputs("xml:CreateXML", mapper, {"n": 5}, type=7) == [{"xml": HEAD + text}]


async def test_any_value_becomes_xml_as_it_is_asked_for():
    parameters = {"declaration": False, "pretty": True}
    found = await outputs(
        "xml:TransformToXML", {"object": "{{1.v}}"}, {"v": {"a": {"b": [1, {"c": ""}]}}}, **parameters
    )
    assert found == [{"xml": "<a>\n  <b>1</b>\n  <b>\n    <c/>\n  </b>\n</a>"}]
    found = await outputs(
        "xml:TransformToXML", {"object": "{{1.v}}", "root": "list"}, {"v": [1, [2]]}, declaration=False
    )
    assert found == [{"xml": "<list><item>1</item><item><item>2</item></item></list>"}]


@pytest.mark.parametrize("json", ['{"a": {"b": [1, 2]}}', '\ufeff{"a": {"b": [1, 2]}}'])
async def test_json_becomes_xml(json):
    assert await outputs("json:ConvertToXML", {"json": "{{1.j}}"}, {"j": json}) == [
        {"xml": HEAD + "<a><b>1</b><b>2</b></a>"}
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a b": 1}, "'a b' cannot be the name of an XML element or attribute."),
        ({"a><b": 1}, "'a><b' cannot be the name of an XML element or attribute."),
        ({"a": {"_attributes": {"x='1'": 1}}}, "\"x='1'\" cannot be the name of an XML element or attribute."),
        ({"a": "\x00"}, "The value holds control characters"),
        ({"a": "\ud800"}, "The value holds control characters"),
    ],
)
async def test_what_xml_cannot_say_is_refused(value, message):
    found = await error("xml:TransformToXML", {"object": "{{1.v}}"}, {"v": value})
    assert (found.type, found.message[: len(message)]) == ("DataError", message)


def test_depth_number_and_size_of_what_is_written_are_limited():
    deep: object = "x"
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(ModuleError, match="200 levels"):
        write_xml(deep)  # type: ignore[arg-type]
    with pytest.raises(ModuleError, match="200000 elements"):
        write_xml({"a": [1] * 200_001})
    with pytest.raises(ModuleError, match="bytes as text"):
        write_xml({"a": ["x" * 1_000_000] * 100})


@given(st.dictionaries(NAMES, TREES, min_size=1, max_size=1))
def test_what_is_written_is_read_back(tree):
    (root,) = tree.values()
    if isinstance(root, list):
        tree = {"root": {"item": root}}
    for indent in ("", "  "):
        assert read_xml(write_xml(tree, indent=indent).encode(), "It") == plain(tree)


@pytest.mark.parametrize(
    ("xpath", "found"),
    [
        ("/feed/title", ["News"]),
        ("//item/title", ["First", "Second & last", "Third"]),
        ("//item[1]/title", ["First", "Third"]),
        ("(//item)[1]/title", ["First"]),
        ("(//item/title | //note)[last()]", ["Third"]),
        ("(count(//item))", [3]),
        ("/feed/item[last()]/@id", ["2"]),
        ("/feed/item[2]/price", ["12"]),
        ("//item[@id='3']/title", ["Third"]),
        ("//item[price > 10]/@id", ["2"]),
        ("//item[price>=5.5 and price<=5.5]/title/text()", ["First"]),
        ("//item[title='Third' or @lang]/@*", ["1", "en", "3"]),
        ("//item[not(@lang)]/@id", ["2", "3"]),
        ("//item[contains(title, 'last')]/@id", ["2"]),
        ("//item[starts-with(title,'F')]/m:tag", ["a"]),
        ("//*[local-name()='tag']", ["a", "b"]),
        ("//m:*", ["a", "b"]),
        ("//note/..//price", ["12"]),
        ("//title | //price", ["News", "First", "5.5", "Second & last", "12", "Third"]),
        ("//item[position()<2]/@id", ["1", "3"]),
        ("//item[string-length(normalize-space(title)) = 5]/@id", ["1", "3"]),
        ("//item[count(*) = 1]/@id", ["3"]),
        ("//nothing", []),
        ("count(//item)", [3]),
        ("string(//item/title)", ["First"]),
        ("count(//item) > 2", [True]),
        ("//item/@id = 2", [True]),
    ],
)
async def test_queries_find_what_they_describe(xpath, found):
    mapper = {"xml": "{{1.t}}", "xpath": "{{1.q}}"}
    bundles = await outputs("xml:PerformXPathQuery", mapper, {"t": FEED, "q": xpath})
    assert [bundle["value"] for bundle in bundles] == found
    assert [bundle["i"] for bundle in bundles] == list(range(1, len(found) + 1))


async def test_an_element_that_was_found_comes_as_a_value_too():
    mapper = {"xml": "{{1.t}}", "xpath": "/feed/item[1]"}
    (bundle,) = await outputs("xml:PerformXPathQuery", mapper, {"t": FEED})
    assert bundle == {
        "i": 1,
        "name": "item",
        "value": "First5.5a",
        "node": {"_attributes": {"id": "1", "lang": "en"}, "title": "First", "price": "5.5", "m:tag": "a"},
    }


@pytest.mark.parametrize(
    ("xpath", "reason"),
    [
        ("", None),
        ("//", "it ends too early"),
        ("//item[", "it ends too early"),
        ("//item[1", "']' is missing"),
        ("a b", "'b' is not expected there"),
        ("id('x')", "the function id() is not supported"),
        ("following::a", "axes are only known in their short form"),
        ("document('file:///etc/passwd')", "the function document() is not supported"),
        ("$x", "'$x' cannot be read"),
        ("not()", "not() takes 1 to 1 arguments"),
        ("(" * 30 + "1" + ")" * 30, "it nests deeper than 20 levels"),
        ("a" * 1001, "characters"),
    ],
)
async def test_a_query_that_cannot_be_used_says_why(xpath, reason):
    found = await error("xml:PerformXPathQuery", {"xml": "<a/>", "xpath": "{{1.q}}"}, {"q": xpath})
    if reason is None or reason == "characters":
        assert found.type == "BundleValidationError"
    else:
        assert (found.type, reason in found.message) == ("InvalidConfigurationError", True), found.message


@pytest.mark.attack("D12")
@pytest.mark.parametrize("xpath", ["//*//*//*//*", "//a[count(//a)>3]", "//a=//b"])
def test_a_query_that_multiplies_itself_runs_out_of_its_budget(xpath):
    document = read_tree(b"<r>" + b"<a><b>x</b></a>" * 60_000 + b"</r>", "It")
    started = time.thread_time()
    with pytest.raises(BudgetExceeded):
        Query(xpath).run(document, Budget())
    assert time.thread_time() - started < 5
