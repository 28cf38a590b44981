"""People change their own password: the current one is asked for, the other sessions end, and guessing is stopped."""

import asyncio

import pytest

from make_bridge.domain.users.messages import AddMember, ChangePassword
from make_bridge.domain.users.roles import Role
from make_bridge.kernel.ids import SessionId
from support.people import PASSWORD, email_of

ANOTHER = "another long password"


@pytest.fixture
async def dana(console, acme):
    return await console.person(Role.VIEWER, acme, "dana")


def changing(visit, current=PASSWORD, new=ANOTHER):
    return visit.send("POST", "/password", {"currentPassword": current, "newPassword": new})


async def actions(console, acme):
    async with console.people.shards.directory.write() as tx:
        rows = await tx.all("SELECT action FROM directory.audit WHERE organization_id = %s ORDER BY id", (acme,))
    return [row["action"] for row in rows]


async def test_a_changed_password_lets_in_and_the_one_before_does_not(console, acme, dana):
    email = email_of("dana", acme)
    other = console.visit()
    await other.sign_in(email)
    answer = await changing(dana)
    assert (answer.status, answer.json()) == (200, {"ended": 1})
    assert (await dana.send("GET", "/sessions")).status == 200, "the one who changed it stays signed in"
    assert (await other.send("GET", "/sessions")).status == 401
    assert (await console.visit().sign_in(email)).status == 401
    assert (await console.visit().sign_in(email, ANOTHER)).status == 200
    assert (await actions(console, acme)).count("user.change_password") == 1


async def test_the_current_password_is_asked_for_and_a_wrong_one_is_written_down(console, acme, dana):
    answer = await changing(dana, current="a guess of somebody")
    assert (answer.status, answer.json()["code"]) == (422, "wrong_password")
    assert answer.json()["fields"] == {"currentPassword": "This is not your current password."}
    assert (await console.visit().sign_in(email_of("dana", acme))).status == 200
    assert (await actions(console, acme)).count("user.password_refused") == 1


async def test_guesses_at_the_current_password_are_stopped_and_the_person_still_signs_in(console, acme, dana):
    most = console.people.sign_in_limits.attempts
    answers = await asyncio.gather(*(changing(dana, current=f"guess number {number}") for number in range(most + 3)))
    assert sorted(answer.status for answer in answers) == [422] * most + [429] * 3
    assert (await changing(dana)).status == 429, "also the right one: whoever guesses learns nothing any more"
    assert (await console.visit().sign_in(email_of("dana", acme))).status == 200
    assert (await actions(console, acme)).count("user.password_refused") == most


async def test_changes_that_succeed_count_for_nothing(console, dana):
    current, new = PASSWORD, ANOTHER
    for _ in range(console.people.sign_in_limits.attempts + 2):
        assert (await changing(dana, current, new)).status == 200
        current, new = new, current


async def test_two_changes_at_once_are_one(console, acme, dana):
    answers = await asyncio.gather(*(changing(dana, new=f"long password {number}") for number in range(3)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 409, 422}
    [chosen] = [number for number, answer in enumerate(answers) if answer.status == 200]
    assert (await console.visit().sign_in(email_of("dana", acme), f"long password {chosen}")).status == 200


@pytest.mark.parametrize(
    "new", ["short", "x" * 257, "line\nbreak in the password", PASSWORD], ids=["short", "long", "control", "the same"]
)
async def test_a_new_password_that_is_none_is_refused_in_words_and_changes_nothing(console, acme, dana, new):
    answer = await changing(dana, new=new)
    assert answer.status == 422
    assert "assword" in answer.json()["detail"]
    assert (await console.visit().sign_in(email_of("dana", acme))).status == 200


BODIES = {
    "empty": {},
    "no current one": {"newPassword": ANOTHER},
    "somebody else": {"currentPassword": PASSWORD, "newPassword": ANOTHER, "userId": 1},
    "number": {"currentPassword": 1, "newPassword": ANOTHER},
    "surrogate": {"currentPassword": "\ud800", "newPassword": ANOTHER},
    "new surrogate": {"currentPassword": PASSWORD, "newPassword": "\ud800" * 20},
    "longer than all": {"currentPassword": "x" * 1025, "newPassword": ANOTHER},
    "list": [],
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_cannot_be_right_is_a_sentence(dana, body):
    answer = await dana.send("POST", "/password", body)
    assert answer.status in {400, 422}, answer.body
    assert answer.json()["detail"]


def test_no_hash_and_no_password_is_in_what_a_command_shows_of_itself():
    shown = repr(ChangePassword(before="$argon2-a", after="$argon2-b", keep=SessionId(1)))
    shown += repr(AddMember(email="a@b", role=Role.VIEWER, password="$argon2-c"))
    assert "argon2" not in shown
