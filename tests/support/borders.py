"""Requests with somebody else's ids, made of the description of the routes: every route, every place of an id."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from support.belongings import BODIES, KINDS, LISTS, LOOKS_LIKE_AN_ID, NAMED, NO_IDS, QUERIES, Belongings
from support.bridge import Route

PATH, QUERY, BODY = "path", "query", "body"
_CONFIRMED: Final = ("confirmed", "true")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a route's requests an id stands, and of what."""

    within: str
    name: str

    @property
    def kind(self) -> str:
        return KINDS[self.name]

    def __str__(self) -> str:
        return f"{self.name} in the {self.within}"


def places_of(route: Route) -> list[Place]:
    """Return every place of an id in a route's requests."""
    found = [Place(within=PATH, name=name) for name in route.parameters(PATH)]
    found += [Place(within=QUERY, name=name) for name in route.parameters(QUERY) if LOOKS_LIKE_AN_ID.search(name)]
    found += [Place(within=BODY, name=name) for name in route.body if LOOKS_LIKE_AN_ID.search(name)]
    return [place for place in found if place.name not in NO_IDS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    route: Route
    path: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None

    @property
    def target(self) -> str:
        """Its path with its query."""
        filled = self.route.path
        for name, value in self.path.items():
            filled = filled.replace(f"{{{name}}}", quote(value, safe=""))
        return f"{filled}?{urlencode(self.query)}" if self.query else filled

    def naming(self, place: Place, value: str) -> "Asked":
        """Return the same with another id in a place."""
        if place.within == PATH:
            return replace(self, path={**self.path, place.name: value})
        if place.within == QUERY:
            return replace(self, query={**self.query, place.name: value})
        said: object = [value] if place.name in LISTS else int(value) if value.isdigit() else value
        return replace(self, body={**(self.body or {}), place.name: said})


async def asked_for(route: Route, own: Belongings) -> Asked:
    """Return a route's request, good in itself, with one's own ids wherever it has to have some."""
    if LISTS & route.body.keys():
        # Such a request does something with those it does not name, so it has to find one that waits.
        own.known.pop("record", None)
    path = {
        name: NAMED.get(name, "one") if name in NO_IDS else await own.of(KINDS[name]) for name in route.parameters(PATH)
    }
    query = dict([_CONFIRMED] if _CONFIRMED[0] in route.parameters(QUERY) else [])
    for told in route.facts.get("parameters", ()):
        if told["in"] == QUERY and (told["required"] or told["name"] in QUERIES.get(route.name, ())):
            query[told["name"]] = await own.of(KINDS[told["name"]])
    asked = Asked(route=route, path=path, query=query)
    if "requestBody" in route.facts:
        asked = replace(asked, body=copy.deepcopy(dict(BODIES[route.name])))
        for place in _needed(route):
            asked = asked.naming(place, await own.of(place.kind))
    return asked


def _needed(route: Route) -> Iterator[Place]:
    """The places of a body that may not be empty: what its model requires, and one of those it wants one of."""
    schema = route.facts["requestBody"]["content"]["application/json"]["schema"]
    for place in places_of(route):
        if place.within == BODY and (place.name in schema.get("required", ()) or place.name == "ids"):
            yield place
