"""What can be asked of what an organization's runs take, and said of how long they are kept."""

from dataclasses import field
from datetime import date

from make_bridge.kernel.messages import Command, Query, message


@message
class StorageLimits:
    """For how many days an organization's runs are kept, and how many bytes of them; None is the installation's."""

    days: int | None = None
    bytes: int | None = None


@message
class Stored:
    """What an organization's runs take, as it was measured, and what is kept of them.

    ``days`` and ``most_bytes`` are in force; ``limits`` is what the organization was given itself. ``body_bytes`` are
    the part of ``bytes`` that goes first: payloads, logs and journals.
    """

    limits: StorageLimits
    days: int
    most_bytes: int
    runs: int
    bytes: int
    body_bytes: int
    oldest: date | None


@message
class GetStored(Query[Stored]):
    """What the organization's runs take."""


@message
class SetStorageLimits(Command[StorageLimits]):
    """Say for how long, and how many bytes of, the organization's runs are kept; what is left out is the default."""

    limits: StorageLimits = field(default_factory=StorageLimits)
