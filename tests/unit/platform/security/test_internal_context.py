"""The signed internal context: what was written is read; whatever is changed, late, doubled or astray is refused."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from make_bridge.faces.edge.request_head import read_head
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import ConfigurationError, Unauthenticated
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.security.internal_context import (
    HEADER,
    LEEWAY_SECONDS,
    MOST_BYTES,
    MOST_SECONDS,
    MOST_WAIT_SECONDS,
    ContextFault,
    Forwarded,
    ForwardedCall,
    InternalContextRefused,
    InternalContexts,
)
from make_bridge.platform.security.root_key import RootKey
from support.edge import LIMITS

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
ROOT, OTHER = RootKey(bytes(range(32))), RootKey(bytes(range(1, 33)))
CONTEXT = Context(
    organization_id=OrganizationId(7),
    actor=Actor(kind=ActorKind.CUSTOMER, reference="dana@example.com"),
    permissions=frozenset({"scenarios:read", "scenarios:run"}),
    request_id="0123456789abcdef0123456789abcdef",
    team_id=TeamId(12),
    idempotency_key="once",
    body_digest=hashlib.sha256(b"{}").digest(),
    address="192.0.2.7",
)
HANDED = Forwarded(
    context=CONTEXT,
    home=TeamId(12),
    deadline=NOW + timedelta(seconds=30),
    trace="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
)
CALL = ForwardedCall(audience="scenarios", method="POST", target="/portal/api/bridge/scenarios/4?a=b", body=b"{}")
WRITER = InternalContexts(ROOT)


def written(handed=HANDED, call=CALL, now=NOW, writer=WRITER):
    return writer.write(handed, call, now)


def fault_of(value, call=CALL, now=NOW, reader=WRITER):
    values = value if isinstance(value, list) else [value]
    with pytest.raises(InternalContextRefused) as refused:
        reader.read(values, call, now)
    assert isinstance(refused.value, Unauthenticated)
    assert refused.value.message == InternalContextRefused(ContextFault.SHAPE).message
    return refused.value.fault


def payload_of(value):
    part = value.split(".")[2]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_again(payload, root=ROOT):
    """What a process of ours would write with this payload."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signed = f"v1.{root.name}.{encoded(raw)}"
    return f"{signed}.{encoded(hmac.digest(root.derive(b'internal context v1'), signed.encode(), 'sha256'))}"


def test_what_was_handed_over_is_what_is_read():
    assert WRITER.read([written()], CALL, NOW) == HANDED


def test_a_context_without_anything_that_may_be_left_out_is_read_too():
    bare = Forwarded(
        context=Context(
            organization_id=OrganizationId(7),
            actor=Actor(kind=ActorKind.SYSTEM, reference="relay"),
            permissions=frozenset(),
            request_id="r",
        ),
        home=TeamId(1),
        deadline=NOW,
    )
    call = ForwardedCall(audience="bridge", method="GET", target="/")
    assert WRITER.read([WRITER.write(bare, call, NOW)], call, NOW) == bare


CHANGES = {
    "audience": "worker",
    "method": "DELETE",
    "target": "/portal/api/bridge/scenarios/5",
    "body": hashlib.sha256(b"{ }").hexdigest(),
    "issued": int(NOW.timestamp() * 1000) + 1,
    "expires": int(NOW.timestamp() * 1000) + 59_000,
    "deadline": int(NOW.timestamp() * 1000) + 31_000,
    "trace": "",
    "organization": 8,
    "team": 13,
    "home": 13,
    "actor": "system",
    "reference": "eve@example.com",
    "permissions": ["*"],
    "request": "f" * 32,
    "idempotency": "twice",
    "repetition": None,
    "address": "192.0.2.8",
}


def test_every_member_is_among_those_that_are_changed():
    assert payload_of(written()).keys() == CHANGES.keys()


@pytest.mark.parametrize("name", CHANGES)
def test_a_member_that_was_changed_is_refused(name):
    value = written()
    version, key, _, signature = value.split(".")
    changed = payload_of(value) | {name: CHANGES[name]}
    forged = encoded(json.dumps(changed, separators=(",", ":")).encode())
    assert fault_of(f"{version}.{key}.{forged}.{signature}") is ContextFault.SIGNATURE


def test_no_character_of_a_context_can_be_another():
    value = written()
    for at, sign in enumerate(value):
        if sign != ".":
            other = "A" if sign != "A" else "B"
            fault_of(value[:at] + other + value[at + 1 :])


@pytest.mark.parametrize(
    "value", ["", "v1", "v1...", "v2.{rest}", " v1.{rest}", "v1.{rest} ", "v1.{rest}=", "v1.{rest}.x"]
)
def test_another_form_is_refused(value):
    rest = written().partition(".")[2]
    assert fault_of(value.replace("{rest}", rest)) is ContextFault.SHAPE


def test_no_header_and_two_headers_are_refused():
    assert fault_of([]) is ContextFault.MISSING
    assert fault_of([written(), written()]) is ContextFault.REPEATED


