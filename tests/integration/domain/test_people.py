"""People on a real directory: signing in, the limits on trying, and how sessions end everywhere."""

import asyncio
from threading import BoundedSemaphore

import pytest

from make_bridge.domain.users.model import SessionLimits, SignInLimits
from make_bridge.domain.users.roles import Role
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import Conflict, InvalidInput, LimitExceeded, NotFound, RateLimited, Unauthenticated
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security.secrets import digest_of, new_secret
from support.organizations import make_organization, service_of
from support.people import PASSWORD, People, email_of

LIMITS = SignInLimits(attempts=3, address_attempts=8, seconds=900.0, block_seconds=3600.0)
SESSIONS = SessionLimits(idle_seconds=1800.0, life_seconds=43_200.0, most=3)
EVERYTHING = (
    "SELECT * FROM directory.users",
    "SELECT * FROM directory.sessions",
    "SELECT * FROM directory.sign_in_attempts",
    "SELECT * FROM directory.audit",
)
ROWS = "SELECT * FROM directory.sessions WHERE user_id = %s ORDER BY id"


@pytest.fixture
async def people(shards):
    people = People(shards, sessions=SESSIONS, sign_in=LIMITS)
    yield people
    await people.signing_in.close()


@pytest.fixture
async def acme(shards):
    return OrganizationId((await make_organization(shards)).organization_id)


@pytest.fixture
async def dana(people, acme):
    """A person's address."""
    email = email_of("dana", acme)
    await people.service.create(email, PASSWORD, acme, "editor")
    return email


@pytest.fixture
def rows(shards):
    async def run(statement, *parameters):
        async with shards.directory.write() as tx:
            return await tx.all(statement, parameters)

    return run


@pytest.fixture
def place(acme):
    """An address nobody else comes from: attempts are counted in the database, which tests share."""
    return f"test-{acme}"


async def test_who_signs_in_has_a_session_that_says_who_they_are(people, dana, acme, place):
    signed_in = await people.sign_in(f" {dana.upper()}", address=place)
    found = await people.sessions.find(signed_in.secret)
    assert found == signed_in.session
    assert (found.email, found.role, found.organization_id) == (dana, Role.EDITOR, acme)
    assert signed_in.secret not in repr(signed_in)
    assert PASSWORD not in repr(signed_in)


async def test_b05_what_is_stored_of_a_session_lets_nobody_in(people, dana, place, rows):
    signed_in = await people.sign_in(dana, address=place)
    [row] = await rows(ROWS, signed_in.session.user_id)
    assert bytes(row["digest"]) == digest_of(signed_in.secret)
    dump = str([await rows(statement) for statement in EVERYTHING])
    assert signed_in.secret not in dump
    assert PASSWORD not in dump
    assert await people.node().find(bytes(row["digest"]).hex()) is None


@pytest.mark.parametrize("wrong", ["password", "e-mail", "disabled", "organization", "nobody's organization"])
async def test_whatever_is_wrong_gets_one_answer(people, dana, acme, place, wrong, shards):
    given = {"email": dana, "password": PASSWORD}
    if wrong == "password":
        given["password"] = PASSWORD.upper()
    elif wrong == "e-mail":
        given["email"] = f"not-{dana}"
    elif wrong == "disabled":
        await people.service.disable(dana)
    elif wrong == "organization":
        given["organization_id"] = (await make_organization(shards, "Rival")).organization_id
    else:
        await service_of(shards).shred(acme)
    with pytest.raises(Unauthenticated) as refused:
        await people.sign_in(**given, address=place)
    assert refused.value.reason == "sign_in_failed"
    assert refused.value.message.startswith("This e-mail address and password do not belong together here.")


async def test_b08_guesses_are_stopped_from_where_they_come_and_nowhere_else(people, dana, place):
    for _ in range(LIMITS.attempts):
        with pytest.raises(Unauthenticated):
            await people.sign_in(dana, "a guess of somebody", address=place)
    with pytest.raises(RateLimited) as refused:
        await people.sign_in(dana, address=place)
    assert 3500 < refused.value.retry_after <= 3600
    assert (await people.sign_in(dana, address=f"{place}-home")).session.email == dana


