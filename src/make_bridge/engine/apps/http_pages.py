"""Pages: asking an address again and again until it has no more.

Used by `http_calls` when http:MakeRequest names a kind of pagination. Each page is a bundle. Where the
next one is comes from the module's own counting (offset, page number) or from the answer (an address,
a token). All pages together stay within the limits of one answer: bytes, time, and a number of pages;
and since credentials go along, an answer can only lead to further pages of its own host.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urljoin, urlsplit

from make_bridge.engine.apps.http_request import MAX_TIMEOUT, Outline
from make_bridge.engine.apps.http_response import data_of, header_collection
from make_bridge.engine.apps.module import Collection, ErrorType, ModuleCall, ModuleError
from make_bridge.engine.ports import HttpResponse
from make_bridge.engine.values import Value, to_number, to_text

Fetch = Callable[[Outline, int, int], Awaitable[tuple[Collection, HttpResponse]]]
"""Takes a request, the page's number and the bytes received before; gives the page's bundle and answer."""

DEFAULT_PAGES: Final = 10
MAX_PAGES: Final = 100
_SUCCESS: Final = range(200, 300)
_NEXT_LINK: Final = re.compile(r"<([^<>]*)>[^,<]*;\s*rel=\"?next\"?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How this module finds its next page."""

    kind: str
    parameter: str
    start: int
    limit: int
    limit_parameter: str
    items: str
    following: str
    most: int


async def pages_of(call: ModuleCall, outline: Outline, fetch: Fetch) -> list[Collection]:
    """Return a bundle per page, in order."""
    plan = _plan(call.input)
    clock = call.host.ports.clock
    until = clock.monotonic() + MAX_TIMEOUT
    bundles: list[Collection] = []
    seen: set[str] = set()
    received = 0
    page: Outline | None = _first_page(plan, outline)
    while page is not None:
        bundle, response = await fetch(page, len(bundles) + 1, received)
        answer: Collection = {"data": data_of(response, parse=True), "headers": header_collection(response)}
        if bundles and _is_empty(plan, answer):
            break
        bundles.append(bundle)
        received += len(response.body)
        page = _next_page(plan, outline, answer, response, len(bundles), seen)
        if page is not None and len(bundles) >= plan.most:
            call.host.warn(call.module_id, f"There are more pages than the {plan.most} that were read.")
            break
        if clock.monotonic() > until:
            raise ModuleError(ErrorType.TIMEOUT, f"Reading all pages took longer than {MAX_TIMEOUT} seconds.")
    return bundles


def _plan(given: Collection) -> _Plan:
    kind = to_text(given.get("paginationType"))
    defaults = {"offsetBased": "offset", "pageBased": "page", "urlBased": "", "tokenBased": "page_token"}
    if kind not in defaults:
        raise ModuleError(ErrorType.CONFIGURATION, f"{kind!r} is not a kind of pagination this module knows.")
    following = to_text(given.get("paginationNext"))
    if kind == "tokenBased" and not following:
        raise ModuleError(ErrorType.CONFIGURATION, "Say where in the response the token of the next page is.")
    return _Plan(
        kind=kind,
        parameter=to_text(given.get("paginationParameter")) or defaults[kind],
        start=_count(given.get("paginationStart"), 1 if kind == "pageBased" else 0),
        limit=_count(given.get("paginationLimit"), 100 if kind == "offsetBased" else 0),
        limit_parameter=to_text(given.get("paginationLimitParameter")) or "limit",
        items=to_text(given.get("paginationItems")),
        following=following,
        most=min(max(_count(given.get("paginationMaxPages"), DEFAULT_PAGES), 1), MAX_PAGES),
    )


def _count(value: Value, otherwise: int) -> int:
    return otherwise if value is None or value == "" else max(int(to_number(value)), 0)


def _first_page(plan: _Plan, outline: Outline) -> Outline:
    return outline if plan.kind in ("urlBased", "tokenBased") else _counted(plan, outline, plan.start)


def _counted(plan: _Plan, outline: Outline, number: int) -> Outline:
    query = _with(outline.query, plan.parameter, str(number))
    return replace(outline, query=_with(query, plan.limit_parameter, str(plan.limit)) if plan.limit else query)


def _with(query: tuple[tuple[str, str], ...], name: str, value: str) -> tuple[tuple[str, str], ...]:
    return (*(pair for pair in query if pair[0] != name), (name, value))


def _next_page(
    plan: _Plan, outline: Outline, answer: Collection, response: HttpResponse, count: int, seen: set[str]
) -> Outline | None:
    if response.status not in _SUCCESS:
        return None
    match plan.kind:
        case "offsetBased" | "pageBased":
            items = _items(plan, answer)
            if not items or (plan.limit and len(items) < plan.limit):
                return None
            step = plan.limit if plan.kind == "offsetBased" else 1
            return _counted(plan, outline, plan.start + count * max(step, 1))
        case "tokenBased":
            token = to_text(_at(answer, plan.following))
            return replace(outline, query=_with(outline.query, plan.parameter, token)) if _is_new(token, seen) else None
        case _:
            address = to_text(_at(answer, plan.following)) if plan.following else _linked(response)
            return _at_address(outline, response, address) if _is_new(address, seen) else None


def _is_new(text: str, seen: set[str]) -> bool:
    """An answer that leads back to a page that was read would lead round for ever."""
    if not text or text in seen:
        return False
    seen.add(text)
    return True


def _linked(response: HttpResponse) -> str:
    found = (_NEXT_LINK.search(value) for name, value in response.headers if name.lower() == "link")
    return next((link.group(1) for link in found if link is not None), "")


def _at_address(outline: Outline, response: HttpResponse, address: str) -> Outline:
    """Return the request for the address an answer gave; it holds its own query."""
    try:
        url = urljoin(response.url or outline.url, address)
        here, there = urlsplit(outline.url), urlsplit(url)
        same = (here.scheme.lower(), here.netloc.lower()) == (there.scheme.lower(), there.netloc.lower())
    except ValueError:
        same, url = False, ""
    if not same:
        raise ModuleError(ErrorType.DATA, "The next page is on another host, where this module's request does not go.")
    return replace(outline, url=url, query=())


def _is_empty(plan: _Plan, answer: Collection) -> bool:
    return plan.kind in ("offsetBased", "pageBased") and not _items(plan, answer)


def _items(plan: _Plan, answer: Collection) -> list[Value]:
    """Return the items of a page: at the path given, or the answer itself, or its only array."""
    value = _at(answer, plan.items) if plan.items else answer["data"]
    if isinstance(value, dict) and not plan.items:
        arrays = [member for member in value.values() if isinstance(member, list)]
        value = arrays[0] if len(arrays) == 1 else None
    return value if isinstance(value, list) else []


def _at(answer: Collection, path: str) -> Value:
    """Return what a dotted path leads to, in the body unless it begins with `data.` or `headers.`."""
    steps = [step for step in path.split(".") if step]
    value: Value = answer if steps[:1] in (["data"], ["headers"]) else answer["data"]
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and 0 < int(step) <= len(value):
            value = value[int(step) - 1]
        else:
            return None
    return value
