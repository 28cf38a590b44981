"""What may be sent about what ran and who is told of it: incomplete executions, replays, reports, webhook endpoints."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from make_bridge.faces.api_v2.bodies import JsonObject, Moment, WebAddress
from make_bridge.faces.portal.bodies import Body, ObjectOrText, RowId
from make_bridge.kernel.ids import MAX_ID

Pattern = Annotated[str, Field(min_length=1, max_length=100)]


class ChosenBody(Body):
    """Which incomplete executions of a scenario: named ones, or all but some."""

    ids: Annotated[list[str], Field(max_length=10_000)] | None = None
    all: bool = False
    except_ids: Annotated[list[str], Field(max_length=10_000)] = Field(default_factory=list)


class AnswerIncompleteBody(Body):
    """Whether a call that was possibly done was done; ``output`` is then what its module gave."""

    done: bool
    output: JsonObject | None = None


class EditIncompleteBody(Body):
    """What an incomplete execution goes on with; what is absent stays."""

    blueprint: ObjectOrText | None = None
    failer: Annotated[int, Field(ge=1, le=MAX_ID)] | None = None
    bundles: JsonObject | None = None


class ReplayRangeBody(Body):
    """Which dead letters to replay: given up at ``since`` or later and before ``until``, of one scenario or all."""

    since: Moment | None = None
    until: Moment | None = None
    scenario_id: RowId | None = None


class NewReportBody(Body):
    """A report to be made; ``from`` and ``to`` are days of UTC, as YYYY-MM-DD, and both belong to it."""

    kind: Literal["usage", "executions"]
    first: Annotated[date, Field(strict=False, validation_alias="from")]
    last: Annotated[date, Field(strict=False, validation_alias="to")]
    group_by: Annotated[list[Literal["day", "team", "customer", "scenario"]], Field(max_length=4)] | None = None
    format: Literal["csv", "json"] = "csv"


class NewWebhookEndpointBody(Body):
    """A new webhook endpoint; without events it hears of all."""

    url: WebAddress
    description: Annotated[str, Field(max_length=500)] = ""
    events: Annotated[list[Pattern], Field(max_length=50)] = Field(default_factory=list)


class WebhookEndpointChangesBody(Body):
    """Changes to a webhook endpoint; what is absent stays."""

    url: WebAddress | None = None
    description: Annotated[str, Field(max_length=500)] | None = None
    events: Annotated[list[Pattern], Field(max_length=50)] | None = None


class ReplayFailedBody(Body):
    """Which failed messages to send again: those since a moment."""

    since: Moment