async def test_b08_guesses_sent_all_at_once_count_each(people, dana, place):
    tries = await asyncio.gather(
        *(people.sign_in(dana, f"guess number {number}", address=place) for number in range(8)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Unauthenticated) for outcome in tries) == LIMITS.attempts
    assert sum(isinstance(outcome, RateLimited) for outcome in tries) == 8 - LIMITS.attempts


async def test_b08_one_address_cannot_try_everybody(people, dana, place):
    refusals = []
    for number in range(LIMITS.address_attempts + 1):
        with pytest.raises((Unauthenticated, RateLimited)) as refused:
            await people.sign_in(f"{number}-{dana}", address=place)
        refusals.append(type(refused.value))
    assert refusals == [Unauthenticated] * LIMITS.address_attempts + [RateLimited]
    with pytest.raises(RateLimited):
        await people.sign_in(dana, address=place)
    assert await people.sign_in(dana, address=f"{place}-home")


async def test_b08_a_block_ends_and_what_succeeds_does_not_count(people, dana, place, rows):
    for _ in range(LIMITS.attempts * 4):
        await people.sign_in(dana, address=place)
    for _ in range(LIMITS.attempts + 1):
        with pytest.raises((Unauthenticated, RateLimited)):
            await people.sign_in(dana, "a guess of somebody", address=place)
    moved = await rows(
        "UPDATE directory.sign_in_attempts SET blocked_until = now() - interval '1 second' "
        "WHERE blocked_until IS NOT NULL RETURNING 1"
    )
    assert moved
    assert await people.sign_in(dana, address=place)


async def test_b08_the_time_for_nobody_is_spent_on_a_password_too(people, dana, place, monkeypatch):
    seen = []
    real = type(people.signing_in.passwords).verify

    async def verify(self, stored, password):
        seen.append(stored is None)
        return await real(self, stored, password)

    monkeypatch.setattr(type(people.signing_in.passwords), "verify", verify)
    for email in (dana, f"not-{dana}"):
        with pytest.raises(Unauthenticated):
            await people.sign_in(email, "a guess of somebody", address=place)
    assert seen == [False, True]


async def test_b01_a_session_sent_before_sign_in_is_replaced(people, dana, place, rows):
    planted = new_secret()
    first = await people.sign_in(dana, address=place, before=planted)
    assert first.secret != planted
    assert await people.sessions.find(planted) is None
    second = await people.sign_in(dana, address=place, before=first.secret)
    assert second.secret != first.secret
    assert await people.sessions.find(first.secret) is None
    assert len(await rows(ROWS, second.session.user_id)) == 1


async def test_a_person_has_so_many_sessions_and_the_oldest_goes(people, dana, place):
    secrets = [(await people.sign_in(dana, address=place)).secret for _ in range(SESSIONS.most + 1)]
    assert [await people.sessions.find(secret) is not None for secret in secrets] == [False, True, True, True]


@pytest.mark.parametrize("act", ["disable", "set_password", "role", "end_sessions", "shred"])
async def test_b04_what_changes_who_somebody_is_ends_their_sessions_everywhere(people, dana, acme, place, act, shards):
    elsewhere = people.node()
    secret = (await people.sign_in(dana, address=place)).secret
    assert await elsewhere.find(secret) is not None
    match act:
        case "role":
            await people.service.create(dana, None, acme, "viewer")
        case "set_password":
            await people.service.set_password(dana, "another long password")
        case "shred":
            await service_of(shards).shred(acme)
        case _:
            await getattr(people.service, act)(dana)
    people.clock.advance(4.9)
    assert await elsewhere.find(secret) is None
    assert await people.sessions.find(secret) is None


