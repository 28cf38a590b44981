"""The app rss: feeds of every kind, read safely, and a trigger that gives each article once."""

from typing import Any

import pytest

from make_bridge.engine.apps.feed import MAX_ELEMENTS, read_feed
from make_bridge.engine.apps.module import ModuleError
from make_bridge.engine.runner.run import run
from support.blueprints import module, program, request
from support.scripted import Answer, make_world

URL = "https://news.example/feed.xml"
RSS = b"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:media="http://search.yahoo.com/mrss/" xmlns:own="urn:own">
<channel><title>News</title><image><url>https://news.example/logo.png</url><title>Logo</title></image>
<item><title>Second &amp; last</title><link>/2</link><guid isPermaLink="false">id-2</guid>
 <pubDate>Sun, 22 Nov 2026 11:00:00 +0100</pubDate><description>Short</description>
 <content:encoded><![CDATA[<p>Long</p>]]></content:encoded><dc:creator>Ada</dc:creator>
 <category>A</category><category domain="x">B</category><comments>https://news.example/2#c</comments>
 <source url="https://other.example/feed">Other</source>
 <enclosure url="https://news.example/2.mp3" type="audio/mpeg" length="12"/>
 <media:thumbnail url="https://news.example/2.png"/><own:price>12</own:price></item>
<item><title>First</title><guid>https://news.example/1</guid><pubDate>Sat, 21 Nov 2026 10:00:00 GMT</pubDate></item>
</channel></rss>"""
ATOM = """<?xml version="1.0" encoding="iso-8859-1"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title><author><name>Feed author</name></author>
<entry><title type="html">Gr\u00fc\u00dfe</title><id>urn:1</id><link href="https://a.example/1"/>
 <link rel="enclosure" href="https://a.example/1.bin" type="application/x" length="none"/>
 <updated>2026-11-22T10:00:00.5Z</updated><published>2026-11-21T10:00:00+02:00</published>
 <summary>Sum</summary><content type="xhtml">
 <div xmlns="http://www.w3.org/1999/xhtml">A <b>bold</b> text</div></content>
 <category term="x"/></entry></feed>""".encode("latin-1")
RDF = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="https://r.example"><title>R</title></channel>
<item rdf:about="https://r.example/1"><title>One</title><link>https://r.example/1</link><dc:date>2026-11-20</dc:date>
</item></rdf:RDF>"""


def bundle(body: bytes, number: int = 0) -> dict[str, Any]:
    return read_feed(body, URL)[number].bundle


def test_rss_is_read_whole():
    first = bundle(RSS)
    assert first.pop("dateCreated").isoformat() == "2026-11-22T10:00:00+00:00"
    assert first.pop("dateUpdated").isoformat() == "2026-11-22T10:00:00+00:00"
    assert first.pop("rssFields")["price"] == "12"
    assert first == {
        "title": "Second & last",
        "description": "<p>Long</p>",
        "summary": "Short",
        "author": "Ada",
        "url": "https://news.example/2",
        "comments": "https://news.example/2#c",
        "image": {"url": "https://news.example/2.png", "title": ""},
        "categories": ["A", "B"],
        "source": {"title": "Other", "url": "https://other.example/feed"},
        "enclosures": [{"url": "https://news.example/2.mp3", "type": "audio/mpeg", "length": 12}],
    }
    second = bundle(RSS, 1)
    assert second["url"] == "https://news.example/1"
    assert second["image"] == {"url": "https://news.example/logo.png", "title": "Logo"}


def test_atom_is_read_in_its_own_charset():
    entry = bundle(ATOM)
    assert (entry["title"], entry["author"], entry["url"]) == ("Grüße", "Feed author", "https://a.example/1")
    assert (entry["summary"], entry["description"]) == ("Sum", "A bold text")
    assert entry["dateCreated"].isoformat() == "2026-11-21T08:00:00+00:00"
    assert entry["dateUpdated"].isoformat() == "2026-11-22T10:00:00.500000+00:00"
    assert entry["enclosures"] == [{"url": "https://a.example/1.bin", "type": "application/x", "length": None}]
    assert entry["categories"] == ["x"]


def test_rdf_keeps_its_items_beside_the_channel():
    item = bundle(RDF)
    assert (item["title"], item["url"]) == ("One", "https://r.example/1")
    assert item["dateCreated"].isoformat() == "2026-11-20T00:00:00+00:00"


ITEM = b"<rss><channel><item><title>&b;</title></item></channel></rss>"
BOMB = b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + ITEM
OUTSIDE = b'<!DOCTYPE r [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + ITEM


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (BOMB, "entities"),
        (OUTSIDE, "entities"),
        (b"<rss><channel>" + b"<item/>" * (MAX_ELEMENTS + 1) + b"</channel></rss>", "too many"),
        (b"<rss>" * 200 + b"</rss>" * 200, "too many"),
        (b"<rss><channel>", "no element"),
        (b"", "no element"),
    ],
)
def test_xml_that_is_not_safe_or_whole_is_refused(body, said):
    with pytest.raises(ModuleError) as caught:
        read_feed(body, URL)
    assert (caught.value.error_type, said in str(caught.value.detail)) == ("DataError", True)


