"""The context of a trace in W3C's form: read strictly, written as it was read, whatever strangers send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.platform.observability.tracing.context import TraceContext, read_context, read_written

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEX = st.text(alphabet="0123456789abcdef", min_size=1)
CONTEXTS = st.builds(
    TraceContext,
    trace_id=st.integers(1, 2**128 - 1).map("{:032x}".format),
    span_id=st.integers(1, 2**64 - 1).map("{:016x}".format),
    is_sampled=st.booleans(),
    state=st.sampled_from(["", "vendor=value", "a=1,b@c=x y"]),
)


@given(CONTEXTS)
def test_what_is_written_is_read_back(context: TraceContext) -> None:
    assert read_written(context.written) == context
    assert read_context(context.parent, context.state) == context


@pytest.mark.parametrize(
    ("flags", "is_sampled"), [("00", False), ("01", True), ("03", True), ("02", False), ("ff", True)]
)
def test_one_bit_says_whether_a_trace_is_kept(flags: str, *, is_sampled: bool) -> None:
    context = read_context(f"00-{TRACE}-{SPAN}-{flags}")
    assert context is not None
    assert context.is_sampled is is_sampled


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-0",
        f"00-{TRACE}-{SPAN}-011",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01\r\nX-Evil: 1",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{'g' * 32}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-\uff101",
    ],
)
def test_anything_but_a_context_is_none(parent: str) -> None:
    assert read_context(parent) is None


def test_a_later_version_may_say_more() -> None:
    assert read_context(f"01-{TRACE}-{SPAN}-01-more") == TraceContext(TRACE, SPAN, is_sampled=True)


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("vendor=value", "vendor=value"),
        ("a=1 , b=2", "a=1,b=2"),
        ("a=1,", ""),
        ("no member", ""),
        ("a=1\r\nX-Evil: 1", ""),
        ("A=1", ""),
        ("a=" + "x" * 257, ""),
        (",".join(f"k{n}=v" for n in range(33)), ""),
        (",".join(f"k{n}=v" for n in range(32)), ",".join(f"k{n}=v" for n in range(32))),
        (",".join(f"key{n}=" + "v" * 30 for n in range(20)), ""),
    ],
)
def test_a_state_that_is_none_is_dropped_alone(state: str, kept: str) -> None:
    context = read_context(f"00-{TRACE}-{SPAN}-01", state)
    assert context is not None
    assert context.state == kept


@given(st.text(max_size=700), st.text(max_size=700))
def test_no_text_of_a_stranger_is_an_error_or_goes_on_as_it_is(parent: str, state: str) -> None:
    context = read_context(parent, state)
    if context is not None:
        assert context.parent.isascii()
        assert len(context.written) <= 55 + 1 + 512
        assert context.written.isprintable()
    read_written(parent)
