"""What can be asked of an organization's own encryption, and what is told of it."""

from typing import ClassVar

from make_bridge.kernel.ids import JobId
from make_bridge.kernel.messages import Command, Event, message


@message
class RotateDataKey(Command[JobId]):
    """Seal the organization's secrets anew under a new data key; returns the job that does it."""


@message
class DataKeyRotated(Event):
    """The organization's kept secrets are all sealed by this version of its data key."""

    wire_name: ClassVar[str] = "organization.data_key_rotated.v1"
    version: int


@message
class OrganizationShredded(Event):
    """The organization's keys were destroyed: nothing that was sealed for it can be opened, and nothing runs."""

    wire_name: ClassVar[str] = "organization.shredded.v1"
    organization_id: int
