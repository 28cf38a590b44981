"""What is told of jobs: events written in the transaction that makes them true, for types that tell."""

from typing import ClassVar

from make_bridge.kernel.messages import Event, message


@message
class JobCompleted(Event):
    """A job was done; ``batch_id`` is empty for one that stands alone."""

    wire_name: ClassVar[str] = "job.completed.v1"
    job_id: str
    type: str
    batch_id: str = ""


@message
class JobFailed(Event):
    """A job was given up after ``tries`` tries; its dead letter waits for a replay."""

    wire_name: ClassVar[str] = "job.failed.v1"
    job_id: str
    type: str
    tries: int
    error: str
    batch_id: str = ""


@message
class JobProgressed(Event):
    """A job has come further; told at most once a second."""

    wire_name: ClassVar[str] = "job.progress.v1"
    job_id: str
    type: str
    percent: int
    note: str


@message
class BatchCompleted(Event):
    """The last job of a batch has ended, whichever way; told once."""

    wire_name: ClassVar[str] = "batch.completed.v1"
    batch_id: str
    total: int
    completed: int
    failed: int
    cancelled: int
