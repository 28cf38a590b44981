"""ZooKeeper over TLS: who it is, who we are, and that nobody who is neither is spoken to.

A real ZooKeeper that takes only connections over TLS whose client shows a certificate that it trusts.
"""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from make_bridge.cli import doctor
from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.coordination.zookeeper_config import ZooKeeperConfig, ZooKeeperTls
from make_bridge.platform.coordination.zookeeper_session import Session
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.settings import load_settings
from support.candidates import config_of
from support.zookeeper_process import Tls, ZooKeeperProcess, own_zookeeper

pytestmark = [
    pytest.mark.requires_server("zookeeper"),
    pytest.mark.timeout(120),
    # kazoo leaves the socket of a handshake that failed to the garbage collector, which closes it.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
HERE, ELSEWHERE = "DNS:localhost,IP:127.0.0.1", "DNS:zookeeper.example"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates with their keys: of the server, of one that trusts nobody knows, of one for another name, ours."""
    folder = tmp_path_factory.mktemp("tls")
    for name, of in (("server", HERE), ("elsewhere", ELSEWHERE), ("bridge", HERE), ("stranger", HERE)):
        _certify(folder, name, of)
    return folder


def _certify(folder: Path, name: str, of: str) -> None:
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName={of}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / f"{name}.both").write_bytes(key.read_bytes() + certificate.read_bytes())


@pytest.fixture(scope="module")
def zookeeper(folder: Path) -> Iterator[ZooKeeperProcess]:
    with own_zookeeper(folder / "server", Tls(own=folder / "server.both", trusted=folder / "bridge.pem")) as zookeeper:
        yield zookeeper


def _config(zookeeper: ZooKeeperProcess, tls: ZooKeeperTls | None) -> ZooKeeperConfig:
    assert zookeeper.tls_port is not None
    return replace(config_of(f"127.0.0.1:{zookeeper.tls_port}"), tls=tls)


def _own(folder: Path, *, server: str = "server", shown: str | None = "bridge") -> ZooKeeperTls:
    certificate, key = (None, None) if shown is None else (folder / f"{shown}.pem", folder / f"{shown}.key")
    return ZooKeeperTls(authority=folder / f"{server}.pem", certificate=certificate, key=key)


async def test_a_server_and_a_client_that_know_each_other_speak(zookeeper: ZooKeeperProcess, folder: Path) -> None:
    async with Session(_config(zookeeper, _own(folder)), Metrics().coordination) as session:
        assert session.is_live()
        await session.ask(lambda client: client.ensure_path_async("/make-bridge/leaders"))


@pytest.mark.parametrize("wrong", ["another authority", "no certificate", "a stranger's certificate", "no TLS"])
async def test_whoever_is_not_known_is_not_spoken_to(zookeeper: ZooKeeperProcess, folder: Path, wrong: str) -> None:
    tls = {
        "another authority": _own(folder, server="stranger"),
        "no certificate": _own(folder, shown=None),
        "a stranger's certificate": _own(folder, shown="stranger"),
        "no TLS": None,
    }[wrong]
    _shake_hands(zookeeper, folder, "server")
    async with Session(_config(zookeeper, tls), Metrics().coordination) as session:
        assert not session.is_live()
        with pytest.raises(Unavailable):
            await session.ask(lambda client: client.exists_async("/make-bridge"))


async def test_a_certificate_for_another_name_is_refused(folder: Path) -> None:
    tls = Tls(own=folder / "elsewhere.both", trusted=folder / "bridge.pem")
    with own_zookeeper(folder / "elsewhere", tls) as zookeeper:
        _shake_hands(zookeeper, folder, "elsewhere")
        async with Session(_config(zookeeper, _own(folder, server="elsewhere")), Metrics().coordination) as session:
            assert not session.is_live()


def _shake_hands(zookeeper: ZooKeeperProcess, folder: Path, server: str) -> None:
    """See that nothing but the name can be wrong: whoever does not look at it is let in."""
    context = ssl.create_default_context(cafile=folder / f"{server}.pem")
    context.check_hostname = False
    context.load_cert_chain(folder / "bridge.pem", folder / "bridge.key")
    with (
        socket.create_connection(("127.0.0.1", zookeeper.tls_port or 0), timeout=30) as line,
        context.wrap_socket(line) as shaken,
    ):
        assert shaken.version() is not None


async def test_the_settings_name_the_files_and_doctor_tells(
    zookeeper: ZooKeeperProcess, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "HOSTS": f"127.0.0.1:{zookeeper.tls_port}",
        "CA_FILE": folder / "server.pem",
        "CERT_FILE": folder / "bridge.pem",
        "KEY_FILE": folder / "bridge.key",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"MAKE_BRIDGE_ZOOKEEPER_{name}", str(value))
    told = await doctor._zookeeper(load_settings())  # noqa: SLF001
    assert told == "answers, has a quorum and takes nodes below '/make-bridge'"
