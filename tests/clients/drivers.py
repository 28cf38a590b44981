"""The official clients as processes: the SDK behind a small script, the command line, the MCP server over its pipes.

They are the published packages, untouched; what they are told is where the server is, and whom to trust.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PROGRAMS = FOLDER / "node_modules" / ".bin"
_SECONDS = 90.0


class MakeRefused(Exception):
    """What the SDK raised."""

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """With whom a client speaks, and as whom."""

    zone: str
    certificate: Path
    token: str
    team_id: int

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(FOLDER / "nobody"),
            "NODE_EXTRA_CA_CERTS": str(self.certificate),
            "MAKE_API_KEY": self.token,
            "MAKE_ZONE": self.zone,
            "MAKE_TEAM": str(self.team_id),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """``make-cli``: every call is a process."""

    account: Account

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [PROGRAMS / "make-cli", *arguments],
            env=dict(self.account.environment), check=False, capture_output=True, text=True, timeout=_SECONDS,
        )  # fmt: skip

    def say(self, *arguments: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"make-cli {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def ask(self, *arguments: str) -> Any:
        """Run a command that must succeed and prints JSON, and return that."""
        return json.loads(self.say(*arguments))

    def refused(self, *arguments: str) -> str:
        """Run a command that the server must refuse, and return the complaint."""
        done = self.run(*arguments)
        assert done.returncode == 2, f"make-cli {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stderr


@dataclass(frozen=True, slots=True)
class Sdk:
    """``@makehq/sdk``: one process for all calls."""

    process: "subprocess.Popen[str]"

    def __call__(self, call: str, *arguments: object) -> Any:
        told = _exchange(self.process, {"call": call, "args": arguments})
        if "error" in told:
            raise MakeRefused(told["error"]["message"], told["error"]["statusCode"])
        return told["answer"]


@dataclass(frozen=True, slots=True)
class Mcp:
    """``@makehq/mcp-server``, spoken to as an agent does."""

    process: "subprocess.Popen[str]"
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def ask(self, method: str, **parameters: object) -> Any:
        number = next(self.numbers)
        told = _exchange(self.process, {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters})
        assert told.get("id") == number, told
        assert "result" in told, told
        return told["result"]

    def tell(self, method: str) -> None:
        _write(self.process, {"jsonrpc": "2.0", "method": method})


@contextmanager
def sdk(account: Account) -> Iterator[Sdk]:
    with _speaking(["node", FOLDER / "sdk.mjs"], account) as process:
        yield Sdk(process)


@contextmanager
def mcp(account: Account) -> Iterator[Mcp]:
    with _speaking([PROGRAMS / "mcp-server-make"], account) as process:
        client = Mcp(process)
        hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "tests", "version": "0"}}
        client.ask("initialize", **hello)
        client.tell("notifications/initialized")
        yield client


@contextmanager
def _speaking(command: list[str | Path], account: Account) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        command, cwd=FOLDER, env=dict(account.environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _exchange(process: "subprocess.Popen[str]", asked: object) -> dict[str, Any]:
    _write(process, asked)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the client ended with {process.poll()}"
    told: dict[str, Any] = json.loads(line)
    return told


def _write(process: "subprocess.Popen[str]", said: object) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(said) + "\n")
    process.stdin.flush()
