"""Feeds: RSS 2 and its forerunners, RDF and Atom, read into one kind of article.

Used by `rss`. Feeds come from strangers: entities are not declared or fetched, the number and depth of
elements are bounded, and so is the text of an article. Names of elements are looked up by what they say,
not by the prefix a feed happens to give their namespace.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin
from xml.parsers import expat
from zoneinfo import ZoneInfo

from make_bridge.engine.apps.module import Collection, ErrorType, ModuleError
from make_bridge.engine.dates import parse_date
from make_bridge.engine.values import Value

MAX_ARTICLES: Final = 1000
MAX_ELEMENTS: Final = 100_000
MAX_DEPTH: Final = 100
_MAX_RAW_FIELDS: Final = 50
_MAX_RAW_TEXT: Final = 10_000
_ATOM: Final = "http://www.w3.org/2005/Atom"
_CONTENT: Final = "http://purl.org/rss/1.0/modules/content/"
_DUBLIN_CORE: Final = "http://purl.org/dc/elements/1.1/"
_TERMS: Final = "http://purl.org/dc/terms/"
_MEDIA: Final = "http://search.yahoo.com/mrss/"
_ITUNES: Final = "http://www.itunes.com/dtds/podcast-1.0.dtd"
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_ZONE: Final = ZoneInfo("UTC")
_ROOTS: Final = frozenset({"rss", "RDF", "feed"})


@dataclass(slots=True)
class Element:
    """One element; `space` is its namespace, an empty text without one."""

    space: str
    name: str
    attributes: dict[str, str]
    children: "list[Element]" = field(default_factory=list)
    content: "list[str | Element]" = field(default_factory=list)
    """Texts and children in their order."""

    @property
    def text(self) -> str:
        """The text directly inside, without blanks around it."""
        return "".join(piece for piece in self.content if isinstance(piece, str)).strip()

    def all(self, name: str, space: str | None = None) -> "Iterator[Element]":
        """Yield the children of a name; without a space those of the feed's own language."""
        for child in self.children:
            own = child.space in ("", self.space) or child.space.startswith("http://purl.org/rss/")
            if child.name == name and (child.space == space if space is not None else own):
                yield child

    def first(self, name: str, space: str | None = None) -> str:
        """Return the text of the first child of a name that has any."""
        return next((child.text for child in self.all(name, space) if child.text), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One article: the bundle a module gives, and what it is known by."""

    key: str
    created: datetime | None
    bundle: Collection


class _Refused(Exception):
    """The text is XML, but not of the kind that is read here."""


class _Builder:
    def __init__(self) -> None:
        self.root = Element("", "", {})
        self.open = [self.root]
        self.elements = 0

    def entity(self, *_: object) -> None:
        raise _Refused("it declares entities")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        if self.elements > MAX_ELEMENTS or len(self.open) > MAX_DEPTH:
            raise _Refused("it has too many elements")
        space, _, name = tag.rpartition(" ")
        element = Element(space, name, {key.rpartition(" ")[2]: value for key, value in attributes.items()})
        self.open[-1].children.append(element)
        self.open[-1].content.append(element)
        self.open.append(element)

    def text(self, text: str) -> None:
        self.open[-1].content.append(text)

    def end(self, _tag: str) -> None:
        self.open.pop()


def read_feed(body: bytes, url: str) -> list[Article]:
    """Return the articles in the feed's order; raises DataError for what is no feed."""
    root = next(iter(_parsed(body).children), None)
    if root is None or root.name not in _ROOTS:
        raise ModuleError(ErrorType.DATA, "The address gives no feed: neither RSS nor Atom was found there.")
    if root.name == "feed":
        return [_atom_article(entry, root, url) for entry in _some(root.all("entry"))]
    channel = next(root.all("channel"), root)
    items = [*channel.all("item"), *(root.all("item") if channel is not root else ())]
    return [_rss_article(item, channel, url) for item in items[:MAX_ARTICLES]]


def _some(entries: Iterator[Element]) -> list[Element]:
    return [entry for entry, _ in zip(entries, range(MAX_ARTICLES), strict=False)]


def _parsed(body: bytes) -> Element:
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.EntityDeclHandler = builder.entity
    parser.UnparsedEntityDeclHandler = builder.entity
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(body.lstrip(), True)  # noqa: FBT003  expat's own order: "this was the last piece"
    except (expat.ExpatError, _Refused, ValueError, LookupError) as error:
        raise ModuleError(ErrorType.DATA, "The feed is not XML that can be read.", detail=str(error)) from error
    return builder.root


def _rss_article(item: Element, channel: Element, base: str) -> Article:
    description = item.first("description")
    content = item.first("encoded", _CONTENT)
    link = item.first("link") or item.attributes.get("about", "") or _permanent(item)
    created = _date(item.first("pubDate") or item.first("date", _DUBLIN_CORE) or item.first("issued", _TERMS))
    bundle: Collection = {
        "title": item.first("title"),
        "description": content or description,
        "summary": description or content,
        "author": item.first("creator", _DUBLIN_CORE) or item.first("author") or item.first("author", _ITUNES),
        "url": _absolute(base, link),
        "dateUpdated": _date(item.first("modified", _TERMS)) or created,
        "dateCreated": created,
        "comments": item.first("comments"),
        "image": _image(item) or _channel_image(channel),
        "categories": [category.text for category in item.all("category") if category.text],
        "source": {"title": item.first("source"), "url": _attribute(item, "source", "url")},
        "enclosures": [_enclosure(found, "url") for found in item.all("enclosure")],
        "rssFields": _raw_fields(item),
    }
    return Article(key=item.first("guid") or _key(bundle), created=created, bundle=bundle)


def _permanent(item: Element) -> str:
    """A guid is an address unless it says that it is none."""
    guid = next(item.all("guid"), None)
    return guid.text if guid is not None and guid.attributes.get("isPermaLink") != "false" else ""


def _atom_article(entry: Element, root: Element, base: str) -> Article:
    summary, content = _inner(entry, "summary"), _inner(entry, "content")
    updated = _date(entry.first("updated"))
    created = _date(entry.first("published")) or updated
    authors = [*entry.all("author"), *root.all("author")]
    source = next(entry.all("source"), None)
    bundle: Collection = {
        "title": _inner(entry, "title"),
        "description": content or summary,
        "summary": summary or content,
        "author": next((author.first("name") for author in authors if author.first("name")), ""),
        "url": _absolute(base, _link(entry, "alternate")),
        "dateUpdated": updated,
        "dateCreated": created,
        "comments": _absolute(base, _link(entry, "replies")),
        "image": _image(entry) or ({"url": root.first("logo"), "title": ""} if root.first("logo") else {}),
        "categories": [term for found in entry.all("category") if (term := found.attributes.get("term", ""))],
        "source": {"title": source.first("title") if source else "", "url": _link(source, "self") if source else ""},
        "enclosures": [
            _enclosure(link, "href") for link in entry.all("link") if link.attributes.get("rel") == "enclosure"
        ],
        "rssFields": _raw_fields(entry),
    }
    return Article(key=entry.first("id") or _key(bundle), created=created, bundle=bundle)


def _link(element: Element, relation: str) -> str:
    links = (link.attributes for link in element.all("link") if link.attributes.get("rel", "alternate") == relation)
    return next((attributes["href"] for attributes in links if attributes.get("href")), "")


def _inner(entry: Element, name: str) -> str:
    """Return a text of Atom: as it stands, or the text inside the markup of `type="xhtml"`."""
    found = next(entry.all(name), None)
    if found is None:
        return ""
    if found.attributes.get("type") != "xhtml":
        return found.text
    texts: list[str] = []
    waiting: list[str | Element] = [found]
    while waiting:
        piece = waiting.pop()
        if isinstance(piece, str):
            texts.append(piece)
        else:
            waiting.extend(reversed(piece.content))
    return " ".join("".join(texts).split())


def _enclosure(element: Element, address: str) -> Value:
    attributes = element.attributes
    length = attributes.get("length", "")
    return {
        "url": attributes.get(address, ""),
        "type": attributes.get("type", ""),
        "length": int(length) if length.isascii() and length.isdigit() and len(length) < 16 else None,  # noqa: PLR2004
    }


def _image(element: Element) -> Collection:
    for name, space in (("thumbnail", _MEDIA), ("image", _ITUNES), ("content", _MEDIA)):
        for found in element.all(name, space):
            url = found.attributes.get("url") or found.attributes.get("href")
            if url and (name != "content" or found.attributes.get("medium", "image") == "image"):
                return {"url": url, "title": found.attributes.get("title", "")}
    return {}


def _channel_image(channel: Element) -> Collection:
    found = next(channel.all("image"), None)
    return {} if found is None else {"url": found.first("url"), "title": found.first("title")}


def _attribute(element: Element, name: str, attribute: str) -> str:
    return next((child.attributes.get(attribute, "") for child in element.all(name)), "")


def _raw_fields(element: Element) -> Collection:
    """Return what stands in the article itself, by name: the way to fields of a feed's own."""
    found: Collection = {}
    for child in element.children[:_MAX_RAW_FIELDS]:
        if child.text:
            found.setdefault(child.name, child.text[:_MAX_RAW_TEXT])
    return found


def _absolute(base: str, link: str) -> str:
    try:
        return urljoin(base, link) if link else ""
    except ValueError:
        return link


def _key(bundle: Collection) -> str:
    return str(bundle["url"] or bundle["title"])


def _date(text: str) -> datetime | None:
    """Return a date of RSS (RFC 822) or of Atom (RFC 3339); without a zone it is in UTC."""
    if not text:
        return None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return parse_date(text, _ZONE)
    try:
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
