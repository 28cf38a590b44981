"""Owners and admins manage the people of their organization, within their own role, and never the last owner away."""

import asyncio

import pytest

from make_bridge.domain.users.roles import Role
from make_bridge.kernel.ids import OrganizationId
from support.api_v2 import MOST_MEMBERS
from support.people import email_of

NEW = "nina@new.example"


@pytest.fixture
async def owner(console, acme):
    return await console.person(Role.OWNER, acme)


@pytest.fixture
async def admin(console, acme):
    return await console.person(Role.ADMIN, acme)


@pytest.fixture
def audit(console, acme):
    async def read():
        async with console.people.shards.directory.write() as tx:
            rows = await tx.all(
                "SELECT action, actor_kind, actor, object, detail FROM directory.audit WHERE organization_id = %s "
                "ORDER BY id",
                (acme,),
            )
        return [row | {"detail": bytes(row["detail"]).decode()} for row in rows]

    return read


async def listed(visit):
    answer = await visit.send("GET", "/members")
    assert answer.status == 200, answer.body
    return {member["email"]: member for member in answer.json()["members"]}


async def id_of(visit, email):
    return (await listed(visit))[email]["id"]


def new_email(acme):
    return email_of("nina", acme)


async def added(visit, email, role="editor"):
    answer = await visit.send("POST", "/members", {"email": email, "role": role})
    assert answer.status == 200, answer.body
    return answer.json()["member"]


async def test_a_person_who_is_added_signs_in_with_the_password_that_was_shown_once(console, acme, owner, audit):
    email = new_email(acme)
    answer = await owner.send("POST", "/members", {"email": f" {email.upper()}", "role": "editor"})
    assert answer.status == 200, answer.body
    assert answer.header("cache-control") == "no-store"
    member = answer.json()["member"]
    assert (member["email"], member["role"], member["lastSeenAt"]) == (email, "editor", None)
    visit = console.visit()
    assert (await visit.sign_in(email, member["password"])).json()["session"]["role"] == "editor"
    row = (await listed(owner))[email]
    assert (row["role"], row["isYou"], row["mayChange"], row["isDisabled"]) == ("editor", False, True, False)
    assert row["lastSeenAt"]
    assert "password" not in row
    written = [row for row in await audit() if row["action"] == "member.add"]
    assert [(row["actor_kind"], row["object"]) for row in written] == [("user", f"user/{member['id']}")]
    assert member["password"] not in str(await audit())


async def test_every_first_password_is_another_and_long_enough_to_be_guessed_by_nobody(acme, owner):
    passwords = {(await added(owner, f"{number}-{new_email(acme)}"))["password"] for number in range(3)}
    assert len(passwords) == 3
    assert {len(password) for password in passwords} == {23}


async def test_nobody_gives_or_takes_a_role_above_their_own(acme, owner, admin):
    boss = await id_of(admin, email_of("owner", acme))
    assert (await admin.send("GET", "/members")).json()["roles"] == ["admin", "editor", "operator", "viewer"]
    attempts = [
        ("POST", "/members", {"email": new_email(acme), "role": "owner"}),
        ("PATCH", f"/members/{boss}", {"role": "viewer"}),
        ("DELETE", f"/members/{boss}?confirmed=true", None),
        ("PATCH", f"/members/{await id_of(admin, email_of('admin', acme))}", {"role": "owner"}),
    ]
    for method, path, body in attempts:
        answer = await admin.send(method, path, body)
        assert (answer.status, "below owner" in answer.json()["detail"]) == (403, True), (method, path)
    assert {row["role"] for row in (await listed(owner)).values()} == {"owner", "admin"}
    assert not (await listed(admin))[email_of("owner", acme)]["mayChange"]
    assert (await owner.send("GET", "/sessions")).status == 200


async def test_a_role_is_changed_and_the_sessions_with_the_one_before_end(console, acme, owner, audit):
    editor = await console.person(Role.EDITOR, acme)
    email = email_of("editor", acme)
    member = await id_of(owner, email)
    answer = await owner.send("PATCH", f"/members/{member}", {"role": "viewer"})
    assert answer.json() == {"member": {"id": member, "role": "viewer"}}
    assert (await editor.send("GET", "/sessions")).status == 401
    assert (await editor.sign_in(email)).json()["session"]["role"] == "viewer"
    [row] = [row for row in await audit() if row["action"] == "member.set_role"]
    assert ("viewer" in row["detail"], "editor" in row["detail"]) == (True, True)
    assert (await owner.send("PATCH", f"/members/{member}", {"role": "viewer"})).status == 200
    assert (await editor.send("GET", "/sessions")).status == 200, "the same role again ends nothing"


async def test_who_is_removed_is_out_and_may_be_added_again_with_a_new_password(console, acme, owner, audit):
    email = new_email(acme)
    first = await added(owner, email)
    visit = console.visit()
    await visit.sign_in(email, first["password"])
    path = f"/members/{first['id']}"
    assert (await owner.send("DELETE", path)).status == 406, "it is to be confirmed"
    assert (await owner.send("DELETE", f"{path}?confirmed=true")).status == 200
    assert (await visit.send("GET", "/sessions")).status == 401
    assert (await visit.sign_in(email, first["password"])).status == 401
    assert email not in await listed(owner)
    assert (await owner.send("DELETE", f"{path}?confirmed=true")).status == 404
    second = await added(owner, email, "viewer")
    assert second["id"] == first["id"]
    assert (await console.visit().sign_in(email, first["password"])).status == 401
    assert (await console.visit().sign_in(email, second["password"])).status == 200
    assert [row["action"] for row in await audit()].count("member.remove") == 1


