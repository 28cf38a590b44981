"""Which traces are kept, and how spans find their place: without a collector, in one process."""

import asyncio
import contextvars
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.kernel.entropy import random_hex
from make_bridge.kernel.errors import NotFound
from make_bridge.platform.observability.tracing.context import read_written
from make_bridge.platform.observability.tracing.spans import (
    NOTHING,
    Span,
    adopt,
    carried,
    current,
    here,
    of_organization,
    start_apart,
    step,
)
from make_bridge.platform.observability.tracing.tracer import TraceRules, Tracing

LOW, HIGH = "a" * 16 + "0" * 15 + "1", "a" * 16 + "f" * 16
ORGANIZATION = 1024
FOREIGN = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Kept:
    """What a collector would get."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.cut = 0

    def tracing(self, **rules: object) -> Tracing:
        return Tracing(TraceRules(**{"share": 1.0, **rules}), self.spans.append, self._cut)  # type: ignore[arg-type]

    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def _cut(self) -> None:
        self.cut += 1


@pytest.fixture
def kept() -> Iterator[Kept]:
    yield Kept()
    assert current() is None


def headers(flags: str = "01", state: str | None = None) -> list[tuple[bytes, bytes]]:
    found = [(b"traceparent", f"00-{FOREIGN}-{PARENT}-{flags}".encode())]
    return found if state is None else [*found, (b"tracestate", state.encode())]


def test_a_request_begins_a_trace_of_its_own_id_and_steps_stand_below_it(kept: Kept) -> None:
    with kept.tracing().request(HIGH, []) as root:
        root.rename("POST /hook/{token}")
        with step("one") as one, step("two", "client"):
            one.set("make_bridge.module.id", 2)
    two, first, request = kept.spans
    assert (request.name, request.kind, request.parent_id, request.trace.trace_id) == (
        "POST /hook/{token}",
        "server",
        "",
        HIGH,
    )
    assert (first.name, first.parent_id, first.attributes) == ("one", request.span_id, {"make_bridge.module.id": 2})
    assert (two.name, two.kind, two.parent_id) == ("two", "client", first.span_id)
    assert request.started_at <= first.started_at <= two.started_at <= two.ended_at <= request.ended_at


def test_without_rules_nothing_begins(kept: Kept) -> None:
    off = Tracing()
    assert off.request(LOW, headers()) is NOTHING
    assert off.root(LOW, "schedule", "producer", ORGANIZATION) is NOTHING
    assert off.going_on(f"00-{FOREIGN}-{PARENT}-01", "run", "consumer") is NOTHING
    assert step("anything") is NOTHING
    assert carried() is None


@given(st.floats(0, 1))
def test_the_share_is_decided_by_the_traces_own_number(share: float) -> None:
    tracing = Tracing(TraceRules(share=share))
    for number in range(0, 1 << 64, (1 << 64) // 50):
        expected = number < int(share * (1 << 64))
        assert tracing.keeps(f"{'c' * 16}{number:016x}", None) is expected


def test_about_the_share_of_traces_is_kept(kept: Kept) -> None:
    tracing = kept.tracing(share=0.1)
    for _ in range(5000):
        with tracing.request(random_hex(16), []):
            pass
    assert 350 < len(kept.spans) < 650


def test_an_organization_has_a_share_of_its_own(kept: Kept) -> None:
    tracing = kept.tracing(share=0.0, shares={ORGANIZATION: 1.0, 2048: 0.0})
    for organization in (ORGANIZATION, 2048, 4096):
        with tracing.request(HIGH, []), step(f"before {organization}"):
            of_organization(organization)
            with step(f"after {organization}"):
                pass
    assert kept.names() == [f"after {ORGANIZATION}", f"before {ORGANIZATION}", "HTTP"]
    assert {span.attributes.get("make_bridge.organization.id") for span in kept.spans} == {None, ORGANIZATION}


def test_an_organization_can_be_left_out_of_what_is_kept(kept: Kept) -> None:
    with kept.tracing(share=1.0, shares={ORGANIZATION: 0.0}).request(LOW, []), step("look up"):
        of_organization(ORGANIZATION)
        assert carried() is None
        assert step("later") is NOTHING
    assert kept.spans == []


def test_a_decision_stands(kept: Kept) -> None:
    with kept.tracing(share=0.0, shares={ORGANIZATION: 1.0}).request(HIGH, []):
        of_organization(ORGANIZATION)
        of_organization(2048)
        assert carried() is not None
    assert len(kept.spans) == 1


def test_a_strangers_trace_is_linked_to_and_neither_obeyed_nor_taken_over(kept: Kept) -> None:
    tracing = kept.tracing(share=0.5)
    with tracing.request(HIGH, headers("01")) as span:
        assert span is NOTHING
    with tracing.request(LOW, headers("00", "vendor=1")):
        context = here()
    [span] = kept.spans
    assert (span.trace.trace_id, span.parent_id) == (LOW, "")
    assert span.link is not None
    assert (span.link.trace_id, span.link.span_id) == (FOREIGN, PARENT)
    assert context is not None
    assert context.state == ""


@pytest.mark.parametrize("flags", ["00", "01"])
def test_a_trusted_trace_goes_on_and_its_decision_is_obeyed(kept: Kept, flags: str) -> None:
    with kept.tracing(share=0.5, trusts_incoming=True).request(HIGH, headers(flags, "vendor=1")):
        context = here()
        of_organization(ORGANIZATION)
    if flags == "00":
        assert (kept.spans, context) == ([], None)
        return
    [span] = kept.spans
    assert (span.trace.trace_id, span.parent_id, span.trace.state) == (FOREIGN, PARENT, "vendor=1")
    assert context is not None
    assert context.state == "vendor=1"


def test_two_parents_are_none(kept: Kept) -> None:
    with kept.tracing(trusts_incoming=True).request(HIGH, [*headers(), *headers()]):
        pass
    assert kept.spans[0].trace.trace_id == HIGH


def test_an_inner_request_goes_on_with_the_trace_that_is_proven_later(kept: Kept) -> None:
    tracing = kept.tracing(share=0.0)
    with tracing.request(HIGH, headers(), is_inner=True), step("look up"):
        pass
    assert kept.spans == []
    with tracing.request(HIGH, headers(), is_inner=True), step("look up"):
        with step("read"):
            pass
        adopt(f"00-{FOREIGN}-{PARENT}-01")
    assert kept.names() == ["read", "look up", "HTTP"]
    assert {span.trace.trace_id for span in kept.spans} == {FOREIGN}
    assert kept.spans[-1].parent_id == PARENT


def test_an_inner_request_of_a_trace_that_is_not_kept_is_not_either(kept: Kept) -> None:
    with kept.tracing(share=1.0).request(LOW, [], is_inner=True):
        adopt("")
        of_organization(ORGANIZATION)
        assert step("later") is NOTHING
    assert kept.spans == []


def test_what_is_stored_goes_on_elsewhere(kept: Kept) -> None:
    tracing = kept.tracing()
    with tracing.request(LOW, []):
        stored = carried()
    with tracing.going_on(stored, "run", "consumer"), step("module"):
        again = carried()
    request, module, run = kept.spans
    assert {span.trace.trace_id for span in kept.spans} == {LOW}
    assert (run.parent_id, module.parent_id) == (request.span_id, run.span_id)
    read = read_written(again)
    assert read is not None
    assert read.span_id == module.span_id


def test_what_belongs_to_no_trace_is_kept_out_of_the_one_around_it(kept: Kept) -> None:
    tracing = kept.tracing()
    with tracing.request(LOW, []):
        for nothing in (None, "", "no context", f"00-{FOREIGN}-{PARENT}-00"):
            with tracing.going_on(nothing, "run", "consumer"):
                assert current() is None
                assert step("module") is NOTHING
        assert current() is not None
    assert kept.names() == ["HTTP"]


async def test_a_task_apart_is_in_no_trace_and_others_are_in_theirs(kept: Kept) -> None:
    async def look() -> Span | None:
        return current()

    with kept.tracing().request(LOW, []) as root:
        assert await start_apart(look()) is None
        assert await asyncio.create_task(look()) is root


def test_work_that_is_thrown_away_elsewhere_ends_its_span_without_a_word(kept: Kept) -> None:
    def work() -> Iterator[None]:
        with kept.tracing().request(LOW, []):
            yield

    begun = work()
    contextvars.copy_context().run(next, begun)
    begun.close()  # type: ignore[attr-defined]
    assert kept.names() == ["HTTP"]


def test_a_trace_has_room_for_so_many_spans(kept: Kept) -> None:
    with kept.tracing(most_spans=10).request(LOW, []):
        for number in range(25):
            with step(f"step {number}"):
                pass
    assert (len(kept.spans), kept.cut) == (10, 16)


def test_an_error_is_told_by_its_word_and_never_by_its_text(kept: Kept) -> None:
    with pytest.raises(NotFound), kept.tracing().request(LOW, []), step("look up"):
        raise NotFound("No customer hunter2.")
    with pytest.raises(ValueError, match="hunter2"), kept.tracing().request(LOW, []):
        raise ValueError("hunter2")
    assert [span.failure for span in kept.spans] == ["not_found", "not_found", "ValueError"]


def test_a_span_that_began_before_anybody_looked_has_its_own_start(kept: Kept) -> None:
    with kept.tracing().request(LOW, []), step("wait in queue") as span:
        span.began_at(1_000)
    assert kept.spans[0].started_at == 1_000
    with kept.tracing().request(LOW, []), step("wait in queue") as span:
        span.began_at(1 << 62)
    assert kept.spans[2].started_at <= kept.spans[2].ended_at


def test_a_schedule_begins_a_trace_for_its_organization(kept: Kept) -> None:
    tracing = kept.tracing(share=0.0, shares={ORGANIZATION: 1.0})
    with tracing.root(HIGH, "schedule", "producer", ORGANIZATION):
        assert carried() is not None
    with tracing.root(LOW, "schedule", "producer", 2048) as span:
        assert span is NOTHING
    assert kept.names() == ["schedule"]
