"""F-10: a job that wants more memory than there is. It fails by itself; and where it does not, it is given up.

The server is held in a memory cgroup of 256 MB, and a webhook asks for a gigabyte: over a hundred answers of eight MB,
each kept in a variable of its own. With the guard on, the run ends with an error and the process lives. With the guard
lifted the kernel kills the process each time; somebody starts it again, as a supervisor does, and after three attempts
the execution is a dead letter. Runs of another organization that were going meanwhile have their end.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest

from faults.scene import SLOW, tell
from support.integrator import Connected, Integrator, new_organization
from support.network import Reply
from support.server import Installation, ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

LIMIT = 256 * 1024 * 1024
PIECE, PIECES = 8_000_000, 125
MOST_ATTEMPTS = 3
OTHERS = 10
_LIFTED = str(1 << 40)
_GROUPS = Path("/sys/fs/cgroup/memory")
_OUTCOMES = "SELECT status, detail FROM shard.outcomes WHERE scenario_id = %s"
_LETTERS = "SELECT attempts, reason FROM shard.dead_letters WHERE scenario_id = %s"
_GREEDY: dict[str, Any] = {
    "name": "Keeps everything",
    "flow": [
        {
            "id": 1,
            "module": "gateway:CustomWebHook",
            "version": 1,
            "parameters": {"hook": None, "maxResults": 1},
            "mapper": {},
            "metadata": {"interface": [{"name": "url", "type": "text"}, {"name": "items", "type": "array"}]},
        },
        {"id": 2, "module": "builtin:BasicFeeder", "version": 1, "mapper": {"array": "{{1.items}}"}},
        {
            "id": 3,
            "module": "http:ActionSendData",
            "version": 3,
            "parameters": {"handleErrors": True},
            "mapper": {"url": "{{1.url}}", "method": "get", "parseResponse": True, "timeout": 60},
        },
        {
            "id": 4,
            "module": "util:SetVariable2",
            "version": 1,
            "mapper": {"name": "piece {{2.value}}", "value": "{{3.data}}", "scope": "execution"},
        },
    ],
    "metadata": {"version": 1},
}

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(not os.access(_GROUPS, os.W_OK), reason="this machine lets the test make no memory cgroup"),
]


class Cell:
    """A memory cgroup; who is put into it may take that much more."""

    def __init__(self, name: str) -> None:
        self._folder = _GROUPS / f"make-bridge-{name}-{os.getpid()}"

    def __enter__(self) -> Self:
        self._folder.mkdir()
        (self._folder / "memory.limit_in_bytes").write_text(str(LIMIT))
        return self

    def __exit__(self, *_: object) -> None:
        until(self._is_empty, "all processes of the cgroup are gone", within=20)
        self._folder.rmdir()

    def hold(self, server: ServerProcess) -> None:
        assert server.process is not None
        (self._folder / "cgroup.procs").write_text(str(server.process.pid))

    def _is_empty(self) -> bool:
        return not (self._folder / "cgroup.procs").read_text().split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    installation: Installation
    server: ServerProcess
    cell: Cell
    greedy: Connected
    other: Connected
    large: Target
    small: Target

    def ask_for_a_gigabyte(self) -> Reply:
        return self.greedy.call_hook({"url": self.large.url, "items": list(range(PIECES))})

    def ask_for_little(self, op: str) -> Reply:
        return self.other.call_hook({"op": op, "url": self.small.url})

    def rows(self, statement: str, scenario: Connected) -> Sequence[Any]:
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            return connection.execute(statement.encode(), (scenario.id,)).fetchall()


def _connect(integrator: Integrator, blueprint: dict[str, Any]) -> Connected:
    options = {"autoActivate": True, "scenario": {"name": blueprint["name"], "enable": True}}
    return integrator.customer("dana@example.com").connect(integrator.publish(blueprint), {}, **options)


@contextmanager
def stage(folder: Path, **settings: str) -> Iterator[Stage]:
    with (
        serving_target() as large,
        serving_target() as small,
        Cell(folder.name) as cell,
        installed("embedded", folder, None, EGRESS_ALLOW="127.0.0.1", **settings) as installation,
    ):
        large.answer = {"text": "x" * PIECE}
        server = installation.server().start()
        greedy = _connect(new_organization(installation, server.url), _GREEDY)
        other = _connect(new_organization(installation, server.url), SLOW)
        cell.hold(server)
        yield Stage(
            installation=installation,
            server=server,
            cell=cell,
            greedy=greedy,
            other=other,
            large=large,
            small=small,
        )


def test_a_run_that_wants_too_much_fails_alone(tmp_path: Path) -> None:
    with stage(tmp_path / "guarded") as scene:
        assert scene.ask_for_a_gigabyte().status == 200
        until(lambda: scene.rows(_OUTCOMES, scene.greedy), "the run has its end", within=60)
        [(status, detail)] = scene.rows(_OUTCOMES, scene.greedy)
        tell(f"{len(scene.large.calls)} of {PIECES} pieces were fetched: {bytes(detail).decode()}")
        assert status == 3
        assert b"MemoryLimitExceededError" in bytes(detail)
        assert len(scene.large.calls) < PIECES // 4
        assert scene.ask_for_little("after").status == 200
        until(lambda: scene.rows(_OUTCOMES, scene.other), "the other organization's run has its end", within=20)


def test_a_run_that_kills_its_worker_is_given_up_and_others_have_their_end(tmp_path: Path) -> None:
    with stage(tmp_path / "lifted", RUN_MEMORY_BYTES=_LIFTED) as scene:
        server, deaths = scene.server, list[int]()
        hold = scene.small.hold()
        for number in range(OTHERS):
            assert scene.ask_for_little(str(number)).status == 200
        until(lambda: scene.small.in_flight == OTHERS, "the other runs are going", within=20)
        assert scene.ask_for_a_gigabyte().status == 200

        def is_given_up() -> bool:
            if server.process is not None and (status := server.process.poll()) is not None:
                deaths.append(status)
                assert len(deaths) <= MOST_ATTEMPTS, f"it has killed {len(deaths)} workers and is tried again"
                hold.release()
                server.process = None
                server.start()
                scene.cell.hold(server)
            with suppress(psycopg.OperationalError):  # its database goes down with it
                return bool(scene.rows(_LETTERS, scene.greedy))
            return False

        until(is_given_up, "the run is a dead letter", within=200, pause=0.2)
        until(lambda: len(scene.rows(_OUTCOMES, scene.other)) == OTHERS, "the others have their end", within=40)
        [(attempts, reason)] = scene.rows(_LETTERS, scene.greedy)
        ends = [status for status, _ in scene.rows(_OUTCOMES, scene.other)]
        tell(f"killed {len(deaths)} times ({deaths}); {attempts} attempts: {reason}; the others ended {ends}")
        assert attempts == MOST_ATTEMPTS
        assert ends == [1] * OTHERS, "others were lost with it"
        assert [status for status, _ in scene.rows(_OUTCOMES, scene.greedy)] == [3]
