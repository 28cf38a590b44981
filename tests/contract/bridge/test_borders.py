"""Whoever names what belongs to others is answered as if there were no such thing, at every route and every place.

Everything here is made of the description that the server gives of itself: a route is attacked from its first day, and
one that names things of a kind nobody here knows how to make fails the suite. A victim has one of each thing; the
attackers are another organization's administrator, its customer, and another customer of the victim's organization.
Each sends requests that are good in themselves, which is shown first, with an id of the victim's in one place after the
other, and has to get, to the byte, what it gets for an id that never was. Afterwards the victim's rows are the same.
"""

import json
from dataclasses import dataclass

import pytest

from support.belongings import BODIES, BUILT, KINDS, LOOKS_LIKE_AN_ID, NO_IDS, Belongings, never
from support.borders import PATH, QUERY, Place, asked_for, places_of
from support.bridge import OF_REQUESTS

pytestmark = pytest.mark.timeout(300)
MARK = "mark-of-the-victim"
CONFLICT = 409
# What is refused for the state of one's own scenario, which is a conflict that Make answers with 400.
STATES = {"not_running", "not_activated", "cannot_verify"}
TEAM = Place(within=QUERY, name="teamId")
# What every customer of an organization may name: it is the organization's.
SHARED = {"organization", "public_template", "template", "version"}
# The organization's own, whichever team is named beside it.
NO_TEAM_S = SHARED | {"application", "endpoint", "key", "message", "parked", "token"}
# Where naming another's thing is no 404: by operation and place, the status.
OTHERWISE = {
    # Body and address have to agree, whatever they name.
    ("initFlow", "teamId in the body"): 400,
    ("initFlow", "templateId in the body"): 400,
    # These are not read: it is one's own scenario that was not made in the wizard.
    ("editIntegration", "teamId in the body"): 409,
    ("editIntegration", "templateId in the body"): 409,
    # A filter that lets nothing through.
    ("v2ListDeadLetters", "scenarioId in the query"): 200,
    ("v2ListJobs", "batchId in the query"): 200,
    ("v2ReplayDeadLetters", "scenarioId in the body"): 200,
    # All of one's own but those, which are none of them.
    ("v2DeleteDlqs", "exceptIds in the body"): 200,
    ("v2RetryDlqs", "exceptIds in the body"): 200,
}
# These have done something to one's own things by then, so the same request is not answered alike twice.
ACTING = {"v2ReplayDeadLetters", "v2DeleteDlqs", "v2RetryDlqs"}


@dataclass(frozen=True)
class Attacker:
    """Whose things they have, and what they show: a ``sub`` of the portal, or (None) an API token."""

    own: Belongings
    sub: str | None

    def may_try(self, route):
        return route.takes("apiToken" if self.sub is None else "portalToken")

    async def send(self, asked):
        return await self.own.party.send(asked.route.method, asked.target, asked.body, sub=self.sub)


@pytest.fixture(scope="module")
async def victim(bridge):
    """Has one of each thing, each with a name that nobody else may read."""
    own = Belongings(party=await bridge.organization("Victim"), sub="dana", mark=MARK)
    await own.every()
    return own


@pytest.fixture(scope="module")
async def attackers(bridge, victim):
    rival = Belongings(party=await bridge.organization("Rival"), sub="rita", mark="mark-of-the-rival")
    await rival.every()
    neighbour = Belongings(party=victim.party, sub="eve", mark="mark-of-the-neighbour")
    await neighbour.of("flow")
    await neighbour.of("execution")
    return {
        "api token": Attacker(rival, None),
        "administrator": Attacker(rival, "*"),
        "customer": Attacker(rival, "rita"),
        "neighbour": Attacker(neighbour, "eve"),
        "narrowed": Attacker(neighbour, None),
    }


async def test_every_place_of_an_id_is_of_a_kind_that_can_be_made(bridge):
    assert len(bridge.table) > 100
    for route in bridge.table:
        for place in places_of(route):
            assert KINDS.get(place.name) in BUILT, f"{route.method} {route.path} has {place}: of which kind is it?"
        assert "requestBody" not in route.facts or route.name in BODIES, (
            f"{route.name} takes a body: what stands in it?"
        )
    asked = {name for route in bridge.table for where in (PATH, QUERY) for name in route.parameters(where)}
    asked |= {name for route in bridge.table for name in route.body}
    assert set(KINDS) | NO_IDS <= asked
    assert {name for name in asked if LOOKS_LIKE_AN_ID.search(name)} <= set(KINDS) | NO_IDS
    assert {KINDS[name] for name in KINDS} == BUILT
    takes_bodies = {route.name for route in bridge.table if "requestBody" in route.facts}
    assert set(BODIES) == takes_bodies, "what stands in the body of these?"


