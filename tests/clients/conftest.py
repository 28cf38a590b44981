"""A served product that speaks https, an organization, and the official clients at the versions the lock names."""

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from clients import drivers
from clients.drivers import FOLDER, Account, CommandLine, Mcp, Sdk
from support.integrator import Integrator, new_organization
from support.server import Installation, ServerProcess, installed
from support.target import Target, serving_target

INSTALL_SECONDS = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Somebody with an API token and Make's clients."""

    server: ServerProcess
    installation: Installation
    integrator: Integrator
    account: Account
    target: Target


@pytest.fixture(scope="session")
def packages() -> None:
    """Install what the lock names, once."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} on this machine")
    lock, installed_lock = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    # Test processes run side by side, and npm begins by taking away what another one is about to use.
    with lock.open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if installed_lock.exists() and installed_lock.stat().st_mtime >= lock.stat().st_mtime:
            return
        npm = subprocess.run(
            ["npm", "ci", "--no-progress"],
            cwd=FOLDER, check=False, capture_output=True, text=True, timeout=INSTALL_SECONDS,
        )  # fmt: skip
        if npm.returncode != 0:
            pytest.skip(f"npm cannot install Make's clients here: {npm.stderr[-400:]}")


@pytest.fixture(scope="session")
def operator(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with ExitStack() as stack:
        target = stack.enter_context(serving_target())
        folder = tmp_path_factory.mktemp("clients")
        installation = stack.enter_context(installed("embedded", folder, None, EGRESS_ALLOW="127.0.0.1"))
        server = installation.server(TLS_SELF_SIGNED="true").start()
        integrator = new_organization(installation, server.url)
        assert server.certificate is not None
        account = Account(
            zone=f"127.0.0.1:{server.port}",
            certificate=server.certificate,
            token=integrator.api_token,
            team_id=integrator.team_id,
        )
        yield Operator(server=server, installation=installation, integrator=integrator, account=account, target=target)


@pytest.fixture(scope="session")
def cli(operator: Operator) -> CommandLine:
    return CommandLine(account=operator.account)


@pytest.fixture(scope="session")
def sdk(operator: Operator) -> Iterator[Sdk]:
    with drivers.sdk(operator.account) as client:
        yield client


@pytest.fixture
def mcp(operator: Operator) -> Iterator[Mcp]:
    with drivers.mcp(operator.account) as client:
        yield client