def test_a_document_type_without_entities_is_nothing_to_fear():
    assert (
        bundle(b'<!DOCTYPE rss PUBLIC "-//N//DTD" "http://x.example/rss.dtd">' + RSS[39:])["title"] == "Second & last"
    )


def test_a_page_that_is_no_feed_says_so():
    with pytest.raises(ModuleError, match="gives no feed"):
        read_feed(b"<html><body/></html>", URL)


def feed(*numbers: int, dated: bool = True) -> bytes:
    items = [
        f"<item><title>{number}</title><guid>g{number}</guid>"
        + (f"<pubDate>Sun, 22 Nov 2026 10:{number:02}:00 GMT</pubDate>" if dated else "")
        + "</item>"
        for number in sorted(numbers, reverse=True)
    ]
    return f"<rss><channel>{''.join(items)}</channel></rss>".encode()


async def _read(mapper: dict[str, Any], body: bytes = RSS):
    made = program(module(1, "rss:ActionReadArticles", {"url": URL, **mapper}, version=4, parameters={"include": []}))
    world = make_world([Answer(body=body)])
    result = await run(made, request(), world.ports)
    return result, world


@pytest.mark.parametrize(
    ("mapper", "titles"),
    [
        ({}, ["3", "2", "1"]),
        ({"maxResults": "2"}, ["3", "2"]),
        ({"filterDateFrom": "2026-11-22T10:02:00Z"}, ["3", "2"]),
        ({"filterDateFrom": "", "filterDateTo": "2026-11-22T10:02:00Z"}, ["2", "1"]),
    ],
)
async def test_articles_are_read_in_the_feeds_order_within_what_was_asked(mapper, titles):
    result, _ = await _read(mapper, feed(1, 2, 3))
    assert [article["title"] for article in result.steps[0].outputs] == titles


async def test_a_log_in_and_the_way_of_compression_go_along():
    _, world = await _read({"username": "u", "password": "p", "gzip": False})
    headers = dict(world.target.requests[0].headers)
    assert (headers["Authorization"], headers["Accept-Encoding"]) == ("Basic dTpw", "identity")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(status=404), "DataError"),
        (Answer(status=503), "ConnectionError"),
        (Answer(fail="too_large"), "MaxFileSizeExceededError"),
        (Answer(fail="refused"), "InvalidConfigurationError"),
    ],
)
async def test_a_feed_that_cannot_be_fetched_is_an_error_of_its_kind(answer, error):
    made = program(module(1, "rss:ActionReadArticles", {"url": URL}, version=4))
    result: Any = await run(made, request(), make_world([answer]).ports)
    assert result.error.type == error


class Watch:
    """A scenario that watches a feed, from run to run."""

    def __init__(self, **parameters: Any) -> None:
        self.program = program(
            module(1, "rss:TriggerNewArticle", {}, version=4, parameters={"url": URL, "maxResults": 10, **parameters})
        )
        self.memory: dict[int, Any] = {}
        self.headers: dict[str, str] = {}

    async def look(self, body: bytes, *, status: int = 200, tag: str = "") -> list[str]:
        answer = Answer(body=body, status=status, headers=(("ETag", tag),) if tag else ())
        world = make_world([answer])
        result: Any = await run(self.program, request(memory=dict(self.memory)), world.ports)
        self.headers = dict(world.target.requests[0].headers)
        if result.error is None:
            self.memory |= result.memory
        return [article["title"] for article in result.steps[0].outputs] if result.steps else []


@pytest.mark.parametrize("dated", [True, False])
async def test_each_article_is_given_once_oldest_first(dated):
    watch = Watch()
    assert await watch.look(feed(1, 2, dated=dated)) == ["1", "2"]
    assert await watch.look(feed(1, 2, dated=dated)) == []
    assert await watch.look(feed(2, 3, 4, dated=dated)) == ["3", "4"]
    assert await watch.look(feed(3, 4, dated=dated)) == []


async def test_the_first_run_gives_the_newest_and_counts_the_rest_as_seen():
    watch = Watch(maxResults=2)
    assert await watch.look(feed(1, 2, 3, 4)) == ["3", "4"]
    assert await watch.look(feed(1, 2, 3, 4)) == []


async def test_more_than_fit_one_run_are_given_by_the_next():
    watch = Watch(maxResults="2")
    await watch.look(feed(1))
    assert await watch.look(feed(1, 2, 3, 4), tag="x") == ["2", "3"]
    assert await watch.look(feed(1, 2, 3, 4), tag="x") == ["4"]
    assert "If-None-Match" not in watch.headers
    assert await watch.look(b"", status=304) == []
    assert watch.headers["If-None-Match"] == "x"


async def test_a_feed_that_shows_more_of_its_past_gives_nothing_old():
    watch = Watch()
    await watch.look(feed(5, 6))
    assert await watch.look(feed(1, 2, 3, 5, 6)) == []


async def test_an_article_that_was_dated_back_a_little_is_not_lost():
    watch = Watch()
    await watch.look(feed(2, 6))
    assert await watch.look(feed(2, 4, 6)) == ["4"]


async def test_a_run_that_fails_gives_its_articles_again():
    watch = Watch()
    await watch.look(feed(1))
    assert await watch.look(b"broken") == []
    assert await watch.look(feed(1, 2)) == ["2"]