@pytest.mark.parametrize("shown", ["api token", "administrator", "customer"])
async def test_the_requests_are_good_when_the_ids_are_one_s_own(bridge, shown):
    """Without this, an answer that there is no such thing would prove nothing."""
    wrong = []
    for number, route in enumerate(bridge.table):
        own = Belongings(party=await bridge.organization("Own"), sub=f"own-{number}", mark="mark-of-their-own")
        attacker = Attacker(own, {"api token": None, "administrator": "*", "customer": own.sub}[shown])
        if not attacker.may_try(route):
            continue
        answer = await attacker.send(await asked_for(route, own))
        is_refused = shown == "customer" and route.is_for_administrators
        is_answered = answer.status < 300 or answer.status == CONFLICT or told(answer)[1].get("code") in STATES
        if not (answer.status == 403 if is_refused else is_answered):
            wrong.append((route.method, route.path, answer.status, answer.body))
    assert not wrong, "\n".join(map(str, wrong))


def told(answer):
    """What an answer says, without the number of its request."""
    facts = json.loads(answer.body) if answer.header("content-type") == "application/json" else answer.body
    if isinstance(facts, dict):
        facts.pop("requestId", None)
    return answer.status, facts


def everywhere(asked, places, ids):
    """Name other things in all places of the path at once."""
    for place in places:
        asked = asked.naming(place, ids[place.kind])
    return asked


def attacks(asked, victim, without):
    """Every way to name what is the victim's, each with its like that names what never was."""
    places = [place for place in places_of(asked.route) if place.kind not in without]
    unknown = {kind: never(known) for kind, known in victim.known.items()}
    for place in places:
        yield place, asked.naming(place, victim.known[place.kind]), asked.naming(place, unknown[place.kind])
    path = [place for place in places if place.within == PATH]
    if len(path) > 1:
        yield "the whole path", everywhere(asked, path, victim.known), everywhere(asked, path, unknown)


@pytest.mark.attack("G10")
@pytest.mark.parametrize("name", ["api token", "administrator", "customer", "neighbour"])
async def test_g10_what_is_another_s_is_answered_as_what_never_was(bridge, victim, attackers, name):
    attacker = attackers[name]
    before, wrong, tried = await rows_of(bridge, victim, name), [], 0
    for route in filter(attacker.may_try, bridge.table):
        good = await asked_for(route, attacker.own)
        for place, theirs, nobodys in attacks(good, victim, without=SHARED if name == "neighbour" else frozenset()):
            answer, expected = await attacker.send(theirs), await attacker.send(nobodys)
            tried += 1
            is_same = answer.status == 200 if is_acting(route, place) else told(answer) == told(expected)
            allowed = {403, OTHERWISE.get((route.name, str(place)), 404)}
            if not is_same or MARK.encode() in answer.body or answer.status not in allowed:
                wrong.append(f"{route.method} {route.path}, {place}: {told(answer)}, not {told(expected)}")
    assert not wrong, "\n".join(wrong)
    assert tried > 50
    assert await rows_of(bridge, victim, name) == before


async def test_who_names_a_team_sees_nothing_of_another_team(bridge, victim, attackers):
    """An API token has the whole organization; a tool that says for which team it works is kept to that one."""
    attacker, wrong, tried = attackers["narrowed"], [], 0
    for route in filter(attacker.may_try, bridge.table):
        if NO_TEAM_S & {place.kind for place in places_of(route)}:
            continue
        good = (await asked_for(route, attacker.own)).naming(TEAM, await attacker.own.of("team"))
        for place, theirs, _ in attacks(good, victim, without=frozenset({"team"})):
            answer = await attacker.send(theirs)
            tried += 1
            if MARK.encode() in answer.body or answer.status != OTHERWISE.get((route.name, str(place)), 404):
                wrong.append(f"{route.method} {route.path}, {place}: {told(answer)}")
    assert not wrong, "\n".join(wrong)
    assert tried > 30


def is_acting(route, place):
    return route.name in ACTING and OTHERWISE.get((route.name, str(place))) == 200


async def rows_of(bridge, victim, name):
    rows = await bridge.rows(victim.party.id)
    return {table: rows[table] for table in rows if name != "neighbour" or table not in OF_REQUESTS}
