"""The embedded database, for real: what it serves, who may see it, and what is left after every kind of kill.

`serve_embedded.py` is the supervisor that gets killed. Each test has its own copy of one cluster, because making one
takes most of a second; strange users and places are in test_embedded_places.py.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from make_bridge.kernel.errors import Conflict
from make_bridge.platform.database.embedded import (
    EmbeddedConfig,
    EmbeddedPostgres,
    Happening,
    facts_of_running,
)
from support.embedded import (
    PATIENCE,
    Observed,
    accepts,
    ask,
    child_of,
    cluster_in,
    dsn_of,
    fact_of,
    is_alive,
    kept,
    make_cluster,
    open_and_close,
    owner_of,
    postmaster_pid,
    supervisors,
    wait_until,
    write,
)


@pytest.fixture
def supervise():
    with supervisors() as start:
        yield start


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_cluster(tmp_path_factory.mktemp("embedded") / "data")


@pytest.fixture
def data_dir(made):
    # Short, so that the socket's path is never too long; below a directory that only we may pass.
    with tempfile.TemporaryDirectory(prefix="mb-") as place:
        subprocess.run(["cp", "-a", made, place], check=True)
        yield Path(place) / made.name


# What is served


async def test_a_first_start_gives_a_database_that_keeps_what_it_acknowledged(tmp_path):
    observed = Observed()
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=tmp_path / "data"), observed) as facts:
        wanted = {
            "server_version_num": "18",
            "synchronous_commit": "on",
            "fsync": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "listen_addresses": "",
            "unix_socket_permissions": "0700",
            "password_encryption": "scram-sha-256",
            "server_encoding": "UTF8",
            "jit": "off",
        }
        shown = {name: ask(facts.admin_dsn, f"SHOW {name}") for name in wanted}
        assert shown | {"server_version_num": shown["server_version_num"][:2]} == wanted
        locale = "SELECT datlocprovider::text || ' ' || datlocale FROM pg_database WHERE datname = current_database()"
        assert ask(facts.admin_dsn, locale) == "b C.UTF-8"
        assert ask(facts.admin_dsn, "SELECT current_database()") == "make_bridge"
    assert [event.happening for event in observed.events] == [Happening.CREATED, Happening.STARTED, Happening.STOPPED]


async def test_a_clean_stop_ends_the_server_and_the_next_start_finds_every_row(data_dir):
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        write(facts.admin_dsn, "before")
        server = postmaster_pid(data_dir)
    assert not is_alive(server)
    assert not (cluster_in(data_dir) / "postmaster.pid").exists()
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        assert kept(facts.admin_dsn) == ["before"]


async def test_a_clean_stop_does_not_wait_for_open_sessions(data_dir):
    observed = Observed()
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir), observed) as facts:
        connection = psycopg.connect(facts.admin_dsn)
        connection.execute("SELECT 1")
    connection.close()
    assert observed.events[-1].happening is Happening.STOPPED
    assert observed.events[-1].seconds < EmbeddedConfig(data_dir=data_dir).stop_deadline / 2


async def test_an_end_in_the_first_moment_stops_the_server_too(data_dir):
    database = EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir))
    await database.__aenter__()
    server = postmaster_pid(data_dir)
    await database.__aexit__(None, None, None)  # nothing that was set going has had a turn yet
    assert not is_alive(server)


async def test_a_clean_stop_has_a_deadline(data_dir):
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir, stop_deadline=0.1)):
        server = postmaster_pid(data_dir)
        checkpointer = child_of(server, called="checkpointer")
        os.kill(checkpointer, signal.SIGSTOP)  # a clean end waits for it
    assert not is_alive(server)
    assert not is_alive(checkpointer)


async def test_the_environment_of_the_caller_reaches_neither_server_nor_connection(data_dir, monkeypatch):
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("MAKE_BRIDGE_SECRET", "a secret of the caller")
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        assert ask(facts.admin_dsn, "SELECT 1") == 1
        environment = fact_of(postmaster_pid(data_dir), "environ")
    assert b"PATH=" in environment
    assert b"a secret of the caller" not in environment


async def test_another_process_learns_how_to_reach_a_running_database(data_dir):
    config = EmbeddedConfig(data_dir=data_dir)
    assert facts_of_running(config) is None
    async with EmbeddedPostgres(config) as facts:
        assert facts_of_running(config) == facts
    assert facts_of_running(config) is None


async def test_an_interrupt_from_the_terminal_is_left_to_the_supervisor(data_dir):
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)):
        assert os.getsid(postmaster_pid(data_dir)) != os.getsid(0)


# Who may see what


async def test_only_the_owner_reads_the_directory_and_only_the_server_its_files(tmp_path):
    previous = os.umask(0)
    try:
        async with EmbeddedPostgres(EmbeddedConfig(data_dir=tmp_path / "data")) as facts:
            home = tmp_path / "data" / "database"
            modes = {path.name: path.stat().st_mode & 0o777 for path in (home.parent, home, *home.iterdir())}
            socket = (Path(facts.host) / ".s.PGSQL.5432").stat().st_mode & 0o777
            open_to_others = {path.stat().st_mode & 0o077 for path in (home / "postgresql").rglob("*")}
    finally:
        os.umask(previous)
    directories = {"data": 0o700, "database": 0o700, "postgresql": 0o700}
    assert modes == directories | {"lock": 0o600, "password": 0o600, "start.log": 0o600}
    assert socket == 0o700
    assert open_to_others == {0}


async def test_a_wrong_password_is_refused(data_dir):
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(facts.serving_dsn(facts.user, "guess"))


def test_the_password_is_in_no_command_line_no_environment_and_no_other_file(tmp_path, supervise):
    data_dir = tmp_path / "data"
    supervisor = supervise(data_dir)
    seen = []
    while not (cluster_in(data_dir) / "postmaster.pid").exists():
        seen.append(words_of_all_processes())
        assert supervisor.process.poll() is None
    write(supervisor.hears("accepting")["dsn"], "a row")
    seen.append(words_of_all_processes())
    secret = (data_dir / "database" / "password").read_bytes()
    assert len(secret) >= 32
    assert any(b"initdb" in words for words in seen)
    assert not any(secret in words for words in seen)
    holders = [path.name for path in data_dir.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert holders == ["password"]


def words_of_all_processes():
    words = b""
    for path in (*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")):
        with contextlib.suppress(OSError):
            words += path.read_bytes()
    return words


async def test_facts_do_not_show_the_password(data_dir):
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        assert facts.password not in repr(facts)


async def test_the_log_keeps_no_value_of_a_statement(data_dir):
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        with psycopg.connect(facts.admin_dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE one (text text UNIQUE)")
            connection.execute("INSERT INTO one VALUES ('confidential')")
            for statement in ("SELECT 'confidential'::integer", "INSERT INTO one VALUES ('confidential')"):
                with pytest.raises(psycopg.Error):
                    connection.execute(statement)
    logs = [path.read_text() for path in (cluster_in(data_dir) / "log").iterdir()]
    assert any("ready to accept connections" in text for text in logs)
    assert not any("confidential" in text for text in logs)


async def test_of_many_log_files_the_newest_are_kept(data_dir):
    log = cluster_in(data_dir) / "log"
    for number in range(20):
        (log / f"postgresql-200001{number:02}-000000.log").touch()
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)):
        assert len(list(log.glob("postgresql-2000*"))) < 5


# One supervisor at a time


async def test_a_second_supervisor_is_refused_at_once_by_a_sentence_that_names_the_first(data_dir):
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        began = time.monotonic()
        with pytest.raises(Conflict, match=rf"already served by process {os.getpid()}\. Stop that process"):
            await open_and_close(EmbeddedConfig(data_dir=data_dir))
        assert time.monotonic() - began < 1
        assert ask(facts.admin_dsn, "SELECT 1") == 1


def test_a_second_process_is_refused_too(data_dir, supervise):
    first = supervise(data_dir)
    first.hears("accepting")
    refusal = supervise(data_dir).hears("refused")
    assert refusal["code"] == "data_dir_in_use"
    assert f"process {first.process.pid}." in refusal["message"]


# After a kill


def test_a_server_ends_by_itself_when_its_supervisor_alone_is_killed(data_dir, supervise):
    supervisor = supervise(data_dir)
    write(supervisor.hears("accepting")["dsn"], "acknowledged")
    server = postmaster_pid(data_dir)
    supervisor.kill()
    wait_until(lambda: not is_alive(server), "the kernel told the server")
    second = supervise(data_dir)
    assert kept(second.hears("accepting")["dsn"]) == ["acknowledged"]


def test_a_start_right_after_the_kill_of_a_supervisor_finds_every_row(data_dir, supervise):
    for number in range(3):
        supervisor = supervise(data_dir)
        write(supervisor.hears("accepting")["dsn"], f"row {number}")
        supervisor.kill()
    last = supervise(data_dir)
    assert kept(last.hears("accepting")["dsn"]) == ["row 0", "row 1", "row 2"]
    assert last.ends() == 0


def test_a_server_that_nobody_supervises_is_stopped_cleanly_before_a_new_one_starts(data_dir, supervise):
    first = supervise(data_dir)
    first.hears("accepting")
    command = fact_of(postmaster_pid(data_dir), "cmdline").split(b"\0")[:-1]
    assert first.ends() == 0
    cluster = cluster_in(data_dir)
    with subprocess.Popen(command, cwd=cluster, stderr=subprocess.DEVNULL, **owner_of(cluster)) as abandoned:
        wait_until(lambda: accepts(dsn_of(data_dir)), "the abandoned server accepts")
        write(dsn_of(data_dir), "through the abandoned server")
        second = supervise(data_dir)
        assert second.hears("leftovers_stopped")["seconds"] > 0
        assert kept(second.hears("accepting")["dsn"]) == ["through the abandoned server"]
        assert abandoned.wait(PATIENCE) == 0


async def test_a_killed_server_is_started_again_with_every_row(data_dir):
    observed = Observed()
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir), observed) as facts:
        for number in range(3):
            write(facts.admin_dsn, f"row {number}")
            os.kill(postmaster_pid(data_dir), signal.SIGKILL)
            await observed.until(Happening.STARTED, times=number + 2)
        assert kept(facts.admin_dsn) == ["row 0", "row 1", "row 2"]
    assert observed.count(Happening.DIED) == 3


async def test_a_session_that_outlives_its_killed_server_does_not_hinder_the_next(data_dir):
    observed = Observed()
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir), observed) as facts:
        write(facts.admin_dsn, "acknowledged")
        orphan = psycopg.connect(facts.admin_dsn)
        os.kill(orphan.info.backend_pid, signal.SIGSTOP)  # it cannot notice that its server is gone
        os.kill(postmaster_pid(data_dir), signal.SIGKILL)
        await observed.until(Happening.STARTED, times=2)
        assert not is_alive(orphan.info.backend_pid)
        orphan.close()
        assert kept(facts.admin_dsn) == ["acknowledged"]


async def test_a_server_that_cannot_start_again_is_tried_until_it_can(data_dir):
    observed = Observed()
    control = cluster_in(data_dir) / "global" / "pg_control"
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir), observed) as facts:
        control.rename(control.with_name("hidden"))
        os.kill(postmaster_pid(data_dir), signal.SIGKILL)
        await observed.until(Happening.RESTART_FAILED, times=2)
        control.with_name("hidden").rename(control)
        await observed.until(Happening.STARTED, times=2)
        assert ask(facts.admin_dsn, "SELECT 1") == 1
    failed = next(event for event in observed.events if event.happening is Happening.RESTART_FAILED)
    assert "could not" in failed.detail


def test_a_supervisor_killed_while_it_makes_the_cluster_leaves_nothing_in_the_way(tmp_path, supervise):
    data_dir = tmp_path / "data"
    first = supervise(data_dir)
    wait_until(lambda: list(data_dir.glob("database/new-*/postgresql/global/pg_control")), "initdb is at work")
    first.kill()
    assert not cluster_in(data_dir).exists()
    second = supervise(data_dir)
    write(second.hears("accepting")["dsn"], "a row")
    assert list(data_dir.glob("database/new-*")) == []
