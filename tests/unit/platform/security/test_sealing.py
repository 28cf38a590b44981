"""Sealed secrets: they open in their own place with their own key, and in no other way."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security import encoding
from make_bridge.platform.security.key_wrapping import data_key_place, open_data_key, wrap_data_key
from make_bridge.platform.security.root_key import RootKey, RootKeys
from make_bridge.platform.security.sealing import KeyRing, Place, SealBroken, Sealed, SealingKey

ONE, SEVEN, EIGHT = OrganizationId(1), OrganizationId(7), OrganizationId(8)
PLACE = Place(organization_id=SEVEN, kind="connection", object_id=12, field="token")
SECRET = b"a secret nobody sees"
KEY = SealingKey("d1", bytes(range(32)))


def is_broken(key, place, sealed) -> bool:
    with pytest.raises(SealBroken) as caught:
        key.open(place, sealed)
    # No cause may tell one fault from another.
    assert str(caught.value) == str(SealBroken())
    return True


@given(st.binary(max_size=200), st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_a_secret_opens_where_it_was_sealed(secret, kind, field):
    place = Place(organization_id=ONE, kind=kind, object_id=2, field=field)
    assert KEY.open(place, KEY.seal(place, secret)) == secret


def test_a_box_has_the_agreed_form_and_is_never_the_same_twice():
    boxes = {KEY.seal(PLACE, SECRET).text for _ in range(200)}
    assert len(boxes) == 200
    assert all(re.fullmatch(r"v1\.d1\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]+", box) for box in boxes)
    assert {len(encoding.decode(box.split(".")[3])) for box in boxes} == {len(SECRET) + 16}


def test_nothing_shows_a_secret():
    sealed = KEY.seal(PLACE, SECRET)
    shown = f"{sealed!r} {sealed} {KEY!r} {KEY} {KeyRing(KEY)!r} {[sealed]}"
    assert sealed.text not in shown
    assert bytes(range(32)).hex() not in shown
    assert SECRET.decode() not in shown


@pytest.mark.attack("H02")
@pytest.mark.parametrize(
    "change",
    [{"organization_id": EIGHT}, {"kind": "key"}, {"object_id": 13}, {"field": "refresh"}, {"object_id": "12 "}],
)
def test_a_box_does_not_open_in_another_place(change):
    assert is_broken(KEY, replace(PLACE, **change), KEY.seal(PLACE, SECRET))


@pytest.mark.attack("H02")
def test_places_whose_parts_join_alike_are_different():
    first = Place(organization_id=ONE, kind="a", object_id="b|c", field="d")
    second = Place(organization_id=ONE, kind="a|b", object_id="c", field="d")
    third = Place(organization_id=OrganizationId(11), kind="", object_id="", field="x")
    fourth = Place(organization_id=ONE, kind="1", object_id="", field="x")
    assert is_broken(KEY, second, KEY.seal(first, SECRET))
    assert is_broken(KEY, fourth, KEY.seal(third, SECRET))


@pytest.mark.attack("H01")
def test_every_changed_bit_is_found():
    _, _, nonce, box = KEY.seal(PLACE, b"x").text.split(".")
    raw_nonce, raw_box = encoding.decode(nonce), encoding.decode(box)
    for index in range(len(raw_nonce) * 8):
        assert is_broken(KEY, PLACE, Sealed(f"v1.d1.{encoding.encode(flipped(raw_nonce, index))}.{box}"))
    for index in range(len(raw_box) * 8):
        assert is_broken(KEY, PLACE, Sealed(f"v1.d1.{nonce}.{encoding.encode(flipped(raw_box, index))}"))


def flipped(octets, bit):
    number = int.from_bytes(octets, "big") ^ 1 << bit
    return number.to_bytes(len(octets), "big")


@pytest.mark.attack("H01")
@pytest.mark.parametrize("kept", [15, 12, 8, 4, 0])
def test_a_shortened_tag_is_refused(kept):
    version, name, nonce, box = KEY.seal(PLACE, b"").text.split(".")
    cut = encoding.encode(encoding.decode(box)[:kept])
    assert is_broken(KEY, PLACE, Sealed(f"{version}.{name}.{nonce}.{cut}"))


@pytest.mark.attack("H04")
@pytest.mark.parametrize(
    "change",
    [
        lambda v, k, n, b: f"v2.{k}.{n}.{b}",
        lambda v, k, n, b: f"none.{k}.{n}.{b}",
        lambda v, k, n, b: f"{v}.d2.{n}.{b}",
        lambda v, k, n, b: f"{v}..{n}.{b}",
        lambda v, k, n, b: f"{v}.{k}.{n}.{b}=",
        lambda v, k, n, b: f"{v}.{k}.{n}.{b}\n",
        lambda v, k, n, b: f"{v}.{k}.{n}.{b}.",
        lambda v, k, n, b: f"{v}.{k}.{n}{n}.{b}",
        lambda v, k, n, b: f"{v}.{k}..{b}",
        lambda v, k, n, b: f"{v}.{k}.{n}",
        lambda v, k, n, b: f"{v}.{k}.{n}.ä",
        lambda v, k, n, b: "",
    ],
)
def test_another_writing_of_a_box_is_refused(change):
    assert is_broken(KEY, PLACE, Sealed(change(*KEY.seal(PLACE, SECRET).text.split("."))))


def test_a_box_has_one_writing_only():
    # Two characters carry 12 bits for one byte: four of them are loose and must be zero.
    assert encoding.encode(b"\xff") == "_w"
    for text in ("_x", "_w==", "_w\n", "/w", "_", "_w_w_"):
        with pytest.raises(ValueError, match=r"base64|canonical"):
            encoding.decode(text)


@pytest.mark.attack("H04")
def test_another_key_of_the_same_name_does_not_open():
    assert is_broken(SealingKey.generate("d1"), PLACE, KEY.seal(PLACE, SECRET))


@pytest.mark.parametrize(
    ("name", "material"), [("d.1", bytes(32)), ("", bytes(32)), ("d1", bytes(31)), ("d1", bytes(33))]
)
def test_a_key_that_is_none_is_refused(name, material):
    with pytest.raises(ValueError, match="32 bytes"):
        SealingKey(name, material)


def test_a_ring_opens_old_boxes_seals_new_ones_and_says_which_are_due():
    new = SealingKey.generate("d2")
    ring = KeyRing(new, older=(KEY,))
    old_box, new_box = KEY.seal(PLACE, SECRET), ring.seal(PLACE, SECRET)
    assert ring.open(PLACE, old_box) == ring.open(PLACE, new_box) == SECRET
    assert (old_box.key_name, new_box.key_name) == ("d1", "d2")
    assert [ring.is_current(old_box), ring.is_current(new_box)] == [False, True]
    resealed = ring.reseal(PLACE, old_box)
    assert KeyRing(new).open(PLACE, resealed) == SECRET
    assert is_broken(KeyRing(new), PLACE, old_box)


def test_a_ring_has_no_two_keys_of_one_name():
    with pytest.raises(ValueError, match="same name"):
        KeyRing(KEY, older=(SealingKey.generate("d1"),))


OLD, NEW = RootKey(bytes(range(32))), RootKey(bytes(range(1, 33)))


async def test_a_data_key_is_wrapped_for_its_organization_and_version_only():
    roots = RootKeys(OLD)
    wrapped = await wrap_data_key(roots, SEVEN, 1, None)
    sealed = (await open_data_key(roots, SEVEN, 1, wrapped)).seal(PLACE, SECRET)
    assert (await open_data_key(roots, SEVEN, 1, wrapped)).open(PLACE, sealed) == SECRET
    for organization_id, version in ((EIGHT, 1), (SEVEN, 2)):
        with pytest.raises(SealBroken):
            await open_data_key(roots, organization_id, version, wrapped)


@pytest.mark.attack("H05")
async def test_the_root_is_rotated_row_by_row_while_both_keys_are_loaded():
    first, second = [await wrap_data_key(RootKeys(OLD), owner, 1, None) for owner in (SEVEN, EIGHT)]
    both, ring = RootKeys(OLD, [NEW]), KeyRing(NEW, older=(OLD,))
    first = ring.reseal(data_key_place(SEVEN, 1), first)
    # Interrupted here: both rows are readable, and it is clear which one is left.
    assert [ring.is_current(first), ring.is_current(second)] == [True, False]
    for organization_id, wrapped in ((SEVEN, first), (EIGHT, second)):
        await open_data_key(both, organization_id, 1, wrapped)
    second = ring.reseal(data_key_place(EIGHT, 1), second)
    await open_data_key(RootKeys(NEW), EIGHT, 1, second)
    with pytest.raises(SealBroken):
        await open_data_key(RootKeys(OLD), EIGHT, 1, second)


async def test_what_is_wrapped_now_is_wrapped_by_the_root_in_force():
    both = RootKeys(OLD, [NEW])
    for check, root in ((None, OLD), (OLD.check, OLD), (NEW.check, NEW)):
        assert (await wrap_data_key(both, SEVEN, 1, check)).key_name == root.name
    with pytest.raises(ConfigurationError, match="rotated"):
        await wrap_data_key(RootKeys(OLD), SEVEN, 1, NEW.check)
    assert OLD.check != NEW.check
