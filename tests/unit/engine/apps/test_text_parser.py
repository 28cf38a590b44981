"""The text parser's finders, the encoding converter, and how JSON keeps what it reads."""

import time

import pytest

from make_bridge.engine.apps import json as json_app
from make_bridge.engine.apps import regexp
from make_bridge.engine.apps.html_text import html_to_text
from make_bridge.engine.apps.json_text import write
from make_bridge.engine.apps.module import ModuleError
from make_bridge.engine.apps.text_elements import find_elements
from support.one_module import collected, error, outputs

PAGE = """<p>See <a href="/a?x=1&amp;y=2" title='T "q"' target=_blank>the <b>first</b>
 link</a>, <A HREF='/b'>second <img src=i.png alt="An &lt;i&gt;"></A> and <a name=anchor>no link</a></p>
<!-- <a href="/comment">no</a> --><script>document.write('<a href="/script">no</a>')</script>
<iframe src="https://v.example/1" width="560"></iframe><img><img src="data:image/png;base64,AA" width=1 height=2>
<a href="/unclosed">open end"""


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("email", "Ann <ann.lee+x@mail.example.org>, bob@b.co. no@where", ["ann.lee+x@mail.example.org", "bob@b.co"]),
        ("url", "(see https://a.b/c?d=e#f), or ftp://x.y/z. www.no", ["https://a.b/c?d=e#f", "ftp://x.y/z"]),
        ("number", "a 12 b -3.5 c 1e3, .5", [12, -3.5, 1000, 0.5]),
        ("phone", "call +49 (30) 123-45 67 or 12", ["+49 (30) 123-45 67"]),
        ("ipv4", "10.0.0.1 and 256.1.1.1 and 1.2.3", ["10.0.0.1"]),
        ("uuid", "id 123E4567-e89b-12d3-a456-426614174000!", ["123E4567-e89b-12d3-a456-426614174000"]),
        ("date", "on 2026-11-22 or 2026-01-02T03:04:05.678Z", ["2026-11-22", "2026-01-02T03:04:05.678Z"]),
        ("hashtag", "#news #Grüße_1 # no", ["#news", "#Grüße_1"]),
        ("mention", "hi @ann_1!", ["@ann_1"]),
    ],
)
async def test_presets_find_what_they_are_named_for(pattern, text, found):
    bundles = await outputs("regexp:GetElementsFromText", {"text": "{{1.t}}"}, {"t": text}, pattern=pattern)
    assert bundles == [{"i": number, "match": match} for number, match in enumerate(found, 1)]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("regexp:GetElementsFromText", {"pattern": "email"}), ("regexp:GetElementsFromHTML", {"type": "link"})],
)
async def test_finding_nothing_ends_the_path_unless_told_otherwise(name, parameters):
    mapper = {"text": "none", "html": "none"}
    assert await outputs(name, mapper, **parameters) == []
    assert await outputs(name, mapper, continueWhenNoRes="true", **parameters) == [{}]


async def test_links_come_with_their_text_and_only_when_they_lead_somewhere():
    found = await outputs("regexp:GetElementsFromHTML", {"html": "{{1.h}}"}, {"h": PAGE}, type="link")
    assert [(link["i"], link["href"], link["text"]) for link in found] == [
        (1, "/a?x=1&y=2", "the first link"),
        (2, "/b", "second"),
        (3, "/unclosed", "open end"),
    ]
    assert found[0] | {"title": 'T "q"', "target": "_blank", "rel": None} == found[0]


async def test_images_and_frames_come_with_their_attributes():
    images = await outputs("regexp:GetElementsFromHTML", {"html": "{{1.h}}"}, {"h": PAGE}, type="image")
    assert images == [
        {"i": 1, "src": "i.png", "alt": "An <i>", "title": None, "width": None, "height": None},
        {"i": 2, "src": "data:image/png;base64,AA", "alt": None, "title": None, "width": "1", "height": "2"},
    ]
    frames = await outputs("regexp:GetElementsFromHTML", {"html": "{{1.h}}"}, {"h": PAGE}, type="iframe")
    assert frames == [{"i": 1, "src": "https://v.example/1", "title": None, "width": "560", "height": None}]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("regexp:GetElementsFromText", {"pattern": "soul"}), ("regexp:GetElementsFromHTML", {"type": "soul"})],
)
async def test_looking_for_something_unknown_is_wrongly_set_up(name, parameters):
    found = await error(name, {"text": "x", "html": "x"}, **parameters)
    assert (found.type, "'soul' to look for" in found.message) == ("InvalidConfigurationError", True)


async def test_finds_and_html_have_limits():
    many = "<img src=x>" * (regexp.MAX_FOUND + 1)
    mapper = {"html": "{{1.h}}"}
    assert (await error("regexp:GetElementsFromHTML", mapper, {"h": many}, type="image")).type == (
        "MaxResultsExceededError"
    )
    large = "x" * (regexp.MAX_HTML + 1)
    assert (await error("regexp:GetElementsFromHTML", mapper, {"h": large}, type="image")).type == (
        "MaxFileSizeExceededError"
    )
    assert (await error("regexp:HTMLToText", mapper, {"h": large})).type == "MaxFileSizeExceededError"


