"""F-50, F-51, F-53, F-54: a shard joins and leaves, an organization is busier than all, databases die in a move.

Three of the organizations are sent webhooks and read all the while. The new shard takes its part of them, several side
by side; then it is drained and removed. Nothing acknowledged is lost or done twice, no read is told that there is
nothing, nobody moves who need not, nobody is left behind, and each listing of the operator's names each of them once.
Then one sends 60 % of all webhooks: the others wait hardly longer, and the operator is told of it and can move it.
Last it moves, and the database it leaves and the one it goes to are killed on the way: the mover ends with a sentence,
its command is repeated and goes on from there, and at each moment one shard owns the organization.

The short form has 12 organizations; with MAKE_BRIDGE_TEST_KILLS there are 60, and each database dies in every state.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from cluster.conftest import calling
from faults.oracle import LedgerProcess, keeping_ledger
from faults.scene import new_seed, tell
from faults.shard_ground import IS_LONG, LOADED, MOVE_SECONDS, ORGANIZATIONS, Ground, refused, shard_ground
from support.directory import listing
from support.waiting import until

RATE = 8.0
# p99 and the most, in milliseconds. On a machine that tests share only the most is promised.
PAUSES = (500, 2000) if IS_LONG else (2000, 2000)
# The busy one sends 60 %, each of the two others 20 %; for so long without it and with it.
OTHERS_RATE = 40.0 if IS_LONG else 12.0
HOT_RATE = 3 * OTHERS_RATE
HOT_SECONDS = 30.0 if IS_LONG else 4.0
# By how much the others' waits may grow: a factor, and seconds on top. Where tests share the machine p99 is that of the
# machine: the short form compares medians.
SLOWER = (2.0, 0.01) if IS_LONG else (3.0, 0.1)
COMPARED = 99 if IS_LONG else 50
UNEVEN = 1.3
SOURCE, TARGET = "source", "target"
KILLS = (
    [(who, state) for state in ("copying", "closing", "flipped", "deleting") for who in (TARGET, SOURCE)]
    if IS_LONG
    else [(TARGET, "copying"), (SOURCE, "closing")]
)
_REFUSED_SHARE = 0.01
Number = TypeVar("Number", int, float)

pytestmark = [pytest.mark.requires_server("postgresql-15"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def ground(server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with shard_ground(server, tmp_path_factory.mktemp("resized")) as made:
        yield made


def test_a_shard_joins_and_leaves_and_nothing_is_lost_or_listed_twice(
    ground: Ground, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """F-50, F-54."""
    seed, new = new_seed(), ground.new_shard()
    # One of those under load goes there whatever the ring says.
    chosen = ground.scenes[0].integrator.organization_id
    with ExitStack() as stack:
        ledgers = [
            stack.enter_context(keeping_ledger(tmp_path, ground.plan("resized", number, seed, RATE)))
            for number in range(LOADED)
        ]
        reading = stack.enter_context(calling(ground.read, callers=1))
        listings = stack.enter_context(listing(ground.installation, ground.ids))
        until(lambda: all(ledger.acked() > 10 for ledger in ledgers), "webhooks arrive", within=60)
        before = ground.homes()
        ground.shards("add", str(new), "--url-file", str(ground.owner_file(new)))
        assert ground.homes() == before, "an organization went somewhere by itself"
        ground.shards("pin", str(chosen), str(new))
        joined = ground.moved("rebalance")
        between = ground.homes()
        ground.shards("unpin", str(chosen))
        left = ground.moved("drain", str(new))
        after = ground.homes()
        ground.shards("remove", str(new))
        reading.await_more(5)
    verdicts = [ground.verdict(number, ledger) for number, ledger in enumerate(ledgers)]
    pauses = sorted(int(move["pauseMs"]) for move in (*joined, *left))
    there = {id_ for id_, shard in between.items() if shard == new}
    numbers = (
        f"seed {seed}; {ORGANIZATIONS} organizations, moved there {len(joined)}, back {len(left)}; left behind "
        f"{ground.held_by(new)}; pauses p99 {_part(pauses, 99)} ms, most {pauses[-1]} ms; read "
        f"{dict(reading.statuses)}; listings {listings.taken}, wrong {listings.wrong[:3]}"
    )
    text = "\n".join([numbers, *map(str, verdicts)])
    tell(text)
    record_property("faults", text)
    for verdict, ledger in zip(verdicts, ledgers, strict=True):
        assert verdict.is_clean, f"the promises are broken: {verdict}"
        assert verdict.duplicate_effects == 0
        assert refused(ledger).keys() <= {"503"}, "webhooks were refused for another reason"
        assert refused(ledger).total() <= max(1, len(ledger.lines()) * _REFUSED_SHARE)
    assert set(reading.statuses) == {"200"}, "a read failed while organizations moved"
    assert listings.taken > 10, "hardly anything was listed"
    assert listings.wrong == []
    assert {move["organizationId"] for move in joined} == there, "somebody moved between shards that stayed"
    assert {id_ for id_ in before if between[id_] != before[id_]} == there
    assert _is_about_a_third(len(there - {chosen}), len(before) - 1)
    assert {move["organizationId"] for move in left} == there
    assert new not in after.values()
    assert ground.held_by(new) == 0
    assert (_part(pauses, 99), pauses[-1]) <= PAUSES


def test_an_organization_with_most_of_the_load_slows_the_others_little_and_is_noticed(
    ground: Ground, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed, hot = new_seed(), ground.busiest()
    organization = ground.scenes[hot].integrator.organization_id
    home = ground.home_of(organization)
    others = [number for number in range(LOADED) if number != hot]
    with ExitStack() as stack:
        ledgers = {
            number: stack.enter_context(keeping_ledger(tmp_path, ground.plan("even", number, seed, OTHERS_RATE)))
            for number in others
        }
        until(lambda: all(ledger.acked() > 10 for ledger in ledgers.values()), "webhooks arrive", within=60)
        began = time.time()
        until(lambda: time.time() > began + HOT_SECONDS, "it was even for a while", within=HOT_SECONDS + 5, pause=0.1)
        even = time.time()
        ledgers[hot] = stack.enter_context(keeping_ledger(tmp_path, ground.plan("hot", hot, seed, HOT_RATE)))
        until(lambda: time.time() > even + HOT_SECONDS, "it was busy for a while", within=HOT_SECONDS + 5, pause=0.1)
        uneven = until(lambda: _told_uneven(ground), "the imbalance is told", within=30, pause=0.2)
        ground.shards("pin", str(organization), str(1 - home))
        planned = ground.shards("rebalance", "--dry-run")["plan"]
        moved = ground.shards("rebalance")["moved"] if IS_LONG else []
        ground.shards("unpin", str(organization))
    verdicts = {number: ground.verdict(number, ledger) for number, ledger in ledgers.items()}
    lines = [line for number in others for line in ledgers[number].lines()]
    before, during = (
        sorted(line.answered_at - line.sent_at for line in lines if line.answered_at and since <= line.sent_at < until_)
        for since, until_ in ((began, even), (even, even + HOT_SECONDS))
    )
    numbers = (
        f"seed {seed}; others waited {_spread(before)} without it, {_spread(during)} with it; imbalance {uneven:.2f}; "
        f"planned {planned}, moved {moved}"
    )
    text = "\n".join([numbers, *map(str, verdicts.values())])
    tell(text)
    record_property("faults", text)
    for number, verdict in verdicts.items():
        assert verdict.is_clean, f"the promises are broken: {verdict}"
        assert refused(ledgers[number]).keys() <= ({"503"} if IS_LONG else set()), "webhooks were refused"
    assert {"organizationId": organization, "from": home, "to": 1 - home} in planned
    factor, spare = SLOWER
    assert _part(during, COMPARED) <= factor * _part(before, COMPARED) + spare


def test_a_database_that_is_killed_during_a_move_costs_time_and_nothing_else(
    ground: Ground, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """F-51."""
    seed, told = new_seed(), []
    organization = ground.scenes[0].integrator.organization_id
    source = ground.home_of(organization)
    target = 1 - source
    with keeping_ledger(tmp_path, ground.plan("moving", 0, seed, RATE)) as ledger:
        until(lambda: ledger.acked() > 10, "webhooks arrive", within=60)
        for who, state in KILLS:
            victim = source if who == SOURCE else target
            left_in, status, said = ground.kill_in(state, victim, organization, target)
            owner, kept = ground.homes()[organization], ground.held_by(source, organization)
            told.append(f"{who} in {state}: left in {left_in}, ended {status}, owner {owner}, source has {kept}")
            assert status != 0, told
            assert "Repeat the command" in said or "database" in said, said
            assert owner == (target if left_in in {"flipped", "deleting"} else source), told
            assert kept > 0 or left_in == "deleting", f"rows went before their time: {told}"
            until(partial(_has, ledger, ledger.acked() + 5), "webhooks are taken without a mover", within=60)
        until(lambda: ground.end_move(organization, target), "the move is finished", within=MOVE_SECONDS, pause=0.5)
        until(partial(_has, ledger, ledger.acked() + 5), "webhooks are taken at the target", within=60)
    verdict = ground.verdict(0, ledger)
    left_behind = ground.held_by(source, organization)
    text = f"seed {seed}; {'; '.join(told)}; left behind {left_behind}; refused {dict(refused(ledger))}\n{verdict}"
    tell(text)
    record_property("faults", text)
    assert (verdict.lost, verdict.multi, verdict.phantom, verdict.stuck) == ([], [], [], []), verdict
    assert refused(ledger).keys() <= {"503", "unknown"}, "webhooks were refused for another reason"
    assert ground.homes()[organization] == target
    assert left_behind == 0


def _has(ledger: LedgerProcess, wanted: int) -> bool:
    return ledger.acked() >= wanted


def _told_uneven(ground: Ground) -> float:
    told = max(server.metric("shard_imbalance") for server in ground.servers)
    return told if told >= UNEVEN else 0.0


def _part(ordered: Sequence[Number], percent: int) -> Number:
    return ordered[len(ordered) * percent // 100]


def _spread(ordered: list[float]) -> str:
    return ", ".join(f"p{percent} {1000 * _part(ordered, percent):.0f} ms" for percent in (50, 95, 99))


def _is_about_a_third(moved: int, of: int) -> bool:
    """Say whether chance gives such a part but once in ten thousand times: each goes there with a third."""
    return abs(moved - of / 3) <= 4 * math.sqrt(of * 2 / 9)
