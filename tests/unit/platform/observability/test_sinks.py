"""Every sink keeps what the port promises: lines whole, in order, once; what it cannot take comes back with the reason.

Elasticsearch is the strict stand-in of ``support/bulk_service``, over real sockets; files are real files.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from make_bridge.kernel.errors import ConfigurationError, Unavailable
from make_bridge.platform.observability.sinks.elasticsearch import ElasticsearchSink, examine
from make_bridge.platform.observability.sinks.elasticsearch_config import ElasticsearchConfig, read_authorization
from make_bridge.platform.observability.sinks.rotating_file import FileConfig, RotatingFile
from make_bridge.platform.observability.sinks.stream import StreamSink
from support.bulk_service import serving_bulk
from support.network import free_port

BASIC = "Basic YTpi"


def line(event, **more):
    return json.dumps({"timestamp": "2026-11-22T10:00:00Z", "event": event, **more}, separators=(",", ":")).encode()


LINES = [line(f"event {number}") for number in range(50)]


def elasticsearch(service, **changed):
    given = {"url": service.url, "index": service.index, "seconds": 5.0, "batch_bytes": 1 << 20, **changed}
    return ElasticsearchSink(ElasticsearchConfig(**given))


class Place:
    """A sink and how what it has taken is read."""

    def __init__(self, sink, read):
        self.sink = sink
        self.read = read


@pytest.fixture(params=["stream", "file", "elasticsearch"])
def place(request, tmp_path):
    path = tmp_path / "log"
    if request.param == "stream":
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        yield Place(StreamSink(descriptor), lambda: [json.loads(each) for each in path.read_bytes().splitlines()])
        os.close(descriptor)
    elif request.param == "file":
        sink = RotatingFile(FileConfig(path=path, most_bytes=1 << 20, count=2))
        yield Place(sink, lambda: [json.loads(each) for each in path.read_bytes().splitlines()])
        sink.close()
    else:
        with serving_bulk() as service:
            sink = elasticsearch(service)
            yield Place(sink, lambda: list(service.documents.values()))
            sink.close()
            assert service.complaints == []


def test_a_sink_takes_lines_whole_and_in_their_order(place):
    assert place.sink.write(LINES[:20]).left == ()
    assert place.sink.write(LINES[20:]).left == ()
    assert [told["event"] for told in place.read()] == [f"event {number}" for number in range(50)]


def test_a_sink_takes_any_line_of_ours(place):
    odd = [line("ä€😀 'quoted' \\ \" {}"), line("x" * 100_000)]
    assert place.sink.write(odd).left == ()
    assert [told["event"] for told in place.read()] == [json.loads(each)["event"] for each in odd]


# --- Files


def files(tmp_path, **changed):
    return RotatingFile(FileConfig(**{"path": tmp_path / "log", "most_bytes": 1000, "count": 2} | changed))


def test_a_file_that_is_full_gives_way_to_another_and_the_oldest_goes(tmp_path):
    sink = files(tmp_path)
    for number in range(100):
        assert sink.write([line(f"event {number:02}")]).left == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2", "log.lock"]
    kept = [tmp_path / "log.2", tmp_path / "log.1", tmp_path / "log"]
    assert all(path.stat().st_size <= 1000 for path in kept)
    events = [json.loads(each)["event"] for path in kept for each in path.read_bytes().splitlines()]
    assert events == [f"event {number:02}" for number in range(100 - len(events), 100)]


def test_without_older_files_the_only_one_begins_anew(tmp_path):
    sink = files(tmp_path, count=0)
    sink.write([line(f"event {number}") for number in range(100)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.lock"]
    assert (tmp_path / "log").stat().st_size <= 1000


def test_a_file_goes_on_where_it_ended_and_half_a_line_of_a_killed_process_stays_alone(tmp_path):
    (tmp_path / "log").write_bytes(LINES[0] + b'\n{"timestamp":"20')
    sink = files(tmp_path)
    sink.write([LINES[1]])
    assert (tmp_path / "log").read_bytes() == LINES[0] + b'\n{"timestamp":"20\n' + LINES[1] + b"\n"


def test_only_its_own_user_reads_the_file(tmp_path):
    files(tmp_path).write([LINES[0]])
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_file_that_another_process_writes_is_left_alone_until_that_one_has_ended(tmp_path):
    first, second = files(tmp_path), files(tmp_path)
    assert first.write([LINES[0]]).left == ()
    taken = second.write([LINES[1]])
    assert list(taken.left) == [LINES[1]]
    assert "another process" in taken.reason
    first.close()
    assert second.write([LINES[1]]).left == ()


def test_a_folder_that_comes_later_is_written_when_it_is_there(tmp_path):
    sink = files(tmp_path, path=tmp_path / "later" / "log")
    assert sink.write([LINES[0]]).reason == "No such file or directory"
    (tmp_path / "later").mkdir()
    assert sink.write([LINES[0]]).left == ()


FULL = """
import resource, signal, sys
from pathlib import Path
from make_bridge.platform.observability.sinks.rotating_file import FileConfig, RotatingFile

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
sink = RotatingFile(FileConfig(path=path, most_bytes=1 << 20, count=0))
lines = [b"%04d" % number + b"x" * 95 for number in range(100)]
resource.setrlimit(resource.RLIMIT_FSIZE, (2550, resource.RLIM_INFINITY))
first = sink.write(lines)
again = sink.write(first.left)
print(len(first.left), len(again.left), path.stat().st_size, bool(first.reason))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(len(sink.write(again.left).left), path.read_bytes() == b"".join(line + b"\\n" for line in lines))
"""


def test_a_line_that_finds_no_room_is_taken_back_whole_and_written_once_when_there_is(tmp_path):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    command = [sys.executable, "-c", FULL, str(tmp_path / "log")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["75", "75", "2500", "True", "0", "True"], done.stdout


def test_a_stream_nobody_reads_any_more_says_so(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    taken = StreamSink(writing).write(LINES)
    os.close(writing)
    assert list(taken.left) == LINES
    assert taken.reason == "Broken pipe"


# --- Elasticsearch


@pytest.fixture
def service():
    with serving_bulk(authorization=BASIC) as found:
        yield found
        assert found.complaints == []


@pytest.fixture
def sink(service):
    made = elasticsearch(service, authorization=BASIC)
    yield made
    made.close()


def test_a_line_that_is_sent_again_because_its_answer_was_lost_is_there_once(service, sink):
    service.loses_answers = 1
    taken = sink.write(LINES)
    assert list(taken.left) == LINES
    assert not sink.write(taken.left).left
    assert len(service.documents) == len(LINES)
    assert service.repeated == len(LINES)


def test_a_document_has_the_name_of_its_time_that_data_streams_ask_for(service, sink):
    sink.write([line("a", milliseconds=3)])
    [document] = service.documents.values()
    assert document == {"@timestamp": "2026-11-22T10:00:00Z", "event": "a", "milliseconds": 3}


def test_single_lines_that_are_not_wanted_count_as_rejected_and_the_others_are_there(service, sink):
    service.refuse("event 7", 400)
    taken = sink.write(LINES)
    assert (list(taken.left), taken.rejected) == ([], 1)
    assert len(service.documents) == 49


def test_single_lines_that_find_no_room_come_back(service, sink):
    service.refuse("event 7", 429)
    taken = sink.write(LINES)
    assert (list(taken.left), taken.rejected) == ([LINES[7]], 0)
    service.refused_items.clear()
    assert not sink.write(taken.left).left
    assert len(service.documents) == 50


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_service_that_does_not_take_lines_now_gives_all_back(service, sink, status):
    service.status = status
    taken = sink.write(LINES)
    assert list(taken.left) == LINES
    assert taken.reason == f"answers {status}"
    service.status = 200
    assert not sink.write(taken.left).left
    assert len(service.documents) == 50


def test_what_is_too_large_for_one_request_goes_in_several(service, sink):
    service.most_bytes = 1000
    assert sink.write([*LINES, line("x" * 2000)]).rejected == 1
    assert len(service.documents) == 50


def test_what_talks_rubbish_is_not_believed(service, sink):
    for rubbish in (b"", b"<html>", b"{}", b'{"errors":true}', b'{"errors":true,"items":[{"create":{"status":201}}]}'):
        service.rubbish = rubbish
        taken = sink.write(LINES)
        assert list(taken.left) == LINES, rubbish
        assert taken.reason == "what answers is not Elasticsearch"


def test_an_answer_without_end_is_not_read_to_it(service, sink):
    service.rubbish = b" " * (5 << 20)
    assert "longer than any" in sink.write(LINES).reason


def test_a_service_that_falls_silent_has_its_deadline(service):
    service.is_silent = True
    sink = elasticsearch(service, seconds=0.1)
    assert sink.write(LINES).reason == "no answer within 0.1 seconds"
    sink.close()


def test_a_service_that_is_not_there_is_told_without_its_credentials(service):
    sink = elasticsearch(service, url=f"http://127.0.0.1:{free_port()}", authorization="Basic hunter2hunter2")
    taken = sink.write(LINES)
    sink.close()
    assert list(taken.left) == LINES
    assert "cannot be reached" in taken.reason
    assert "hunter2" not in taken.reason
    assert "hunter2" not in repr(
        ElasticsearchConfig(url="", index="", seconds=1, batch_bytes=1, authorization="hunter2")
    )


async def test_doctor_tells_a_service_that_answers_from_one_that_does_not(service):
    config = ElasticsearchConfig(url=service.url, index="i", seconds=5.0, batch_bytes=1, authorization=BASIC)
    assert await examine(config) == f"answers at {service.url}; lines go to 'i'"
    wrong = ElasticsearchConfig(url=service.url, index="i", seconds=5.0, batch_bytes=1, authorization="Basic x")
    with pytest.raises(Unavailable, match="refuses the credentials in MAKE_BRIDGE_ELASTICSEARCH_AUTH_FILE"):
        await examine(wrong)
    away = ElasticsearchConfig(url=f"http://127.0.0.1:{free_port()}", index="i", seconds=5.0, batch_bytes=1)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await examine(away)


@pytest.mark.parametrize(
    ("content", "header"),
    [
        ("a:b\n", BASIC),
        ("elastic:p:w", "Basic ZWxhc3RpYzpwOnc="),
        ("ApiKey abc==", "ApiKey abc=="),
        ("Bearer abc", "Bearer abc"),
    ],
)
def test_credentials_are_read_from_a_file(tmp_path: Path, content, header):
    (tmp_path / "auth").write_text(content)
    assert read_authorization(tmp_path / "auth") == header


@pytest.mark.parametrize("content", ["", "hunter2", "ApiKey ", "ApiKey a b", "a:b\nc:d", "x" * 5000, "Basic hunter2"])
def test_credentials_of_another_form_are_refused_and_not_told(tmp_path: Path, content):
    (tmp_path / "auth").write_text(content)
    with pytest.raises(ConfigurationError, match="must hold one line") as raised:
        read_authorization(tmp_path / "auth")
    assert "hunter2" not in str(raised.value)
