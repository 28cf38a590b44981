"""The audit trail (``/organizations/{id}/audit``): searched by page, exported as a stream. An extension of our own."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Final

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.audit.messages import Wanted
from make_bridge.domain.audit.model import (
    LONGEST_FILTER,
    MOST,
    checked_filter,
    place_of,
    read_moment,
    read_place,
    write_place,
)
from make_bridge.domain.audit.rendering import MEDIA_TYPES, ExportForm, head, lines, shown
from make_bridge.domain.audit.views import read_all, read_page
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.downloads import Download
from make_bridge.faces.api_v2.operations import Operation, access, respond, row_id
from make_bridge.faces.api_v2.parameters import AFTER_PLACE, LIMIT, SINCE, UNTIL, one_of, text
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.kernel.errors import InvalidInput, NotFound, PermissionDenied
from make_bridge.kernel.ids import OrganizationId

OrganizationPath = Annotated[OrganizationId, row_id("organization")]
_USUAL: Final = 100
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_FORMAT: Final = one_of("format", "How it is written.", *(form.value for form in ExportForm))
_FILTERS: Final = (
    text("actor", "Acts of one actor.", longest=LONGEST_FILTER),
    text("action", "Acts of one kind.", longest=LONGEST_FILTER),
    text("object", "Acts upon one object.", longest=LONGEST_FILTER),
    SINCE,
    UNTIL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRoutes:
    """The routes of the trail."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read = access("audit:read", self.api.bodies.api)
        trail = "/organizations/{organization_id}/audit"
        return [
            Operation(
                method="GET", path=trail, endpoint=self.list_acts, access=read, query=(AFTER_PLACE, LIMIT, *_FILTERS)
            ),
            Operation(
                method="GET", path=f"{trail}/export", endpoint=self.export_acts, access=read, query=(_FORMAT, *_FILTERS)
            ),
        ]

    async def list_acts(self, organization_id: OrganizationPath, request: Request, call: CurrentCall) -> Response:
        """List what was done, newest first; ``next`` is the ``after`` of the next page, null at the end."""
        _require_own(call, organization_id)
        after = request.query_params.get("after")
        behind = None if after is None else read_place(after)
        limit = _limit(request.query_params.get("limit"))
        found = await read_page(self.api.queries, call.context, _wanted(request), behind, limit=limit)
        following = write_place(place_of(found[-1])) if len(found) == limit else None
        return respond({"audit": [shown(act) for act in found], "next": following})

    async def export_acts(self, organization_id: OrganizationPath, request: Request, call: CurrentCall) -> Response:
        """Export what was done, newest first, as JSON lines (``format=jsonl``) or CSV."""
        _require_own(call, organization_id)
        if call.context.team_id is not None:
            raise PermissionDenied("The audit trail is the whole organization's: leave teamId out.")
        try:
            form = ExportForm(request.query_params.get("format", ExportForm.JSON_LINES))
        except ValueError:
            raise InvalidInput("format is jsonl or csv.", code="invalid_format") from None
        headers = {
            "content-type": MEDIA_TYPES[form],
            "content-disposition": f'attachment; filename="audit-{organization_id}.{form.value}"',
            "cache-control": "no-store",
        }
        pieces = self._pieces(call, _wanted(request), form)
        return Download(pieces, headers=headers, seconds=self.api.download_seconds)

    async def _pieces(self, call: Call, wanted: Wanted, form: ExportForm) -> AsyncIterator[bytes]:
        if first := head(form):
            yield first
        async for page in read_all(self.api.queries, call.context, wanted):
            yield lines(form, page)


def _wanted(request: Request) -> Wanted:
    query = request.query_params
    return Wanted(
        actor=checked_filter("actor", query.get("actor")),
        action=checked_filter("action", query.get("action")),
        object=checked_filter("object", query.get("object")),
        since=read_moment("from", query.get("from")),
        until=read_moment("to", query.get("to")),
    )


def _limit(text: str | None) -> int:
    if text is None:
        return _USUAL
    if not _NUMBER.fullmatch(text):
        raise InvalidInput("limit is a whole number from 1.", code="invalid_page")
    return min(int(text), MOST)


def _require_own(call: Call, organization_id: OrganizationId) -> None:
    if organization_id != call.context.organization_id:
        raise NotFound("There is no such organization.")
