"""F-21: the places where log lines go are full, away, silent or mad, and nobody who is served notices.

Each request has a line, and far more come than may wait: what finds no room is dropped and counted, memory stays where
it was, and when the place is back lines arrive there again, whole. The log's volume is a small file system in memory
that a file of the test's fills; where this user may not mount, that test is skipped by name. Elasticsearch is the
strict stand-in of `support/bulk_service`. Standard output is a pipe that nobody reads.
"""

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from faults.scene import tell
from support.bulk_service import BulkService, serving_bulk
from support.integrator import Connected, new_organization
from support.network import free_port, send
from support.server import PROGRAM, ServerProcess, installed
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
QUEUE_BYTES = 262_144
# Each line has some 400 bytes: several times what may wait.
REQUESTS = 1200
CALLERS = 4
# What a server needs that has just begun to work; the lines of all requests would be a third of it for each place.
MOST_GROWTH = 48 * 1024 * 1024
WITHIN = 60.0
SETTINGS = {"LOG_REQUESTS": "all", "LOG_QUEUE_BYTES": str(QUEUE_BYTES)}
QUICK = {
    "name": "Calls nobody",
    "flow": [
        {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": None}, "mapper": {}},
        {"id": 2, "module": "util:ComposeTransformer", "version": 1, "mapper": {"value": "{{1.op}}"}},
    ],
    "metadata": {"version": 1},
}


def connected_at(server: ServerProcess) -> Connected:
    integrator = new_organization(server.installation, server.url, "Acme CRM")
    options = {"autoActivate": True, "scenario": {"name": "Calls nobody", "enable": True}}
    return integrator.customer().connect(integrator.publish(QUICK), {}, **options)


def memory_of(server: ServerProcess) -> int:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/statm").read_text().split()
    return int(status[1]) * os.sysconf("SC_PAGE_SIZE")


def call(connected: Connected, count: int) -> list[int]:
    """Call the webhook again and again, and return what was not answered as it should be."""
    with ThreadPoolExecutor(CALLERS) as callers:
        calls = [callers.submit(connected.call_hook, {"op": str(number)}, patience=10.0) for number in range(count)]
        return [status for call in calls if (status := call.result().status) != 200]


def dropped(server: ServerProcess, sink: str) -> float:
    return server.metric("log_lines_dropped_total", sink=sink)


def is_up(server: ServerProcess, sink: str) -> bool:
    return server.metric("log_sink_up", sink=sink) == 1


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A small file system of this test's own, for the log."""
    place = tmp_path / "volume"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def fill(volume: Path) -> None:
    with (volume / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(b"\0" * 4096):
            pass


def test_a_full_log_volume_costs_lines_and_no_request(
    volume: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    file = volume / "bridge.log"
    settings = {**SETTINGS, "LOG_FILE": str(file), "LOG_FILE_COUNT": "0"}
    with installed("embedded", tmp_path / "w", None, **settings) as installation:
        server = installation.server().start()
        connected = connected_at(server)
        call(connected, 20)
        until(lambda: file.exists() and b'"request"' in file.read_bytes(), "requests are told there", within=WITHIN)
        before = memory_of(server)
        fill(volume)
        wrong = call(connected, REQUESTS)
        growth, lost = memory_of(server) - before, dropped(server, "file")
        waiting = server.metric("log_waiting_bytes", sink="file")
        sink = server.get("/health").json()["logs"]["file"]
        ready = server.get("/ready").status
        (volume / "filler").unlink()
        until(lambda: is_up(server, "file"), "the file takes lines again", within=WITHIN)
        last = connected.call_hook({"op": "last"}).headers["x-request-id"]
        until(lambda: last.encode() in file.read_bytes(), "the last request is told in the file", within=WITHIN)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert server.end() is None
    told = (
        f"log volume full: {REQUESTS} requests, {len(wrong)} failed, {lost:.0f} lines dropped, {growth >> 10} kB more"
    )
    tell(told)
    record_property("faults", told)
    assert wrong == []
    assert lost > 0
    assert growth < MOST_GROWTH
    assert 0 < waiting <= QUEUE_BYTES
    assert (sink["state"], sink["reason"], ready) == ("down", "No space left on device", 200)
    # The file tells that it was away, and no line of it is half there.
    assert "log_sink_back" in {line["event"] for line in lines}


@pytest.mark.parametrize("fault", ["down", "silent", "refuses", "full", "talks rubbish"])
def test_an_elasticsearch_that_takes_nothing_costs_lines_and_no_request(
    fault: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with ExitStack() as exits:
        service = exits.enter_context(serving_bulk())
        url = f"http://127.0.0.1:{free_port()}" if fault == "down" else service.url
        more = {"ELASTICSEARCH_URL": url, "ELASTICSEARCH_SECONDS": "1"}
        installation = exits.enter_context(installed("embedded", tmp_path / "w", None, **SETTINGS, **more))
        server = installation.server().start()
        connected = connected_at(server)
        call(connected, 20)
        begin(service, fault)
        before = memory_of(server)
        wrong = call(connected, REQUESTS)
        growth, lost = memory_of(server) - before, dropped(server, "elasticsearch")
        waiting = server.metric("log_waiting_bytes", sink="elasticsearch")
        if fault != "down":
            end(service)
            until(lambda: is_up(server, "elasticsearch"), "it takes lines again", within=WITHIN)
            # It is up from the first batch on, and the queue may still be full: what comes then is dropped.
            until(lambda: server.metric("log_waiting_bytes", sink="elasticsearch") < QUEUE_BYTES / 2,
                  "there is room again", within=WITHIN)  # fmt: skip
            last = connected.call_hook({"op": "last"}).headers["x-request-id"]
            until(lambda: last in {one.get("request_id") for one in list(service.documents.values())},
                  "the last request is told there", within=WITHIN)  # fmt: skip
            assert service.complaints == []
        began = time.monotonic()
        assert server.end() is None
        ending = time.monotonic() - began
    told = (
        f"Elasticsearch {fault}: {REQUESTS} requests, {len(wrong)} failed, {lost:.0f} lines dropped, {growth >> 10} kB"
        f" more, ended in {ending:.1f} s"
    )
    tell(told)
    record_property("faults", told)
    assert wrong == []
    assert lost > 0
    assert growth < MOST_GROWTH
    assert 0 < waiting <= QUEUE_BYTES


def begin(service: BulkService, fault: str) -> None:
    service.is_silent = fault == "silent"
    service.status = {"refuses": 403, "full": 429}.get(fault, 200)
    service.rubbish = b"<html>Welcome</html>" if fault == "talks rubbish" else None


def end(service: BulkService) -> None:
    begin(service, "")


def test_a_standard_output_that_nobody_reads_costs_lines_and_no_request(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with installed("embedded", tmp_path / "w", None, **SETTINGS) as installation:
        server = installation.server()
        arguments = ["serve", "--host", "127.0.0.1", "--port", str(server.port)]
        environment = installation.process_environment()
        server.process = subprocess.Popen(
            [PROGRAM, *arguments], env=environment, cwd=installation.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        server.wait_ready()
        connected = connected_at(server)
        wrong, lost = call(connected, REQUESTS), dropped(server, "output")
        alive = send("GET", f"{server.url}/live").status
        # What it says at its end to a person needs a reader.
        output = server.process.stdout
        assert output is not None
        reader = threading.Thread(target=output.read)
        reader.start()
        assert server.end() is None
        reader.join(WITHIN)
        output.close()
    told = f"output unread: {REQUESTS} requests, {len(wrong)} failed, {lost:.0f} lines dropped"
    tell(told)
    record_property("faults", told)
    assert (wrong, alive) == ([], 200)
    assert lost > 0
