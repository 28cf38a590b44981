"""The canonical form of audit rows, by itself: stated once, and never two rows with one form."""

import hashlib
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.platform.audit.chain import GENESIS, ChainedRow, canonical, joined, link
from make_bridge.platform.audit.signing import Head, Signer

ROW = ChainedRow(
    id=1024, organization_id=3, actor_kind="api_token", actor="2048", action="scenario.edit", object="scenario/1",
    detail=b'{"name":"x"}', before=None, after=b"{}", request_id="r", address="192.0.2.1",
    created_at=datetime(2026, 11, 22, 12, 0, 0, 1, tzinfo=UTC),
)  # fmt: skip


def test_the_form_is_the_one_that_is_stated_so_that_anybody_can_compute_it():
    def field(text):
        return len(text).to_bytes(4, "big") + text

    expected = b"".join(
        [
            *map(field, [b"make-bridge audit 1", b"shard", b"3", b"7", b"1024", b"api_token", b"2048"]),
            *map(field, [b"scenario.edit", b"scenario/1", b'{"name":"x"}']),
            b"\xff\xff\xff\xff",
            *map(field, [b"{}", b"r", b"192.0.2.1", b"1795348800000001"]),
        ]
    )
    assert canonical("shard", 7, ROW) == expected
    assert link(GENESIS, "shard", 7, ROW) == hashlib.sha256(bytes(32) + expected).digest()


@pytest.mark.parametrize("field", [name for name in ChainedRow.__struct_fields__ if name not in {"sequence", "seal"}])
def test_every_field_counts(field):
    value = getattr(ROW, field)
    other = {int: 5, str: "other", bytes: b"other", type(None): b"", datetime: datetime(2026, 1, 1, tzinfo=UTC)}
    changed = msgspec.structs.replace(ROW, **{field: other[type(value)]})
    assert canonical("shard", 7, changed) != canonical("shard", 7, ROW)


def test_home_place_and_predecessor_count():
    forms = {canonical(home, place, ROW) for home in ("shard", "directory") for place in (7, 8)}
    assert len(forms) == 4
    assert link(GENESIS, "shard", 7, ROW) != link(b"\x01" * 32, "shard", 7, ROW)


fields = st.lists(st.one_of(st.none(), st.binary(max_size=6), st.text(max_size=4)), max_size=5)


@given(fields, fields)
def test_no_two_lists_of_fields_have_one_form(one, other):
    octets = [[f.encode() if isinstance(f, str) else f for f in each] for each in (one, other)]
    assert (joined(*one) == joined(*other)) == (octets[0] == octets[1])


def test_a_signature_is_for_its_kind_and_head_only_and_a_signer_shows_no_key():
    signer = Signer(b"k" * 32)
    head = Head(home="shard", organization_id=3, sequence=7, hash=b"h" * 32)
    signature = signer.sign("head", head)
    assert signer.accepts("head", head, signature)
    assert not signer.accepts("anchor", head, signature)
    assert not signer.accepts("head", msgspec.structs.replace(head, sequence=8), signature)
    assert not signer.accepts("head", msgspec.structs.replace(head, home="directory"), signature)
    assert not Signer(b"l" * 32).accepts("head", head, signature)
    assert "kkk" not in repr(signer)
