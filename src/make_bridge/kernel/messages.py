"""Commands, queries and events: the only way a face reaches the domain, and the domain the world.

Commands are imperative, queries are questions, events are in the past tense. All are frozen,
slotted, keyword-only dataclasses; an event carries an explicit, versioned wire name, never its
class name, because stored events outlive renames.
"""

from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar, dataclass_transform

Result_co = TypeVar("Result_co", covariant=True)
MessageType = TypeVar("MessageType")
Home = Literal["shard", "directory"]
"""Which database holds what a message speaks of, and its audit record."""


class Command(Generic[Result_co]):
    """An intent to change something; ``Result_co`` is what its handler returns."""

    __slots__ = ()


class Query(Generic[Result_co]):
    """A question; answering it changes nothing."""

    __slots__ = ()


class Event:
    """A fact that has happened; written to the outbox in the transaction that made it true."""

    __slots__ = ()
    wire_name: ClassVar[str]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def message(cls: type[MessageType]) -> type[MessageType]:
    """Make a frozen, slotted, keyword-only dataclass: the shape of every message."""
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)
