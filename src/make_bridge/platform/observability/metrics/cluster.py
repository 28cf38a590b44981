"""Figures of what several processes are together: who leads, where organizations live, who serves which role."""

from collections.abc import Callable
from typing import Final, Protocol

from make_bridge.kernel.roles import FORWARDED
from make_bridge.platform.observability.metrics.declaring import SHARD, Declarations, Label, children

_DUTY: Final = Label("duty", ("audit", "oauth", "relay", "scheduler"))
_MOVE: Final = Label("state", ("running", "broken_off", "finished", "abandoned"))
_ROLE: Final = Label("role", tuple(sorted(FORWARDED)))
_NODE_STATE: Final = Label("state", ("up", "down", "ejected", "draining"))
_FORWARDED: Final = Label("result", ("answered", "unwell", "failed"))


class Numbered(Protocol):
    """A shard."""

    @property
    def number(self) -> int:
        """Its number."""
        ...


class Leading(Protocol):
    """What a loop knows of its lead."""

    @property
    def is_leading(self) -> bool:
        """Whether it may act."""
        ...

    @property
    def last_fence(self) -> int:
        """Under which number it led last."""
        ...


class CoordinationGauges:
    """Who does what only one may do; duties and locks are a closed set."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self.clock_skew = declare.gauge(
            "clock_skew_seconds", "By how much this machine's clock is ahead of the database's."
        )
        self._leader = declare.gauge(
            "leader", "Whether this process does what only one may, by duty and shard.", _DUTY, SHARD, unit="bool"
        )
        self._epoch = declare.gauge("leader_epoch", "The fence under which this process led last.", _DUTY, SHARD)
        self._session = declare.gauge(
            "zookeeper_session", "Whether this process can prove its session with ZooKeeper.",
            Label("of", ("coordination",)), unit="bool",
        )  # fmt: skip

    def watch(self, duty: str, shard: Numbered, tenure: Leading) -> None:
        """Take from there whether this process leads, each time somebody asks for the counters."""
        labels = (duty, str(shard.number))
        self._leader.labels(*labels).set_function(lambda: float(tenure.is_leading))
        self._epoch.labels(*labels).set_function(lambda: float(tenure.last_fence))

    def watch_session(self, is_live: Callable[[], bool]) -> None:
        """Take from there whether there is a session that can be proven."""
        self._session.labels("coordination").set_function(lambda: float(is_live()))


class ShardGauges:
    """What the shards carry; labelled by their numbers."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self.organizations = declare.gauge(
            "shard_organizations", "Organizations that live on a shard.", SHARD, is_shared=True
        )
        self.load = declare.gauge(
            "shard_load", "What waits on a shard, and what is stored there a second.", SHARD, is_shared=True
        )
        self.imbalance = declare.gauge(
            "shard_imbalance", "How many times the mean the busiest shard carries; 1 where nobody is busy.",
            is_shared=True,
        )  # fmt: skip
        moves = declare.gauge(
            "shard_moves",
            "Moves of organizations between shards: running, broken off (nobody is at it), finished, given up.",
            _MOVE, is_shared=True,
        )  # fmt: skip
        self.moves = children(moves, _MOVE)
        self.paused = declare.gauge(
            "shard_moves_paused_seconds", "For how long writes of moving organizations have waited, all in all.",
            is_shared=True,
        )  # fmt: skip
        self.longest_pause = declare.gauge(
            "shard_moves_longest_pause_seconds", "The longest of those waits within the last day.", is_shared=True
        )


class UpstreamCounters:
    """What becomes of requests that a gateway hands on; roles and states are closed sets."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self.requests = declare.counter(
            "upstream_requests_total", "Requests handed on to other processes, by role and by what came of them.",
            _ROLE, _FORWARDED,
        )  # fmt: skip
        self.retries = declare.counter("upstream_retries_total", "Requests handed on a second time, by role.", _ROLE)
        self.nodes = declare.gauge(
            "upstream_nodes", "Other processes that serve a role, as this one sees them.", _ROLE, _NODE_STATE
        )
