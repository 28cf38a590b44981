"""The app `rss`: articles of feeds, read once or watched for new ones.

Feeds are fetched through the same port as every other call (`http_calls`) and read by `feed`. The trigger
remembers, from run to run, which articles it gave out: dates alone would lose an article that was dated
back, and identifiers alone would give out old ones again when a feed shows more of its past.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from make_bridge.engine.apps.feed import Article, read_feed
from make_bridge.engine.apps.fields import Bounds, Field
from make_bridge.engine.apps.http_headers import header_value
from make_bridge.engine.apps.http_request import basic_header, checked_url
from make_bridge.engine.apps.http_response import failure_error, status_error
from make_bridge.engine.apps.module import Collection, Effect, Kind, ModuleCall, ModuleSpec
from make_bridge.engine.dates import iso_text
from make_bridge.engine.ports import Headers, HttpFailure, HttpRequest, HttpResponse
from make_bridge.engine.values import Value, to_date, to_number, to_text

MAX_FEED: Final = 8 * 1024 * 1024
DEFAULT_RESULTS: Final = 10
MAX_RESULTS: Final = 1000
_REMEMBERED: Final = 2000
_TIMEOUT: Final = 40.0
_NOT_MODIFIED: Final = 304
_ACCEPT: Final = "application/rss+xml, application/atom+xml, application/rdf+xml, application/xml;q=0.9, text/xml;q=0.9"


async def _read_articles(call: ModuleCall) -> list[Collection]:
    """rss:ActionReadArticles."""
    given = call.input
    response = await _fetch(call, given, ())
    zone = call.host.timezone
    since, until = (
        None if given.get(name) in (None, "") else to_date(given[name], zone)
        for name in ("filterDateFrom", "filterDateTo")
    )
    found = [article for article in _articles(response) if _is_between(article.created, since, until)]
    return [article.bundle for article in found[: _limit(given)]]


async def _new_articles(call: ModuleCall) -> list[Collection]:
    """rss:TriggerNewArticle: what was not given out before, oldest first."""
    parameters = call.parameters
    known = call.host.remembered(call.module_id)
    memory = known if isinstance(known, dict) else None
    tag = to_text(memory.get("tag")) if memory is not None else ""
    response = await _fetch(call, parameters, (("If-None-Match", tag),) if tag else ())
    if response.status == _NOT_MODIFIED and memory is not None:
        return []
    articles, limit = _articles(response), _limit(parameters)
    fresh = articles if memory is None else _unseen(articles, memory)
    in_order = _oldest_first(fresh)
    given = in_order[-limit:] if memory is None else in_order[:limit]
    done = in_order if memory is None else given
    kept = _memory(memory or {}, articles, done)
    if len(done) == len(in_order):
        kept["tag"] = header_value(response.headers, "etag")
    call.host.remember(call.module_id, kept)
    return [article.bundle for article in given]


def _oldest_first(articles: Sequence[Article]) -> list[Article]:
    """Feeds put the newest first; where dates say otherwise, dates decide."""
    in_order = list(articles)
    in_order.reverse()
    in_order.sort(key=lambda article: "" if article.created is None else iso_text(article.created))
    return in_order


def _unseen(articles: Sequence[Article], memory: Collection) -> list[Article]:
    seen = memory.get("seen")
    keys = set(seen) if isinstance(seen, list) else set()
    since = to_text(memory.get("since"))
    return [
        article
        for article in articles
        if _digest(article) not in keys and (article.created is None or iso_text(article.created) >= since)
    ]


def _memory(memory: Collection, articles: Sequence[Article], done: Sequence[Article]) -> Collection:
    """Return what the next run needs: which were given out, and from when on an unknown one is new."""
    seen = memory.get("seen")
    before = seen if isinstance(seen, list) else []
    here = {_digest(article) for article in articles}
    # What the feed still shows comes last: what is forgotten must not be there to be found again.
    digests: list[Value] = [
        *(digest for digest in before if digest not in here),
        *(digest for digest in before if digest in here),
        *(_digest(article) for article in done),
    ]
    dates = [iso_text(article.created) for article in articles if article.created is not None]
    return {"seen": digests[-_REMEMBERED:], "since": min(dates) if dates else to_text(memory.get("since"))}


def _digest(article: Article) -> str:
    return hashlib.sha256(article.key.encode("utf-8", "replace")).hexdigest()[:16]


def _is_between(date: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    if date is None:
        return since is None and until is None
    return (since is None or date >= since) and (until is None or date <= until)


def _limit(given: Collection) -> int:
    wanted = given.get("maxResults")
    if wanted in (None, ""):
        return DEFAULT_RESULTS
    return min(max(int(to_number(wanted)), 1), MAX_RESULTS)


def _articles(response: HttpResponse) -> list[Article]:
    return read_feed(response.body, response.url)


async def _fetch(call: ModuleCall, given: Collection, headers: Headers) -> HttpResponse:
    user = to_text(given.get("username"))
    url = checked_url(given.get("url"))
    if user:
        headers = (*headers, ("Authorization", basic_header(user, to_text(given.get("password")))))
    if given.get("gzip") is False:
        headers = (*headers, ("Accept-Encoding", "identity"))
    request = HttpRequest(
        method="GET",
        url=url,
        headers=(("Accept", _ACCEPT), *headers),
        timeout=_TIMEOUT,
        max_bytes=min(MAX_FEED, call.host.http_max_bytes),
    )
    try:
        response = await call.host.ports.http.send(request)
    except HttpFailure as failure:
        raise failure_error(failure) from failure
    call.transfer += len(response.body)
    error = status_error(response, with_credential=bool(user), now=call.host.ports.clock.now())
    if error is not None:
        raise error
    return (
        response
        if response.url
        else HttpResponse(status=response.status, headers=response.headers, body=response.body, url=url)
    )


_URL: Final = Field(name="url", type="url", label="URL", required=True, help="The address of an RSS, RDF or Atom feed.")
_LOGIN: Final = (
    Field(name="username", type="text", label="User name", advanced=True),
    Field(name="password", type="password", label="Password", advanced=True),
)
_LIMIT: Final = Field(
    name="maxResults",
    type="uinteger",
    label="Maximum number of returned items",
    default=DEFAULT_RESULTS,
    validate=Bounds(min=1, max=MAX_RESULTS),
)
_INCLUDE: Final = Field(
    name="include",
    type="array",
    label="Process RSS fields",
    help="Kept as it is: all fields are read.",
    spec=(Field(name="value", type="text"),),
    scalar_items=True,
    advanced=True,
)
_GZIP: Final = Field(name="gzip", type="boolean", label="Request compressed content", default=True, advanced=True)
_FILE: Final = (
    Field(name="url", type="url", label="URL"),
    Field(name="type", type="text", label="Type"),
    Field(name="length", type="number", label="Length"),
)
_PICTURE: Final = (Field(name="url", type="url", label="URL"), Field(name="title", type="text", label="Title"))
_ARTICLE: Final = (
    Field(name="title", type="text", label="Title"),
    Field(name="description", type="text", label="Description"),
    Field(name="summary", type="text", label="Summary"),
    Field(name="author", type="text", label="Author"),
    Field(name="url", type="url", label="URL"),
    Field(name="dateUpdated", type="date", label="Date updated"),
    Field(name="dateCreated", type="date", label="Date created"),
    Field(name="comments", type="text", label="Comments"),
    Field(name="image", type="collection", label="Image", spec=_PICTURE),
    Field(
        name="categories", type="array", label="Categories", spec=(Field(name="value", type="text"),), scalar_items=True
    ),
    Field(name="source", type="collection", label="Source", spec=_PICTURE),
    Field(name="enclosures", type="array", label="Enclosures", spec=_FILE),
    Field(name="rssFields", type="collection", label="RSS fields"),
)

MODULES: Final = (
    ModuleSpec(
        name="rss:TriggerNewArticle",
        label="Watch RSS feed items",
        kind=Kind.TRIGGER,
        versions=(4,),
        help="Gives the articles that are new since the last run, oldest first; the first run gives the newest ones.",
        parameters=(_URL, _LIMIT, *_LOGIN, _INCLUDE, _GZIP),
        output=_ARTICLE,
        perform=_new_articles,
        effect=Effect.READ,
        remembers=True,
    ),
    ModuleSpec(
        name="rss:ActionReadArticles",
        label="Retrieve RSS feed items",
        kind=Kind.ACTION,
        versions=(4,),
        help="Gives the articles of a feed, in the feed's order.",
        parameters=(_INCLUDE,),
        mapper=(
            _URL,
            *_LOGIN,
            Field(name="filterDateFrom", type="date", label="Date from"),
            Field(name="filterDateTo", type="date", label="Date to"),
            _LIMIT,
            _GZIP,
        ),
        output=_ARTICLE,
        perform=_read_articles,
        effect=Effect.READ,
    ),
)
