"""nginx before several servers, as an operator would put it there, and its own account of what it did.

It is a child of the test process, with a configuration written for the test and nothing of the machine's own. A server
that fails once is left alone for ``EJECTED_SECONDS``. What may be tried on another server is only what was never sent:
nginx repeats no POST of which a byte has gone out. Its log has a line for each request with the servers it was tried
on and what was sent to each of them.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.network import free_port, send
from support.waiting import until

EJECTED_SECONDS = 2
_PATIENCE = 10.0
_STOP_SECONDS = 10.0
_CONFIGURATION = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
{user}
events {{ worker_connections 1024; }}
http {{
    log_format told escape=json '{{"ended": $msec, "took": $request_time, "status": $status,'
        ' "tried": "$upstream_addr", "sent": "$upstream_bytes_sent", "answers": "$upstream_status"}}';
    access_log {folder}/requests told;
    server_tokens off;
    client_max_body_size 20m;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream bridge {{
        {servers}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location = /of-nginx {{ access_log off; return 204; }}
        location / {{
            proxy_pass http://bridge;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            {forwarding}
            proxy_connect_timeout 1s;
            proxy_read_timeout 30s;
            proxy_next_upstream error timeout;
            proxy_next_upstream_tries 2;
            proxy_next_upstream_timeout 2s;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One request as nginx saw it, in seconds of this machine's wall clock; the first server it was tried on, first."""

    began: float
    ended: float
    status: int
    tried: Sequence[str]
    sent: Sequence[int]

    def has_sent_to(self, port: int) -> bool:
        """Say whether a byte of it went to the server on this port."""
        return any(address.endswith(f":{port}") and sent for address, sent in zip(self.tried, self.sent, strict=False))


@dataclass(slots=True, kw_only=True)
class Nginx:
    """One running nginx."""

    program: Path
    folder: Path
    port: int
    says_who_calls: bool = False
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, ports: Sequence[int]) -> None:
        """Start it before servers on these ports."""
        servers = "\n        ".join(
            f"server 127.0.0.1:{port} max_fails=1 fail_timeout={EJECTED_SECONDS}s;" for port in ports
        )
        # Its workers would be nobody's otherwise, who may not write below a test's folder.
        user = "user root;" if os.geteuid() == 0 else ""
        forwarding = "proxy_set_header X-Forwarded-For $remote_addr;" if self.says_who_calls else ""
        configuration = self.folder / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=self.folder, port=self.port, servers=servers, user=user, forwarding=forwarding
            ),
            encoding="utf-8",
        )
        self.process = subprocess.Popen(
            [self.program, "-p", self.folder, "-c", configuration, "-e", self.folder / "nginx.log"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(self._answers, f"nginx answers on port {self.port}", within=_PATIENCE)

    def stop(self) -> None:
        """End it with its worker at once."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(_STOP_SECONDS)

    def told(self) -> list[Told]:
        """Read its account; a line that is still being written is left out."""
        lines = (self.folder / "requests").read_text(encoding="utf-8").split("\n")[:-1]
        return [_told(line) for line in lines]

    def serves_from(self, port: int, since: float) -> bool:
        """Say whether the server on this port has answered a request that began after a moment."""
        return any(told.began >= since and told.status < 500 and told.has_sent_to(port) for told in self.told())

    def _answers(self) -> bool:
        assert self.process is not None
        said = self.folder / "nginx.log"
        assert self.process.poll() is None, f"nginx ended: {said.read_text() if said.exists() else ''}"
        with contextlib.suppress(OSError):
            return send("GET", f"{self.url}/of-nginx").status == 204
        return False


@contextlib.contextmanager
def nginx_before(program: Path, folder: Path, ports: Sequence[int], *, says_who_calls: bool = False) -> Iterator[Nginx]:
    """Run nginx before servers on these ports; its files lie in ``folder``.

    ``says_who_calls`` lets it name the caller's address to them, whatever the caller itself says.
    """
    folder.mkdir()
    nginx = Nginx(program=program, folder=folder, port=free_port(), says_who_calls=says_who_calls)
    try:
        nginx.start(ports)
        yield nginx
    finally:
        nginx.stop()


def wall_clock() -> float:
    """Return the time as nginx and the ledger write it."""
    return time.time()


def _told(line: str) -> Told:
    found = json.loads(line)
    return Told(
        began=found["ended"] - found["took"],
        ended=found["ended"],
        status=found["status"],
        tried=found["tried"].split(", "),
        sent=[int(sent) if sent.isdigit() else 0 for sent in found["sent"].split(", ")],
    )
