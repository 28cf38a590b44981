"""The nodes a gateway hands requests on to: who there is for a role, who is well, and who is asked next.

``coordination/membership`` says who there is; ``checking`` asks each whether it is ready; the gateway tells what came
of its requests. A node is asked while it is *up* (so many good checks in a row since it was down) and its breaker lets
requests through: one where nobody listens is down at once, one that breaks requests is left out after a few of them and
tried again by a single request.
With fewer than half of a role's nodes well, all of them are asked: then the checks are more likely wrong than the
nodes, and the few that are left would fall under the load of all. Weight 0 gets nothing new, in no case.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.roles import FORWARDED, Role
from make_bridge.platform.coordination.membership import Member
from make_bridge.platform.egress.breaker import Breaker, BreakerLimits, Permit, State, Verdict
from make_bridge.platform.upstreams.balancing import Candidate, Rule, RuleName, rule_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRules:
    """When a node counts as well, and how one is chosen."""

    rule: RuleName = "least_connections"
    rise: int = 2
    """Good checks in a row after which a node that was down is up."""
    fall: int = 3
    """Bad checks in a row after which it is down."""
    panic_share: float = 0.5
    breaker: BreakerLimits = field(
        default_factory=lambda: BreakerLimits(
            calls=5, failed_share=0.5, window=5.0, probes=1, cool_down=2.0, longest_cool_down=30.0
        )
    )


@dataclass(slots=True, eq=False)
class Node:
    """One other process. ``in_flight`` counts this gateway's own requests."""

    member: Member
    breaker: Breaker
    is_up: bool = False
    in_flight: int = 0
    _good: int = 0
    _bad: int = 0
    _is_checked: bool = False

    @property
    def address(self) -> str:
        """Where it is called: scheme, host and port."""
        return self.member.address or ""

    def missed(self) -> None:
        """Count as down until checks find it again: nobody listens there."""
        self.is_up, self._good, self._is_checked = False, 0, True

    def checked(self, rules: NodeRules, *, is_ready: bool) -> None:
        """Take what a check found; the first good one of a node that is new is enough."""
        self._good, self._bad = (self._good + 1, 0) if is_ready else (0, self._bad + 1)
        if self._good >= (rules.rise if self._is_checked else 1):
            self.is_up = True
        elif self._bad >= rules.fall:
            self.is_up = False
        self._is_checked = True


@dataclass(slots=True, eq=False)
class Turn:
    """One request at one node: says once what came of it, and that it is over."""

    node: Node
    _permit: Permit | None
    _now: Callable[[], float]

    def judge(self, verdict: Verdict, cause: str = "") -> None:
        """Say what the request tells about the node."""
        if self._permit is not None:
            self.node.breaker.judge(self._permit, verdict, self._now(), cause)

    def finish(self) -> None:
        """Say that it is over, whatever came of it."""
        self.node.in_flight -= 1
        if self._permit is not None:
            self.node.breaker.finish(self._permit)


class Nodes:
    """The nodes of every role; ``now`` is a clock that never runs backwards."""

    def __init__(self, rules: NodeRules, now: Callable[[], float], chance: Callable[[], float]) -> None:
        """Know nobody yet."""
        self._rules = rules
        self._now = now
        self._chance = chance
        self._nodes: dict[str, Node] = {}
        self._choosing: dict[Role, Rule] = {role: rule_of(rules.rule) for role in FORWARDED}

    def hear(self, members: Sequence[Member]) -> None:
        """Take the list of live servers; who was known keeps what is known of it."""
        heard: dict[str, Node] = {}
        for member in members:
            if member.address is None or member.roles.isdisjoint(FORWARDED):
                continue
            known = self._nodes.get(member.name)
            if known is None:
                known = Node(member, Breaker(self._rules.breaker, self._chance))
            known.member = member
            heard[member.name] = known
        self._nodes = heard

    def all(self) -> Sequence[Node]:
        """Return every node that is known, for the checks."""
        return list(self._nodes.values())

    def checked(self, node: Node, *, is_ready: bool) -> None:
        """Take what a check found."""
        node.checked(self._rules, is_ready=is_ready)

    def choose(self, role: Role, tried: frozenset[str] = frozenset()) -> Turn:
        """Return a turn at one of the role's nodes that were not tried; raises Unavailable when there is none."""
        named = [node for node in self._of(role) if node.member.weight > 0]
        now = self._now()
        well = [node for node in named if node.is_up and node.breaker.state(now) is not State.OPEN]
        asked = named if len(well) < self._rules.panic_share * len(named) else well
        left = {node.member.name: node for node in asked if node.member.name not in tried}
        while left:
            node = left.pop(self._next(role, list(left.values())))
            permit = node.breaker.admit(now)
            if permit is not None or asked is named:
                node.in_flight += 1
                return Turn(node, permit, self._now)
        raise Unavailable(f"No server of the role '{role}' answers at the moment: try again in a moment.")

    def count(self) -> dict[tuple[Role, str], int]:
        """Return how many nodes of each role are up, down, ejected or draining: for the metrics."""
        now, counted = self._now(), dict.fromkeys(((role, state) for role in FORWARDED for state in STATES), 0)
        for role in FORWARDED:
            for node in self._of(role):
                counted[role, _state_of(node, now)] += 1
        return counted

    def _of(self, role: Role) -> list[Node]:
        return [node for node in self._nodes.values() if role in node.member.roles]

    def _next(self, role: Role, left: Sequence[Node]) -> str:
        return self._choosing[role].choose(
            [
                Candidate(name=node.member.name, weight=node.member.weight, in_flight=node.in_flight)
                for node in left
            ]
        )  # fmt: skip


STATES = ("up", "down", "ejected", "draining")


def _state_of(node: Node, now: float) -> str:
    if node.member.weight == 0:
        return "draining"
    if not node.is_up:
        return "down"
    return "ejected" if node.breaker.state(now) is State.OPEN else "up"
