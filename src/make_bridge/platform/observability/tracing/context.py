"""The context of a trace as W3C writes it (Trace Context, level 2): in headers, in rows, in the signed inner context.

A header from outside is a stranger's text: what is not exactly of the form is no context at all, and a trace state
that is not is dropped alone.
"""

import re
from typing import Final, NamedTuple

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
MOST_STATE: Final = 512
_ZEROS: Final = frozenset("0")
_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_MEMBER: Final = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}")
_MOST_MEMBERS: Final = 32
_SAMPLED: Final = 1
_FORBIDDEN_VERSION: Final = "ff"


class TraceContext(NamedTuple):
    """Which span of which trace something belongs to, and whether that trace is kept."""

    trace_id: str
    span_id: str
    is_sampled: bool
    state: str = ""

    @property
    def parent(self) -> str:
        """Return the value of the header ``traceparent``."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.is_sampled else '00'}"

    @property
    def written(self) -> str:
        """Return it in one line, for a row or the signed context: the parent, and the state after a blank."""
        return f"{self.parent} {self.state}" if self.state else self.parent


def read_context(parent: str, state: str = "") -> TraceContext | None:
    """Return what the headers say; None for anything but a context, also one of zeros."""
    form = _PARENT.fullmatch(parent)
    if form is None:
        return None
    version, trace_id, span_id, flags, more = form.groups()
    # A later version may add fields behind ours; the first has none, and ff is no version.
    if version == _FORBIDDEN_VERSION or (version == "00" and more is not None):
        return None
    if _ZEROS.issuperset(trace_id) or _ZEROS.issuperset(span_id):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED), _checked(state))


def read_written(text: str | None) -> TraceContext | None:
    """Return what ``written`` wrote; None for nothing, and for anything else."""
    if not text:
        return None
    parent, _, state = text.partition(" ")
    return read_context(parent, state)


def _checked(state: str) -> str:
    if not 0 < len(state) <= MOST_STATE:
        return ""
    members = [member.strip(" \t") for member in state.split(",")]
    is_sound = len(members) <= _MOST_MEMBERS and all(_MEMBER.fullmatch(member) for member in members)
    return ",".join(members) if is_sound else ""
