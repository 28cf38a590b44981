"""What a job can be: its states, as the table and the faces know them. Pure."""

from enum import StrEnum

from make_bridge.kernel.ids import is_execution_id


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def is_job_id(text: str) -> bool:
    """Say whether this is an id as jobs and batches have them."""
    return is_execution_id(text)