def test_a_context_that_is_too_long_is_neither_written_nor_read():
    assert fault_of("v1." + "a" * MOST_BYTES) is ContextFault.TOO_LONG
    many = replace(CONTEXT, permissions=frozenset(f"permission:{number}" for number in range(1000)))
    with pytest.raises(ConfigurationError):
        written(replace(HANDED, context=many))


@pytest.mark.parametrize("seconds", [MOST_SECONDS, 5])
def test_a_context_ends(seconds):
    writer = InternalContexts(ROOT, seconds=seconds)
    value, end = written(writer=writer), NOW + timedelta(seconds=seconds + LEEWAY_SECONDS)
    assert writer.read([value], CALL, end - timedelta(milliseconds=1)) == HANDED
    assert fault_of(value, now=end) is ContextFault.EXPIRED


def test_a_context_from_a_time_that_is_not_yet_is_refused():
    early = NOW - timedelta(seconds=LEEWAY_SECONDS)
    assert WRITER.read([written()], CALL, early) == HANDED
    assert fault_of(written(), now=early - timedelta(milliseconds=1)) is ContextFault.NOT_YET_VALID


@pytest.mark.parametrize("seconds", [0, MOST_SECONDS + 1])
def test_nobody_writes_contexts_that_live_for_no_time_or_too_long(seconds):
    with pytest.raises(ConfigurationError):
        InternalContexts(ROOT, seconds=seconds)


@pytest.mark.parametrize(
    ("name", "milliseconds"),
    [("expires", MOST_SECONDS * 1000 + 1), ("expires", 0), ("expires", -1), ("deadline", MOST_WAIT_SECONDS * 1000 + 1)],
)
def test_a_context_that_lives_or_waits_too_long_is_refused_though_it_is_signed(name, milliseconds):
    payload = payload_of(written())
    assert fault_of(signed_again(payload | {name: payload["issued"] + milliseconds})) is ContextFault.LIFETIME


def test_a_deadline_that_is_too_far_is_not_written():
    with pytest.raises(ConfigurationError):
        written(replace(HANDED, deadline=NOW + timedelta(seconds=MOST_WAIT_SECONDS + 1)))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"audience": "worker"}, ContextFault.AUDIENCE),
        ({"method": "PUT"}, ContextFault.REQUEST),
        ({"target": "/portal/api/bridge/scenarios/4"}, ContextFault.REQUEST),
        ({"body": b"{}\n"}, ContextFault.BODY),
    ],
    ids=["role", "method", "target", "body"],
)
def test_a_context_is_for_one_role_one_request_and_one_body(change, fault):
    assert fault_of(written(), call=replace(CALL, **change)) is fault


def test_the_keys_before_are_read_while_the_root_key_is_rotated_and_none_else():
    old, new = InternalContexts(OTHER), InternalContexts(ROOT, [OTHER])
    assert new.read([written(writer=old)], CALL, NOW) == HANDED
    assert InternalContexts(OTHER, [ROOT]).read([written(writer=new)], CALL, NOW) == HANDED
    assert fault_of(written(writer=old)) is ContextFault.UNKNOWN_KEY


def test_the_name_of_one_key_does_not_let_another_sign():
    value = signed_again(payload_of(written()), OTHER).replace(OTHER.name, ROOT.name)
    assert fault_of(value) is ContextFault.SIGNATURE


@pytest.mark.parametrize(
    "change",
    [{"more": 1}, {"organization": "7"}, {"team": 1.5}, {"actor": "root"}, {"permissions": "all"}, {"request": None},
     {"repetition": "zz"}, {"deadline": -(10**18)}],
    ids=["unknown", "text for a number", "fraction", "actor", "no list", "nothing", "no digest", "before all time"],
)  # fmt: skip
def test_a_payload_of_another_shape_is_refused_though_it_is_signed(change):
    assert fault_of(signed_again(payload_of(written()) | change)) is ContextFault.PAYLOAD


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\xff", b"[" * 4000])
def test_a_payload_that_is_no_object_of_ours_is_refused(raw):
    assert fault_of(signed_again(raw or b"null")) is ContextFault.PAYLOAD


def test_the_key_of_contexts_is_no_other_key_of_the_root():
    """What signs here neither seals, nor names a key, nor makes a password."""
    assert ROOT.derive(b"internal context v1") not in {ROOT.derive(b"database role"), ROOT.derive(b"root key check")}


@pytest.mark.parametrize("name", [HEADER, HEADER.replace("-", "_"), f"{HEADER}-2"])
@pytest.mark.parametrize("keeps_identity", [True, False])
def test_from_outside_a_context_reaches_nobody_on_any_surface(name, keeps_identity):
    headers = [(b"host", b"bridge.example"), (name.encode(), written().encode())]
    head = read_head(headers, LIMITS, keeps_identity=keeps_identity)
    assert head.headers == headers[:1]
