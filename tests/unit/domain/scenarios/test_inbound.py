"""The rules of a hook for its callers: what may be set, and where the id of an event is found."""

import msgspec
import pytest

from make_bridge.domain.executions.event_ids import event_id_of
from make_bridge.domain.executions.trigger import CallHead
from make_bridge.domain.scenarios.inbound import (
    DedupeRule,
    Inbound,
    InboundLimits,
    checked_dedupe,
    checked_signature,
    decode_inbound,
    with_inbound,
)
from make_bridge.domain.scenarios.signatures import SignatureRule
from make_bridge.kernel.errors import InvalidInput

LIMITS = InboundLimits(tolerance=600, window=100_000)


def test_rules_stand_beside_the_other_settings_of_a_hook_and_leave_them_alone():
    rules = Inbound(signature=SignatureRule(scheme="github", secrets=["v1.x"]), dedupe=DedupeRule(header="x-id"))
    stored = with_inbound(b'{"headers":true,"api_keys":["ab"]}', rules)
    assert decode_inbound(stored) == rules
    assert msgspec.json.decode(with_inbound(stored, Inbound())) == {"headers": True, "api_keys": ["ab"]}


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (DedupeRule(), "dedupe"),
        (DedupeRule(header="x-id", expression="{{1.id}}"), "dedupe"),
        (DedupeRule(header="no header"), "dedupe.header"),
        (DedupeRule(header="x-é"), "dedupe.header"),
        (DedupeRule(header="x-id", window_seconds=0), "dedupe.windowSeconds"),
        (DedupeRule(header="x-id", window_seconds=100_001), "dedupe.windowSeconds"),
        (DedupeRule(expression="{{1.id"), "dedupe.expression"),
        (DedupeRule(expression="always the same"), "dedupe.expression"),
        (DedupeRule(expression="{{1.a}}{{2.b}}"), "dedupe.expression"),
        (DedupeRule(expression="{{1.a}}{{var.input.x}}"), "dedupe.expression"),
        (DedupeRule(expression="{{nowhere(1.id)}}"), "dedupe.expression"),
        (DedupeRule(expression="{{1.id}}" + "x" * 1000), "dedupe.expression"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_rule_for_repeats_that_cannot_work_is_refused_by_its_field(rule, field):
    with pytest.raises(InvalidInput) as refused:
        checked_dedupe(rule, LIMITS)
    assert list(refused.value.fields) == [field]


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (SignatureRule(scheme="stripe", tolerance_seconds=0), "signature.toleranceSeconds"),
        (SignatureRule(scheme="stripe", tolerance_seconds=601), "signature.toleranceSeconds"),
        (SignatureRule(scheme="github", tolerance_seconds=60), "signature.toleranceSeconds"),
        (SignatureRule(scheme="github", header="x-other"), "signature.scheme"),
        (SignatureRule(scheme="hmac"), "signature.header"),
        (SignatureRule(scheme="hmac", header="x y"), "signature.header"),
        (SignatureRule(scheme="hmac", header="x", prefix="sha 256="), "signature.prefix"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_rule_for_signatures_that_cannot_work_is_refused_by_its_field(rule, field):
    with pytest.raises(InvalidInput) as refused:
        checked_signature(rule, LIMITS)
    assert list(refused.value.fields) == [field]


def test_names_of_headers_are_kept_in_lower_case():
    assert checked_dedupe(DedupeRule(header="X-Event-Id"), LIMITS).header == "x-event-id"
    assert checked_signature(SignatureRule(scheme="hmac", header="X-Sig"), LIMITS).header == "x-sig"


def _of(rule, bundle=None, *headers):
    return event_id_of(rule, CallHead(headers=list(headers)), bundle or {})


def test_the_same_id_is_the_same_event_wherever_it_stands():
    by_header, by_expression = DedupeRule(header="x-id"), DedupeRule(expression="{{7.order.id}}")
    assert _of(by_header, {}, ("x-id", "e1")) == _of(by_expression, {"order": {"id": "e1"}})
    assert _of(by_header, {}, ("x-id", "e1")) != _of(by_header, {}, ("x-id", "e2"))
    assert len(_of(by_header, {}, ("x-id", "e" * 100_000))) == 32
    assert _of(by_expression, {"order": {"id": 17}}) == _of(by_header, {}, ("x-id", "17"))
    assert _of(by_expression, {"order": {"id": "\x00\ud800"}})


def test_a_call_without_an_id_is_of_no_event():
    assert _of(DedupeRule(header="x-id")) is None
    assert _of(DedupeRule(header="x-id"), {}, ("x-id", "  ")) is None
    assert _of(DedupeRule(expression="{{1.id}}"), {"other": 1}) is None
    assert _of(DedupeRule(expression="{{1.id}}"), {"id": ""}) is None


@pytest.mark.parametrize(
    ("rule", "bundle", "headers"),
    [
        (DedupeRule(header="x-id"), {}, [("x-id", "a"), ("x-id", "b")]),
        (DedupeRule(expression="{{1.id}}"), {"id": ["a"]}, []),
        (DedupeRule(expression="{{1.id}}"), {"id": {"a": 1}}, []),
        (DedupeRule(expression="{{1.id}}"), {"id": b"a"}, []),
        (DedupeRule(expression="{{1.id}}{{now}}"), {"id": "a"}, []),
        (DedupeRule(expression="{{1.id}}{{uuid}}"), {"id": "a"}, []),
        (DedupeRule(expression="{{1.id}}{{random}}"), {"id": "a"}, []),
        (DedupeRule(expression="{{repeat(1.id; 1000000)}}"), {"id": "a" * 1000}, []),
    ],
    ids=["header twice", "list", "object", "bytes", "now", "uuid", "random", "budget"],
)
def test_what_is_no_id_is_a_bad_call(rule, bundle, headers):
    with pytest.raises(InvalidInput):
        _of(rule, bundle, *headers)
