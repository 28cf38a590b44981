"""``ETag`` and ``If-Match``: a change that is made only while nobody else has changed the same (RFC 9110, 13.1.1).

Make's API has neither; a client that knows nothing of them sees no difference. The tag of a scenario is its revision.
"""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.kernel.errors import ChangedMeanwhile, InvalidInput

_TAG: Final = re.compile(r'"([0-9]{1,18})"')
_FOREIGN: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')


def tagged(response: Response, revision: int) -> Response:
    """Say which revision an answer shows."""
    response.headers["etag"] = f'"{revision}"'
    return response


def expected_revision(request: Request) -> int | None:
    """Return the revision that a change is meant for, None where any will do.

    Raises ChangedMeanwhile for a tag that is none of ours, InvalidInput for what is no single tag.
    """
    given = ", ".join(request.headers.getlist("if-match")).strip()
    if given in {"", "*"}:
        return None
    if (ours := _TAG.fullmatch(given)) is not None:
        return int(ours[1])
    if _FOREIGN.fullmatch(given):
        raise ChangedMeanwhile
    raise InvalidInput('If-Match is one tag in quotes, as the answer\'s ETag had it, or *: "7".', code="invalid_header")
