"""Every kind of event that the domain tells, in one list: for the reference page, and for who chooses among them.

A test compares it with the classes there are.
"""

from typing import Final

from make_bridge.domain.credential_requests.messages import CredentialDeclined, CredentialHandedOver
from make_bridge.domain.deliveries.messages import EndpointDisabled
from make_bridge.domain.executions.incomplete_messages import (
    ExecutionFailed,
    ExecutionWarned,
    IncompleteExecutionAnswered,
    IncompleteExecutionEdited,
    IncompleteExecutionResolved,
    IncompleteExecutionsDeleted,
    IncompleteExecutionsRetried,
    IncompleteExecutionStored,
    ScenarioPaused,
)
from make_bridge.domain.executions.messages import ExecutionRequested
from make_bridge.domain.gaps.messages import HookResumed, HookSilent, ScheduleLate, ScheduleResumed
from make_bridge.domain.integrations.messages import FlowCompleted
from make_bridge.domain.oauth.messages import ConnectionAuthorized, ConnectionNeedsConsent
from make_bridge.domain.organizations.credential_messages import (
    ApiTokenCreated,
    ApiTokenRevoked,
    PortalKeyCreated,
    PortalKeyRevoked,
    PortalKeyRotated,
)
from make_bridge.domain.organizations.rotation_messages import DataKeyRotated, OrganizationShredded
from make_bridge.domain.scenarios.hook_messages import HookEdited
from make_bridge.domain.scenarios.messages import (
    BlueprintSaved,
    ScenarioActivated,
    ScenarioCreated,
    ScenarioDeactivated,
    ScenarioDeleted,
    ScenarioEdited,
)
from make_bridge.domain.templates.messages import TemplatePublished, TemplateWithdrawn
from make_bridge.domain.usage.messages import UsageLimitNear, UsageLimitReached, UsageLimitsChanged
from make_bridge.kernel.messages import Event
from make_bridge.platform.audit.messages import AuditAnchored
from make_bridge.platform.queue.job_messages import BatchCompleted, JobCompleted, JobFailed, JobProgressed

EVENTS: Final[tuple[type[Event], ...]] = (
    ApiTokenCreated,
    ApiTokenRevoked,
    AuditAnchored,
    BatchCompleted,
    BlueprintSaved,
    ConnectionAuthorized,
    ConnectionNeedsConsent,
    CredentialDeclined,
    CredentialHandedOver,
    EndpointDisabled,
    DataKeyRotated,
    ExecutionFailed,
    ExecutionRequested,
    ExecutionWarned,
    FlowCompleted,
    HookEdited,
    HookResumed,
    HookSilent,
    IncompleteExecutionAnswered,
    IncompleteExecutionEdited,
    IncompleteExecutionResolved,
    IncompleteExecutionsDeleted,
    IncompleteExecutionsRetried,
    IncompleteExecutionStored,
    JobCompleted,
    JobFailed,
    JobProgressed,
    OrganizationShredded,
    PortalKeyCreated,
    PortalKeyRevoked,
    PortalKeyRotated,
    ScenarioActivated,
    ScenarioCreated,
    ScenarioDeactivated,
    ScenarioDeleted,
    ScenarioEdited,
    ScenarioPaused,
    ScheduleLate,
    ScheduleResumed,
    TemplatePublished,
    TemplateWithdrawn,
    UsageLimitNear,
    UsageLimitReached,
    UsageLimitsChanged,
)
