"""Values that were filled in beforehand: sealed beside the credential they belong to, opened to show or to use them.

``hard`` ones are not asked and not shown. Of ``soft`` ones a secret is not shown either: it is used where the person
leaves its field empty.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from make_bridge.domain.connections.types import ComponentType
from make_bridge.domain.credential_requests.messages import Wanted
from make_bridge.domain.organizations.keys import Purpose
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security.sealing import Sealing

_HELD: Final = "Filled in already; type to use another one."


class Prefill(msgspec.Struct, frozen=True, kw_only=True):
    """The values; alive for one call."""

    hard: dict[str, str] = {}
    soft: dict[str, str] = {}

    def __repr__(self) -> str:
        """Show no secret."""
        return "Prefill()"

    def fields(self, component_type: ComponentType) -> list[dict[str, object]]:
        """Return what is asked of a person."""
        asked = []
        for field in component_type.fields:
            if field.name in self.hard:
                continue
            shown = field.describe()
            if field.name in self.soft:
                held = {"required": False, "help": _HELD} if field.secret else {"default": self.soft[field.name]}
                shown |= held
            asked.append(shown)
        return asked

    def over(self, component_type: ComponentType, given: Mapping[str, object]) -> dict[str, object]:
        """Return the values of a person together with these."""
        secret = {field.name for field in component_type.fields if field.secret}
        held = {name: value for name, value in self.soft.items() if name in secret and not given.get(name)}
        return {**given, **held, **self.hard}


def purpose_of(number: int) -> Purpose:
    """Return what the values of a credential are sealed for."""
    return ("requested_credential", number, "prefill")


async def seal(sealing: Sealing, organization_id: OrganizationId, number: int, wanted: Wanted) -> str | None:
    """Seal what was filled in beforehand; None where nothing was."""
    if not wanted.hard and not wanted.soft:
        return None
    plain = msgspec.json.encode({"hard": wanted.hard, "soft": wanted.soft})
    return await sealing.seal(organization_id, purpose_of(number), plain)


async def open_prefill(sealing: Sealing, organization_id: OrganizationId, number: int, box: str | None) -> Prefill:
    """Open it again."""
    if box is None:
        return Prefill()
    return msgspec.json.decode(await sealing.open(organization_id, purpose_of(number), box), type=Prefill)