@pytest.mark.parametrize(
    "piece", ["<a", '<a href="', "<a href='x\">", "<a x=1 ", "<!--", "<script>", "</script", "<a =\"'>", '="', "<a b>"]
)
def test_broken_markup_costs_no_more_than_its_length(piece):
    source = piece * (1_000_000 // len(piece))
    started = time.thread_time()
    assert len(list(find_elements("link", source))) <= len(source)
    html_to_text(source)
    assert time.thread_time() - started < 10


def test_a_sign_inside_quotes_does_not_end_a_tag():
    assert html_to_text('<a title="1 > 0" href=x>ok</a> <b title="open>still</b>') == "ok still"
    assert html_to_text('it\'s <b>5</b> > 4 and "6" < 7') == 'it\'s 5 > 4 and "6" < 7'


@pytest.mark.parametrize(
    ("mapper", "given", "data"),
    [
        ({}, "é", b"\xc3\xa9"),
        ({"outputCodepage": "iso-8859-1"}, "é€", b"\xe9?"),
        ({"outputCodepage": "Windows-1252"}, "é€", b"\xe9\x80"),
        ({"inputCodepage": "windows-1250", "outputAs": "text"}, b"\x9elu\x9d", "žluť"),
        ({"inputCodepage": "utf-16le", "outputCodepage": "shift_jis"}, "日".encode("utf-16le"), b"\x93\xfa"),
        ({"outputAs": "text"}, b"\xef\xbb\xbfx", "x"),
        ({"outputAs": "text"}, 5, "5"),
        ({}, "\ud800", "\ufffd".encode()),
    ],
)
async def test_text_is_read_in_one_codepage_and_written_in_another(mapper, given, data):
    assert await outputs("util:ConvertEncoding", {"data": "{{1.d}}", **mapper}, {"d": given}) == [{"data": data}]


@pytest.mark.parametrize(
    ("mapper", "given", "kind", "message"),
    [
        ({"inputCodepage": "utf-8"}, b"\xff", "DataError", "The data is not utf-8: byte 0 does not fit."),
        (
            {"outputCodepage": "us-ascii", "replaceUnknown": False},
            "é",
            "DataError",
            "The character 'é' does not exist in us-ascii.",
        ),
        ({"outputCodepage": "zlib"}, "x", "InvalidConfigurationError", "The codepage 'zlib' is not known."),
        ({"inputCodepage": "unicode_escape"}, b"x", "InvalidConfigurationError", None),
        ({"inputCodepage": "idna"}, b"x", "InvalidConfigurationError", None),
    ],
)
async def test_what_a_codepage_cannot_hold_is_named(mapper, given, kind, message):
    found = await error("util:ConvertEncoding", {"data": "{{1.d}}", **mapper}, {"d": given})
    assert found.type == kind
    assert message is None or found.message == message


async def test_one_value_in_many_places_is_measured_before_it_becomes_text():
    shared = ["x" * 1_000_000] * 200
    for name, mapper in (
        ("util:ComposeTransformer", {"value": "{{1.v}}"}),
        ("json:TransformToJSON", {"object": "{{1.v}}"}),
        ("json:CreateJSON", {"a": "{{1.v}}"}),
        ("xml:CreateXML", {"a": "{{1.v}}"}),
    ):
        assert (await error(name, mapper, {"v": shared})).type == "MaxFileSizeExceededError", name


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"n": 0.1}', 0.1),
        ('{"n": 12345678901.25}', 12345678901.25),
        ('{"n": 9007199254740991}', 9007199254740991),
        ('{"n": 9007199254740993}', 9007199254740992),
        ('{"n": 1e2}', 100),
        ('{"n": -0.0}', 0),
        ('{"n": 1e-7}', 1e-7),
        ('{"n": "007"}', "007"),
        ('{"n": null, "unknown": {"deep": [1]}}', None),
    ],
)
async def test_json_keeps_numbers_as_doubles_and_every_key(text, value):
    (bundle,) = await outputs("json:ParseJSON", {"json": "{{1.t}}"}, {"t": text}, type=197771)
    assert bundle["n"] == value
    assert set(bundle) == ({"n", "unknown"} if "unknown" in text else {"n"})


async def test_json_that_is_parsed_already_passes_and_a_mark_before_it_is_skipped():
    assert await outputs("json:ParseJSON", {"json": "{{1.t}}"}, {"t": {"a": [1]}}) == [{"a": [1]}]
    assert await outputs("json:ParseJSON", {"json": "{{1.t}}"}, {"t": [{"a": 1}, {"a": 2}]}) == [{"a": 1}, {"a": 2}]
    assert await outputs("json:ParseJSON", {"json": "{{1.t}}"}, {"t": '\ufeff{"a": 1}'}) == [{"a": 1}]
    assert await outputs("json:ParseJSON", {"json": "{{1.t}}"}, {"t": b'\xef\xbb\xbf{"a": 1}'}) == [{"a": 1}]


async def test_json_is_measured_before_it_is_read():
    found = await error("json:ParseJSON", {"json": "{{1.t}}"}, {"t": "1" * (json_app.MAX_CHARACTERS + 1)})
    assert found.type == "MaxFileSizeExceededError"


async def test_items_of_a_structure_leave_out_what_was_not_filled_in():
    mapper = {"a": "{{2.a}}", "b": "{{2.b}}"}
    found = await collected("json:AggregateToJSON", mapper, [{"a": 1}, {"b": 2}], type=7, space="")
    assert found == {"json": '[{"a":1},{"b":2}]'}


def test_json_of_any_size_is_not_written():
    with pytest.raises(ModuleError, match="bytes as text"):
        write(["x" * 1_000_000] * 100)