async def test_b04_a_session_ends_unused_and_in_the_end_in_any_case(people, dana, place, rows):
    secret = (await people.sign_in(dana, address=place)).secret
    touch = "UPDATE directory.sessions SET seen_at = now() - make_interval(secs => %s) WHERE digest = %s RETURNING 1"
    await rows(touch, SESSIONS.idle_seconds - 5, digest_of(secret))
    assert await people.node().find(secret) is not None
    await rows(touch, SESSIONS.idle_seconds + 5, digest_of(secret))
    assert await people.node().find(secret) is None
    secret = (await people.sign_in(dana, address=place)).secret
    await rows("UPDATE directory.sessions SET ends_at = now() WHERE digest = %s RETURNING 1", digest_of(secret))
    assert await people.node().find(secret) is None


async def test_b04_a_session_that_is_remembered_ends_on_time(people, dana, place):
    secret = (await people.sign_in(dana, address=place)).secret
    remembering = people.node(clock := type(people.clock)(SystemClock().now()))
    found = await remembering.find(secret)
    # Remembered or not: the end is compared with the clock. (The memory's own time stands still here.)
    clock._now = found.ends_at  # noqa: SLF001  moves the time of day alone
    assert await remembering.find(secret) is None


async def test_use_is_noted_once_a_minute(people, dana, place, rows):
    secret = (await people.sign_in(dana, address=place)).secret
    seen = "SELECT seen_at FROM directory.sessions WHERE digest = %s"
    [before] = await rows(seen, digest_of(secret))
    await people.node().find(secret)
    assert await rows(seen, digest_of(secret)) == [before]
    await rows(
        "UPDATE directory.sessions SET seen_at = now() - interval '61 seconds' WHERE digest = %s RETURNING 1",
        digest_of(secret),
    )
    await people.node().find(secret)
    [after] = await rows(seen, digest_of(secret))
    assert after["seen_at"] > before["seen_at"]


async def test_b03_an_ended_session_is_revived_by_no_read_that_races_with_it(people, dana, place, rows):
    for _ in range(20):
        signed_in = await people.sign_in(dana, address=place)
        old = "UPDATE directory.sessions SET seen_at = now() - interval '2 minutes' WHERE digest = %s RETURNING 1"
        await rows(old, digest_of(signed_in.secret))
        nodes = [people.node() for _ in range(6)]
        reads = [asyncio.ensure_future(node.find(signed_in.secret)) for node in nodes]
        await people.service.end_sessions(dana)
        await asyncio.gather(*reads)
        assert await rows(ROWS, signed_in.session.user_id) == []
        people.clock.advance(4.9)
        assert [await node.find(signed_in.secret) for node in nodes] == [None] * 6


async def test_a_password_changed_while_it_was_checked_lets_nobody_in(people, dana, place, monkeypatch):
    real = type(people.signing_in.passwords).verify

    async def slow(self, stored, password):
        is_right = await real(self, stored, password)
        await people.service.set_password(dana, "another long password")
        return is_right

    monkeypatch.setattr(type(people.signing_in.passwords), "verify", slow)
    with pytest.raises(Unauthenticated):
        await people.sign_in(dana, address=place)


async def test_who_signs_in_and_fails_to_is_written_down_within_bounds(people, dana, acme, place, rows):
    signed_in = await people.sign_in(dana, address=place)
    for number in range(30):
        with pytest.raises(Unauthenticated):
            await people.sign_in(dana, "a guess of somebody", address=f"{place}-{number}")
    await people.signing_in.close()
    await people.service.end_sessions(dana)
    audit = await rows("SELECT * FROM directory.audit WHERE organization_id = %s ORDER BY id", acme)
    actions = [row["action"] for row in audit]
    assert actions.count("session.refused") == 20
    kinds = sorted(set(actions) - {"organization.create"})
    assert kinds == ["session.begin", "session.refused", "user.create", "user.end_sessions", "user.set_role"]
    [begun] = [row for row in audit if row["action"] == "session.begin"]
    assert (begun["actor_kind"], begun["actor"]) == ("user", str(signed_in.session.user_id))
    assert place.encode() in bytes(begun["detail"])


