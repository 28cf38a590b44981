"""Which event a call tells of: the id by which a repeated one is known again.

Pure; ``ingest`` asks for the calls of hooks with a rule. The id is what a header or an expression gives, kept as its
digest: that bounds what is stored, and shows nothing of what a confidential scenario is sent. A call without an id is
new.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn
from zoneinfo import ZoneInfo

from make_bridge.domain.executions.trigger import Bundle, CallHead
from make_bridge.domain.scenarios.inbound import DedupeRule
from make_bridge.engine.iml import Budget, ExpressionError, compile_template
from make_bridge.engine.values import Value, to_text
from make_bridge.kernel.errors import InvalidInput

_UTC = ZoneInfo("UTC")


def event_id_of(rule: DedupeRule, head: CallHead, bundle: Bundle) -> bytes | None:
    """Return the digest of the call's event id, None when it has none; raises InvalidInput for what is no id."""
    text = _in_header(rule.header, head) if rule.header else _computed(rule.expression, bundle)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() if text else None


def _in_header(name: str, head: CallHead) -> str:
    found = [value for given, value in head.headers if given == name]
    if len(found) > 1:
        raise InvalidInput(f"The header {name} names the event and stands here more than once.", code="event_id")
    return found[0].strip() if found else ""


def _computed(expression: str, bundle: Bundle) -> str:
    try:
        value = compile_template(expression).evaluate(_CallScope(bundle))
    except ExpressionError as error:
        raise InvalidInput(f"The id of this event cannot be told from the call: {error}", code="event_id") from None
    if isinstance(value, (list, dict, bytes)):
        raise InvalidInput(
            "The id of this event is a text or a number, not a list, an object or a file.", code="event_id"
        )
    return to_text(value)


@dataclass(frozen=True, slots=True)
class _CallScope:
    """What the expression sees: the call, whatever the number of the module that takes it."""

    call: Bundle
    budget: Budget = field(default_factory=Budget)

    def bundle(self, module_id: int) -> Value:
        _ = module_id
        return self.call

    def variable(self, name: str) -> Value:
        _ = name
        return None

    def random(self) -> float:
        _refuse()

    def uuid(self) -> str:
        _refuse()

    @property
    def now(self) -> datetime:
        _refuse()

    @property
    def execution_id(self) -> str:
        _refuse()

    @property
    def timezone(self) -> ZoneInfo:
        return _UTC


def _refuse() -> NoReturn:
    raise ExpressionError("The id of an event depends on the call alone: neither on the time nor on chance.")
