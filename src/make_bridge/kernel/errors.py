"""The one tree of errors.

Every layer raises these; the domain knows no HTTP, so the mapping to a status and a problem body
is one table in ``faces/edge/problems.py``. A message is a sentence a person can act on; the class
docstring is the default message. ``code`` is a stable word that clients may test for.
"""

import math
from collections.abc import Mapping
from typing import ClassVar


class BridgeError(Exception):
    """Something went wrong inside Make Bridge."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        """Keep the sentence and, when one class covers several causes, the finer code."""
        self.message = message or (self.__class__.__doc__ or "").strip().partition("\n")[0]
        self.reason = code or self.code
        super().__init__(self.message)


class InvalidInput(BridgeError):
    """The request is not valid."""

    code = "invalid_input"

    def __init__(
        self, message: str | None = None, *, code: str | None = None, fields: Mapping[str, str] | None = None
    ) -> None:
        """``fields`` maps a field's name or uuid to the sentence shown beside it."""
        super().__init__(message, code=code)
        self.fields = dict(fields or {})


class TooLarge(InvalidInput):
    """The request is larger than this server accepts."""

    code = "too_large"


class Unauthenticated(BridgeError):
    """The request carries no valid credentials."""

    code = "unauthenticated"


class PermissionDenied(BridgeError):
    """These credentials do not allow this action."""

    code = "permission_denied"


class NotFound(BridgeError):
    """There is no such object, or it belongs to somebody else."""

    code = "not_found"


class Gone(BridgeError):
    """This object existed and is gone."""

    code = "gone"


class Conflict(BridgeError):
    """The object is in a state that does not allow this action."""

    code = "conflict"


class ChangedMeanwhile(BridgeError):
    """Somebody else has changed this meanwhile: read it again, and decide anew."""

    code = "changed_meanwhile"


class LimitExceeded(BridgeError):
    """Too many requests: wait and try again."""

    code = "limit_exceeded"

    def __init__(self, message: str | None = None, *, code: str | None = None, retry_after: float = 1.0) -> None:
        """``retry_after`` is in seconds."""
        super().__init__(message, code=code)
        self.retry_after = retry_after


class RateLimited(LimitExceeded):
    """Too many requests in a short time: wait and try again."""

    code = "rate_limited"

    def __init__(self, *, policy: str, most: int, seconds: float, wait: float) -> None:
        """Say for how many whole seconds to wait; ``policy`` is the name of the limit, ``most`` in ``seconds``."""
        self.policy = policy
        self.most = most
        self.seconds = seconds
        whole = max(1, math.ceil(wait - 1e-6))
        super().__init__(
            f"Too many requests: {most} are allowed within {seconds:g} seconds. Try again in {whole} seconds.",
            retry_after=whole,
        )


class Unavailable(BridgeError):
    """The service cannot take this now: try again in a moment."""

    code = "unavailable"

    def __init__(self, message: str | None = None, *, code: str | None = None, retry_after: float = 1.0) -> None:
        """``retry_after`` is in seconds."""
        super().__init__(message, code=code)
        self.retry_after = retry_after


class OrganizationMoved(Unavailable):
    """This organization is moving to another database: try again in a moment."""

    code = "organization_moving"

    def __init__(self, organization_id: int) -> None:
        """Nothing was written: ``organization_id`` lives elsewhere, or will in a moment."""
        self.organization_id = organization_id
        super().__init__()


class DeadlineExceeded(Unavailable):
    """The work did not end in time."""

    code = "deadline_exceeded"


class ConfigurationError(BridgeError):
    """The configuration cannot work; the message says what to change."""

    code = "configuration"
