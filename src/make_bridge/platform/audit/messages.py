"""What the trail itself tells: that the head of a chain was anchored."""

from typing import ClassVar

from make_bridge.kernel.messages import Event, message


@message
class AuditAnchored(Event):
    """The head of an audit chain: whoever keeps this elsewhere can show later that nothing before it is missing."""

    wire_name: ClassVar[str] = "audit.anchored.v1"
    home: str
    sequence: int
    hash: str
