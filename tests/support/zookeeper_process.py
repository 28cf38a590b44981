"""A real ZooKeeper of the test's own: one server or an ensemble of three; killed, paused and started again.

A server keeps its port and its data over restarts. It is a Java program of the machine's package, started without the
package's scripts: they would want a user and folders of their own.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from support.network import free_port
from support.waiting import until

_JAR = "/usr/share/java/zookeeper.jar"
# What its manifest leaves out of what TLS needs.
_NETTY = ":".join(f"/usr/share/java/netty-{part}.jar" for part in ("codec", "resolver", "transport-native-unix-common"))
_PATIENCE = 60.0
TICK_SECONDS = 0.25
SESSION_SECONDS = 4.0


@dataclass(slots=True, kw_only=True)
class ZooKeeperProcess:
    """One server."""

    folder: Path
    port: int
    tls_port: int | None = None
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> None:
        java = shutil.which("java")
        assert java is not None, "the package zookeeper brings java along"
        own = [
            "-Xmx96m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xshare:auto",
            # Servers that look for each other ask again within two seconds, not within a minute.
            "-Dzookeeper.fastleader.maxNotificationInterval=2000",
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [java, *own, "-cp", f"{_JAR}:/usr/share/java/slf4j-simple.jar:{_NETTY}",
                 "org.apache.zookeeper.server.quorum.QuorumPeerMain", self.folder / "zoo.cfg"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        if wait:
            self.wait()

    def wait(self) -> None:
        until(self._answers, f"ZooKeeper answers on port {self.port}", within=_PATIENCE)

    def kill(self) -> None:
        process, self.process = self.process, None
        assert process is not None, "ZooKeeper is not started"
        process.kill()
        process.wait(_PATIENCE)

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def say(self, word: str) -> str:
        """Ask one of the four-letter words."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as line:
            line.sendall(word.encode())
            answer = b""
            while piece := line.recv(1 << 16):
                answer += piece
        return answer.decode()

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None, "ZooKeeper is not started"
        os.kill(self.process.pid, number)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"ZooKeeper ended: {(self.folder / 'log').read_text()[-4000:]}"
        with contextlib.suppress(OSError):
            if self.tls_port is not None:
                socket.create_connection(("127.0.0.1", self.tls_port), timeout=2).close()
            return "Mode:" in self.say("srvr")
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """A server's certificate with its key, in one file, and whose certificates it takes of those who connect."""

    own: Path
    trusted: Path


def _configure(folder: Path, port: int, servers: str, number: int, tls: Tls | None = None) -> ZooKeeperProcess:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "myid").write_text(f"{number}\n")
    (folder / "zoo.cfg").write_text(
        f"tickTime={int(TICK_SECONDS * 1000)}\ninitLimit=40\nsyncLimit=12\ndataDir={folder}\nclientPort={port}\n"
        "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=*\nmaxClientCnxns=0\n"
        f"minSessionTimeout=1000\nforceSync=no\n{servers}"
    )
    if tls is None:
        return ZooKeeperProcess(folder=folder, port=port)
    tls_port = free_port()
    with (folder / "zoo.cfg").open("a") as file:
        file.write(
            f"secureClientPort={tls_port}\nsecureClientPortAddress=127.0.0.1\n"
            "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n"
            f"ssl.keyStore.type=PEM\nssl.keyStore.location={tls.own}\n"
            f"ssl.trustStore.type=PEM\nssl.trustStore.location={tls.trusted}\nssl.clientAuth=need\n"
        )
    return ZooKeeperProcess(folder=folder, port=port, tls_port=tls_port)


@contextlib.contextmanager
def own_zookeeper(folder: Path, tls: Tls | None = None) -> Iterator[ZooKeeperProcess]:
    """Run one server; its data and log lie in ``folder``. With ``tls`` it is spoken to over TLS on a second port."""
    server = _configure(folder, free_port(), "", 1, tls)
    try:
        server.start()
        yield server
    finally:
        if server.process is not None:
            server.kill()


@contextlib.contextmanager
def own_ensemble(folder: Path) -> Iterator[tuple[ZooKeeperProcess, ...]]:
    """Run three servers that need two for a quorum."""
    peers = "".join(f"server.{number}=127.0.0.1:{free_port()}:{free_port()}\n" for number in (1, 2, 3))
    servers = tuple(_configure(folder / str(number), free_port(), peers, number) for number in (1, 2, 3))
    try:
        for server in servers:
            server.start(wait=False)
        for server in servers:
            server.wait()
        yield servers
    finally:
        for server in servers:
            if server.process is not None:
                server.kill()
