"""Figures of the queue: what waits, who holds what, what was refused to whom, and what was given up."""

from typing import Final

from make_bridge.platform.observability.metrics.declaring import Declarations, Label, children

_CLASS: Final = Label("class", ("high", "default", "low"))
_DEPTH: Final = Label("class", ("high", "default", "low", "deferred", "ordered", "timer"))
_AGAIN: Final = Label("of", ("run", "job", "incomplete"))
_JOB: Final = Label("type", bounded_by="the types of jobs that the program has")
_ENDED: Final = Label("result", ("completed", "put_off", "failed", "cancelled"))


class QueueCounters:
    """What becomes of work that waits."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self.oldest = declare.gauge(
            "queue_oldest_seconds",
            "How long the oldest work waits that a worker could begin, in the whole installation.",
            _CLASS, is_shared=True,
        )  # fmt: skip
        self.depth = declare.gauge(
            "queue_depth",
            "Rows that wait, by class: deferred for a limit of usage, ordered behind the run before, timer for a time;"
            " nobody counts beyond 100 000 on a shard.",
            _DEPTH, is_shared=True,
        )  # fmt: skip
        self.held = declare.gauge("leases_held", "Rows of the queue that a worker holds.", is_shared=True)
        self.overdue = declare.gauge(
            "leases_overdue", "Leases that nobody has extended in time, and nobody has freed yet.", is_shared=True
        )
        again = declare.counter(
            "retries_total",
            "Begun again: runs and jobs whose worker fell silent or failed, and incomplete executions.", _AGAIN,
        )  # fmt: skip
        self.retries = children(again, _AGAIN)
        self.settles_refused = declare.counter(
            "settles_refused_total", "Outcomes refused because their lease had passed on."
        )
        self.journal_refused = declare.counter(
            "journal_refused_total", "Runs stopped at their journal: their lease had passed on."
        )
        self.leases_lost = declare.counter("leases_lost_total", "Runs cancelled because their lease was lost.")
        self.leases_swept = declare.counter("leases_swept_total", "Leases freed from silent holders.")
        self.dead_letters = declare.counter(
            "dead_letters_total", "Executions and jobs given up: their workers died, or their tries are used up."
        )
        self.jobs = declare.counter(
            "jobs_total", "Tries of jobs that ended in this process, by type and result.", _JOB, _ENDED
        )
        self.jobs_unknown = declare.counter(
            "jobs_unknown_total", "Jobs left to others because this process does not know their type."
        )