async def test_the_last_owner_stays_whatever_they_ask(console, acme, owner):
    own = await id_of(owner, email_of("owner", acme))
    for method, path, body in (
        ("PATCH", f"/members/{own}", {"role": "admin"}),
        ("DELETE", f"/members/{own}?confirmed=true", None),
    ):
        answer = await owner.send(method, path, body)
        assert (answer.status, answer.json()["code"]) == (409, "last_owner")
    second = await console.person(Role.OWNER, acme, "second")
    await console.people.service.disable(email_of("second", acme))
    assert (await owner.send("PATCH", f"/members/{own}", {"role": "admin"})).status == 409, "nobody else can sign in"
    await console.people.service.enable(email_of("second", acme))
    await second.sign_in(email_of("second", acme))
    assert (await owner.send("PATCH", f"/members/{own}", {"role": "admin"})).status == 200
    assert (await second.send("GET", "/members")).status == 200


async def test_two_owners_who_leave_at_once_do_not_both(console, acme):
    for number in range(4):
        organization = acme if number == 0 else OrganizationId((await console.api.integrator()).facts.organization_id)
        first = await console.person(Role.OWNER, organization, "first")
        second = await console.person(Role.OWNER, organization, "second")
        ids = [await id_of(first, email_of(name, organization)) for name in ("first", "second")]
        answers = await asyncio.gather(
            first.send("DELETE", f"/members/{ids[0]}?confirmed=true"),
            second.send("DELETE", f"/members/{ids[1]}?confirmed=true"),
        )
        assert sorted(answer.status for answer in answers) == [200, 409]


async def test_an_account_of_another_organization_is_neither_taken_in_nor_given_a_password(console, acme, owner):
    rival = OrganizationId((await console.api.integrator("Rival")).facts.organization_id)
    theirs = await console.person(Role.VIEWER, rival, "theirs")
    email = email_of("theirs", rival)
    for _ in range(2):
        answer = await owner.send("POST", "/members", {"email": email, "role": "viewer"})
        assert (answer.status, answer.json()["code"]) == (409, "person_known")
    assert (await theirs.send("GET", "/sessions")).status == 200, "their session stays"
    assert (await console.visit().sign_in(email)).json()["session"]["organization"]["id"] == rival
    stranger = (await theirs.send("GET", "/session")).json()["session"]
    [member] = [user.id for user in await console.people.service.list(rival)]
    assert stranger["email"] == email
    assert (await owner.send("PATCH", f"/members/{member}", {"role": "owner"})).status == 404
    assert (await owner.send("DELETE", f"/members/{member}?confirmed=true")).status == 404


async def test_one_address_added_by_two_organizations_at_once_is_one_persons(console, owner, acme):
    rival = OrganizationId((await console.api.integrator("Rival")).facts.organization_id)
    theirs = await console.person(Role.OWNER, rival, "theirs")
    body = {"email": new_email(acme), "role": "viewer"}
    answers = await asyncio.gather(*(visit.send("POST", "/members", body) for visit in (owner, theirs)))
    assert sorted(answer.status for answer in answers) == [200, 409]


async def test_who_was_an_admin_a_moment_ago_manages_nobody(console, acme, admin):
    own = await id_of(admin, email_of("admin", acme))
    async with console.people.shards.directory.write() as tx:
        await tx.execute("UPDATE directory.memberships SET role = 'viewer' WHERE user_id = %s", (own,))
    # The session still remembers the role before; the act looks at the one that counts.
    assert (await admin.send("POST", "/members", {"email": new_email(acme), "role": "viewer"})).status == 403


async def test_an_organization_has_so_many_people_and_no_more(acme, owner):
    for number in range(MOST_MEMBERS - 1):
        await added(owner, f"{number}-{new_email(acme)}", "viewer")
    answer = await owner.send("POST", "/members", {"email": new_email(acme), "role": "viewer"})
    assert answer.status == 409
    assert f"at most {MOST_MEMBERS} people" in answer.json()["detail"]


BODIES = {
    "no role": {"email": NEW},
    "no such role": {"email": NEW, "role": "king"},
    "no address": {"email": "nina", "role": "viewer"},
    "nul": {"email": "nina@new.example\x00", "role": "viewer"},
    "surrogate": {"email": "nina@\ud800.example", "role": "viewer"},
    "long address": {"email": f"{'n' * 300}@new.example", "role": "viewer"},
    "a password": {"email": NEW, "role": "viewer", "password": "correct horse battery"},
    "an organization": {"email": NEW, "role": "viewer", "organizationId": 1},
    "list": [],
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_cannot_be_right_adds_nobody(owner, body):
    answer = await owner.send("POST", "/members", body)
    assert answer.status in {400, 422}, answer.body
    assert answer.json()["detail"]
    assert NEW not in await listed(owner)


@pytest.mark.parametrize("target", ["0", "-1", "nobody", "9007199254740993", "1" * 40])
async def test_an_id_that_is_nobodys_is_not_found(owner, target):
    assert (await owner.send("PATCH", f"/members/{target}", {"role": "viewer"})).status == 404
    assert (await owner.send("DELETE", f"/members/{target}?confirmed=true")).status == 404
