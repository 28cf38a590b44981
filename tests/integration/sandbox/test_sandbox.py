"""Hostile JavaScript in real cells: what it may not reach, may not use up, and may not leave behind."""

import os
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from make_bridge.platform.sandbox.config import SandboxConfig
from make_bridge.platform.sandbox.sandbox import CallEnded, Sandbox

CONFIG = SandboxConfig(seconds=0.2, memory_bytes=32 * 1024 * 1024, output_bytes=100_000, wait_seconds=30.0)
NOW = 1_775_000_000_123


@pytest.fixture(scope="module")
def sandbox():
    made = Sandbox(CONFIG)
    yield made
    made.close()


@pytest.fixture
def patient():
    """One whose calls may take their time, so that somebody can look at them on a busy machine."""
    made = Sandbox(replace(CONFIG, seconds=20.0, wait_seconds=30.0))
    yield made
    made.close()


def call(sandbox: Sandbox, body: str, *arguments: object, seed: int = 7) -> Any:
    code = f"function hostile(a, b, c) {{ {body} }}"
    return sandbox.ask({"task": "call", "code": code, "arguments": arguments, "now": NOW, "seed": seed})


def outlasted(sandbox: Sandbox, body: str) -> None:
    with pytest.raises(CallEnded):
        call(sandbox, body)


def children(pid: int) -> list[int]:
    told = subprocess.run(["pgrep", "-P", str(pid)], check=False, capture_output=True, text=True)
    return [int(line) for line in told.stdout.split()]


def warden(sandbox: Sandbox) -> int:
    call(sandbox, "return 1;")
    process = sandbox.process
    assert process is not None
    return process.pid


def test_values_go_there_and_back(sandbox):
    given = ["o", [["at", ["d", NOW]], ["raw", ["b", "00ff"]], ["__proto__", ["a", [1, None, "x", True]]]]]
    assert call(sandbox, "return a;", given) == {"result": given}
    told = call(
        sandbox, "return [a.at instanceof Date, a.raw.length, Object.getPrototypeOf(a) === Object.prototype];", given
    )
    assert told == {"result": ["a", [True, 2, True]]}


def test_clock_and_chance_are_the_executions(sandbox):
    body = "return [new Date().getTime(), Date.now(), new Date(0).constructor.now(), Math.random(), Math.random()];"
    first, again, other = call(sandbox, body), call(sandbox, body), call(sandbox, body, seed=8)
    assert first == again
    assert first["result"][1][:3] == [NOW, NOW, NOW]
    assert other["result"][1][3:] != first["result"][1][3:]
    told = call(sandbox, "return new Date(2026, 0, 1).toISOString() + typeof performance + typeof Atomics;")
    assert told == {"result": "2026-01-01T00:00:00.000Zundefinedundefined"}


