"""The parts of `deploy/compose` that run without containers: nginx, PostgreSQL and Redis, each with its configuration.

What a container would give (names of services, ports below 1024, folders) is put in place of what the files say, and
nothing else: each replacement has to be there to be made, so that a file that changed does not pass by the test.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from support.manifests import DEPLOY
from support.network import free_port, send
from support.postgres_process import PostgresProcess
from support.waiting import until

COMPOSE = DEPLOY / "compose"
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """nginx as compose starts it."""

    plain: str
    secure: str
    certificate: Path
    said: Path


def replaced(text: str, places: dict[str, str]) -> str:
    for what, instead in places.items():
        assert what in text, f"the configuration has no '{what}' any more"
        text = text.replace(what, instead)
    return text


@contextmanager
def front_of(program: Path, folder: Path, ports: Sequence[int]) -> Iterator[Front]:
    """Run nginx with the configuration of compose before servers on these ports."""
    folder.mkdir()
    certificate, key = folder / "tls.crt", folder / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
         "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    plain, secure = free_port(), free_port()
    servers = "\n        ".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=2s;" for port in ports)
    text = replaced(
        (COMPOSE / "nginx" / "nginx.conf").read_text(encoding="utf-8"),
        {
            # First: the folder itself lies below /tmp.
            "/tmp/": f"{folder}/",
            # Debian's nginx is older than the one in the container.
            "server bridge:8080 resolve max_fails=1 fail_timeout=2s;": servers,
            "listen 8443 ssl;\n        http2 on;": f"listen 127.0.0.1:{secure} ssl http2;",
            "listen 8080;": f"listen 127.0.0.1:{plain};",
            "resolver 127.0.0.11 valid=5s ipv6=off;": "",
            "    keepalive_min_timeout 5s;\n": "",
            "/run/secrets": str(folder),
            "/dev/stdout": f"{folder}/requests.log",
            "/dev/stderr": f"{folder}/nginx.log",
        },
    )
    configuration = folder / "nginx.conf"
    # Its workers would be nobody's otherwise, who may not write below a test's folder.
    configuration.write_text(("user root;\n" if os.geteuid() == 0 else "") + text, encoding="utf-8")
    arguments: list[str | Path] = [program, "-p", folder, "-c", configuration, "-e", folder / "nginx.log"]
    checked = subprocess.run([*arguments, "-t"], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen([*arguments, "-g", "daemon off;"], stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        until(lambda: _answers(plain), "nginx answers", within=_PATIENCE)
        yield Front(
            plain=f"http://127.0.0.1:{plain}",
            secure=f"https://127.0.0.1:{secure}",
            certificate=certificate,
            said=folder / "requests.log",
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_PATIENCE)


def _answers(port: int) -> bool:
    with suppress(OSError):
        return send("GET", f"http://127.0.0.1:{port}/of-nginx", patience=2.0).status == 204
    return False


def make_secrets(folder: Path) -> None:
    subprocess.run([COMPOSE / "make-secrets.sh", folder], check=True, capture_output=True, timeout=60)


def begin_database(postgres: PostgresProcess, secrets: Path) -> None:
    """Do to a fresh server what the PostgreSQL image does with `begin.sh`."""
    owner = urlsplit(postgres.url())
    subprocess.run(
        [COMPOSE / "postgres" / "begin.sh"],
        check=True,
        capture_output=True,
        timeout=60,
        env={
            "PATH": os.environ["PATH"], "PGHOST": str(owner.hostname), "PGPORT": str(owner.port),
            "PGPASSWORD": str(owner.password), "PGDATA": str(postgres.directory / "data"), "SECRETS": str(secrets),
            "ROLES": str(COMPOSE / "postgres"),
        },
    )  # fmt: skip


def settings_file(secrets: Path, name: str, folder: Path, addresses: dict[str, str]) -> Path:
    """Copy a settings file of the secrets to where this process may use it, with other addresses."""
    key = folder / "root.key"
    if not key.exists():
        shutil.copyfile(secrets / "root.key", key)
        key.chmod(0o600)
    text = replaced((secrets / name).read_text(), addresses | {"/run/secrets/root.key": str(key)})
    copy = folder / name
    copy.write_text(text, encoding="utf-8")
    return copy


@contextmanager
def redis_of(program: Path, secrets: Path, folder: Path) -> Iterator[int]:
    """Run Redis with the configuration and the access rules of compose; gives its port."""
    folder.mkdir()
    port = free_port()
    text = replaced(
        (COMPOSE / "redis" / "redis.conf").read_text(encoding="utf-8"),
        {"port 6379": f"port {port}", "dir /data": f"dir {folder}", "bind * -::*": "bind 127.0.0.1"},
    )
    configuration, log = folder / "redis.conf", folder / "redis.log"
    configuration.write_text(text, encoding="utf-8")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, configuration, "--aclfile", secrets / "redis.acl"], stdout=output, stderr=output
        )
    try:
        until(
            lambda: process.poll() is not None or re.search(r"Ready to accept", log.read_text()),
            "Redis accepts",
            within=_PATIENCE,
        )
        assert process.poll() is None, log.read_text()
        yield port
    finally:
        process.terminate()
        process.wait(_PATIENCE)