async def test_what_has_ended_is_removed(people, dana, place, rows):
    signed_in = await people.sign_in(dana, address=place)
    with pytest.raises(Unauthenticated):
        await people.sign_in(dana, "a guess of somebody", address=place)
    await rows(
        "UPDATE directory.sessions SET ends_at = now() WHERE user_id = %s RETURNING 1", signed_in.session.user_id
    )
    await rows("UPDATE directory.sign_in_attempts SET since = now() - interval '1 hour' RETURNING 1")
    assert await people.sessions.forget_ended() >= 2
    assert await rows(ROWS, signed_in.session.user_id) == []


async def test_the_operator_makes_people_once_and_gives_roles_in_many_places(people, dana, acme, shards):
    rival = OrganizationId((await make_organization(shards, "Rival")).organization_id)
    await people.service.create(dana, None, rival, "owner")
    assert [(user.organization_id, user.role) for user in await people.service.list(rival)] == [(rival, Role.OWNER)]
    assert [(user.email, user.role) for user in await people.service.list(acme)] == [(dana, Role.EDITOR)]
    with pytest.raises(Conflict):
        await people.service.create(dana, PASSWORD, acme, "viewer")
    with pytest.raises(InvalidInput):
        await people.service.create(f"new-{dana}", None, acme, "viewer")
    with pytest.raises(NotFound):
        await people.service.create(f"new-{dana}", PASSWORD, OrganizationId(1), "viewer")
    for act in (people.service.disable, people.service.enable, people.service.end_sessions):
        with pytest.raises(NotFound):
            await act(f"not-{dana}")


async def test_a_person_of_two_organizations_says_where_they_sign_in(people, dana, acme, place, shards):
    rival = OrganizationId((await make_organization(shards, "Rival")).organization_id)
    await people.service.create(dana, None, rival, "owner")
    assert (await people.sign_in(dana, address=place)).session.organization_id == acme
    there = (await people.sign_in(dana, address=place, organization_id=rival)).session
    assert (there.organization_id, there.role) == (rival, Role.OWNER)


async def test_who_was_disabled_is_let_in_again(people, dana, place):
    await people.service.disable(dana)
    await people.service.set_password(dana, PASSWORD)
    with pytest.raises(Unauthenticated):
        await people.sign_in(dana, address=place)
    await people.service.enable(dana)
    assert await people.sign_in(dana, address=place)


async def test_what_comes_of_attempts_and_how_many_are_signed_in_is_counted(people, dana, acme, place, monkeypatch):
    live = await people.sessions.count_live()
    await people.sign_in(dana, address=place)
    secret = (await people.sign_in(dana, address=place)).secret
    for _ in range(LIMITS.attempts + 2):
        with pytest.raises((Unauthenticated, RateLimited)):
            await people.sign_in(dana, "a guess of somebody", address=place)
    monkeypatch.setattr(people.signing_in.passwords, "_places", BoundedSemaphore(1))
    people.signing_in.passwords._places.acquire()  # noqa: SLF001  every place is taken
    with pytest.raises(LimitExceeded):
        await people.sign_in(dana, address=f"{place}-busy")
    told = people.metrics.render().decode()
    for line in (
        'sign_ins_total{result="success"} 2.0',
        f'sign_ins_total{{result="refused"}} {float(LIMITS.attempts)}',
        'sign_ins_total{result="blocked"} 2.0',
        'sign_ins_total{result="busy"} 1.0',
        'sign_in_blocked_total{of="person"} 2.0',
        'sign_in_blocked_total{of="address"} 0.0',
    ):
        assert line in told
    assert await people.sessions.count_live() == live + 2
    await people.service.end_sessions(dana)
    assert await people.sessions.count_live() == live
    assert dana not in told
    assert secret not in told


async def test_who_was_left_in_no_organization_begins_anew_with_another_password(people, dana, acme, place, rows):
    await rows("DELETE FROM directory.memberships WHERE organization_id = %s RETURNING 1", acme)
    assert not await people.service.exists(dana)
    with pytest.raises(InvalidInput):
        await people.service.create(dana, None, acme, "owner")
    await people.service.create(dana, "another long password", acme, "owner")
    with pytest.raises(Unauthenticated):
        await people.sign_in(dana, address=place)
    assert (await people.sign_in(dana, "another long password", address=place)).session.role is Role.OWNER