@pytest.mark.parametrize(
    ("body", "exceeded"),
    [
        ("while (true);", "time"),
        ("try { while (true); } finally { while (true); }", "time"),
        ("/^(a+)+$/.test('a'.repeat(40) + 'b');", "time"),
        ("[].concat(new Array(4e9));", "time"),
        ("new Array(2 ** 31).sort();", "time"),
        ("Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);", "time"),
        ("return new Array(1e9);", "time"),
        ("return 'x'.repeat(200000);", "output"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_call_that_wants_too_much_is_ended_in_time(sandbox, body, exceeded):
    began = time.monotonic()
    with pytest.raises(CallEnded) as ended:
        call(sandbox, body)
    assert ended.value.exceeded == exceeded
    assert time.monotonic() - began < CONFIG.wait_seconds / 3


@pytest.mark.parametrize(
    "body",
    [
        "return 'x'.repeat(1e9);",
        "const all = []; while (true) all.push('x'.repeat(100000) + all.length);",
        "return new Uint8Array(1e9);",
        "let s = 'x'; while (true) s = s + s;",
        "return 10n ** 100000000n;",
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_call_gets_no_more_memory_than_its_bound(sandbox, body):
    try:
        told = call(sandbox, body)
    except CallEnded as ended:
        assert ended.exceeded in {"memory", "time", "crash"}  # noqa: PT017  either way of ending is one
    else:
        assert "error" in told


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return hostile();", "call stack"),
        ("const all = []; all.push(all); return all;", "nested deeper"),
        ("let deep = 1; for (let i = 0; i < 1e5; i++) deep = [deep]; return JSON.stringify(deep);", "call stack"),
        ("return JSON.parse('['.repeat(200000));", "call stack"),
        ("return eval('('.repeat(200000));", "call stack"),
        ("return 1n;", "BigInt"),
        ("return Promise.resolve(1);", "asynchronous"),
        ("return import('fs');", "asynchronous"),
        ("throw new Error('my own words');", "my own words"),
        ("throw { toString() { throw 1; } };", "no text"),
        ("require('fs');", "require"),
        ("process.exit();", "process"),
        ("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);", "not defined"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_goes_wrong_is_the_calls_own_error(sandbox, body, says):
    assert says in call(sandbox, body)["error"]


@pytest.mark.parametrize(
    "body",
    [
        "return hostile.constructor.constructor('return this')();",
        "return (function () { return this; })();",
        "return globalThis;",
        "return new Function('return globalThis')();",
        "return Object.getOwnPropertyNames((0, eval)('this')).sort();",
        (
            "let p = a; const seen = [];"
            " while (p) { seen.push(...Object.getOwnPropertyNames(p)); p = Object.getPrototypeOf(p); }"
            " return seen;"
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_nothing_of_a_host_can_be_reached(sandbox, body):
    told = str(call(sandbox, body, ["o", []]))
    hosts = (
        "require",
        "process",
        "std",
        "os",
        "print",
        "console",
        "fetch",
        "load",
        "scriptArgs",
        "Worker",
        "__loadScript",
    )
    assert not [name for name in hosts if f"'{name}'" in told]


def test_what_a_call_changes_is_gone_with_it(sandbox):
    spoiling = (
        "globalThis.kept = a; Object.prototype.kept = a; Array.prototype.map = () => [a]; JSON.parse = () => a;"
        " Math.random = () => 1; return 'spoilt';"
    )
    assert call(sandbox, spoiling, "the secret of one organization") == {"result": "spoilt"}
    looking = "return [typeof kept, typeof ({}).kept, [1].map(x => x + 1), JSON.parse('2'), Math.random() < 1];"
    assert call(sandbox, looking) == {"result": ["a", ["undefined", "undefined", ["a", [2]], 2, True]]}


def test_a_call_that_breaks_its_engines_own_functions_harms_its_own_answer_only(sandbox):
    told = call(sandbox, "JSON.stringify = () => '{\"result\":'; Array.isArray = () => { throw 1; }; return [1];")
    assert told == {"result": ["a", [1]]}
    assert call(sandbox, "return 1;") == {"result": 1}


def test_a_cell_has_no_files_no_environment_and_is_nobody(patient):
    pid = warden(patient)
    if os.geteuid() == 0:
        # Root may not read the environment of what forbids it; its words say enough.
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        assert "Uid:\t65534\t65534\t65534\t65534" in status
        assert "NoNewPrivs:\t1" in status
    busy = threading.Thread(target=outlasted, args=(patient, "while (true);"))
    busy.start()
    cell = _first_cell(pid)
    try:
        status = Path(f"/proc/{cell}/status").read_text(encoding="utf-8")
        assert "Seccomp:\t2" in status
        if os.geteuid() == 0:
            opened = [str(entry.readlink()) for entry in Path(f"/proc/{cell}/fd").iterdir()]
            assert sorted(name.partition(":")[0] for name in opened) == ["/dev/null", "socket"]
    finally:
        os.kill(cell, signal.SIGKILL)
        busy.join()


def _first_cell(pid: int) -> int:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for cell in children(pid):
            status = Path(f"/proc/{cell}/status").read_text(encoding="utf-8")
            # One that is ending, of the call before, has its filter still, and no memory.
            if "Seccomp:\t2" in status and "VmRSS:" in status:
                return cell
    raise AssertionError("no cell put on its filter")


def test_a_cell_that_is_killed_ends_its_own_call_only(patient):
    pid = warden(patient)
    ended: list[str] = []

    def busy() -> None:
        try:
            call(patient, "while (true);")
        except CallEnded as error:
            ended.append(error.exceeded)

    thread = threading.Thread(target=busy)
    thread.start()
    os.kill(_first_cell(pid), signal.SIGSEGV)
    thread.join()
    assert ended == ["crash"]
    assert warden(patient) == pid


def test_the_program_is_started_again_when_it_is_gone(sandbox):
    pid = warden(sandbox)
    os.kill(pid, signal.SIGKILL)
    process = sandbox.process
    assert process is not None
    process.wait(5)
    assert warden(sandbox) != pid


def test_closing_ends_the_program_and_its_cells():
    sandbox = Sandbox(CONFIG)
    pid = warden(sandbox)
    sandbox.close()
    assert not Path(f"/proc/{pid}").exists()


def test_neighbours_go_on_while_hostile_calls_use_up_their_time(sandbox):
    warden(sandbox)
    body = "[].concat(new Array(4e9));"
    hostile = [threading.Thread(target=outlasted, args=(sandbox, body)) for _ in range(2)]
    for thread in hostile:
        thread.start()
    assert [call(sandbox, "return a + 1;", number) for number in range(5)] == [{"result": n + 1} for n in range(5)]
    assert any(thread.is_alive() for thread in hostile)
    for thread in hostile:
        thread.join()


def test_a_cell_that_stands_still_is_killed_by_the_clock():
    sandbox = Sandbox(replace(CONFIG, seconds=5.0, wait_seconds=0.5))
    try:
        pid = warden(sandbox)
        standing = threading.Thread(target=outlasted, args=(sandbox, "while (true);"))
        standing.start()
        cell = _first_cell(pid)
        os.kill(cell, signal.SIGSTOP)
        standing.join(10)
        assert not standing.is_alive()
        assert not Path(f"/proc/{cell}").exists()
    finally:
        sandbox.close()
