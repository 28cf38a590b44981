"""Lists of the Make API: a page of a hundred scenarios out of a hundred thousand, and what is remembered near.

A served product in this process answers `GET /api/v2/scenarios` as an API token asks it, by id, by name, and from deep
within; goals: 30 ms at p99, and a page costs no more than one out of a thousand. Sockets are measured by `acceptance`.
What every request needs first (an organization's facts, a key) is remembered for seconds: a read from there beside one
from the database, goal five times faster.
"""

import tempfile
import time
from collections.abc import MutableMapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop
from starlette.types import ASGIApp

from benchmarks.report import Report
from make_bridge.boot import open_domain, open_server
from make_bridge.domain.organizations.keys import OrganizationReader
from make_bridge.domain.organizations.messages import NewOrganization, OrganizationCreated
from make_bridge.settings import load_settings
from make_bridge.wiring.domain import Domain

_MANY, _FEW, _PAGE = 100_000, 1_000, 100
_CALLS, _WARM, _READS = 300, 30, 2_000
_FILL = """
INSERT INTO shard.scenarios (organization_id, team_id, name, state, is_invalid, used_packages, scheduling, interface,
                             is_sequential)
SELECT %s, %s, 'Scenario ' || md5(number::text), 'inactive', false, '{http,json}', %s, %s, false
FROM generate_series(1, %s) AS number
"""
_PAGES = {
    "by id": "",
    "by name": "&pg[sortBy]=name",
    "by id, the last": "&pg[sortDir]=desc",
}


def run(report: Report) -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="make-bridge-bench-") as folder:
        uvloop.run(_measure(Path(folder) / "data", report))


async def _measure(data_dir: Path, report: Report) -> None:
    async with AsyncExitStack() as stack:
        loaded = load_settings(None, {"data_dir": data_dir})
        app = (await open_server(stack, loaded, lambda _: None)).app
        domain = await open_domain(stack, loaded, lambda _: None, join=True)
        many, few = (await _filled(domain, _MANY), await _filled(domain, _FEW))
        for name, order in _PAGES.items():
            late, usual = await _times(app, many, order)
            _, small = await _times(app, few, order)
            report.goal(f"ms at p99, {_PAGE} of {_MANY} {name}", late * 1000, at_most=30.0)
            report.goal(f"the middle call beside one of {_FEW}", usual / small, at_most=1.5)
        report.goal("near reads / reads from the database", await _near(domain, many), at_least=5.0)


async def _filled(domain: Domain, rows: int) -> OrganizationCreated:
    made = await domain.service.create(NewOrganization(name=f"With {rows}"))
    shard = await domain.shards.of(made.organization_id)
    async with shard.write(made.organization_id) as tx:
        await tx.execute(_FILL, (made.organization_id, made.team_id, b'{"type":"on-demand"}', b"{}", rows))
    return made


async def _times(app: ASGIApp, made: OrganizationCreated, order: str) -> tuple[float, float]:
    """Return p99 and median of the latency, in seconds."""
    took = []
    for _ in range(_WARM + _CALLS):
        began = time.perf_counter()
        await _ask(app, made.api_token, f"organizationId={made.organization_id}&pg[limit]={_PAGE}{order}")
        took.append(time.perf_counter() - began)
    took = sorted(took[_WARM:])
    return took[int(_CALLS * 0.99)], took[_CALLS // 2]


async def _near(domain: Domain, made: OrganizationCreated) -> float:
    """Return how many times faster an organization's facts are remembered than read."""
    reader = OrganizationReader(domain.shards.directory, domain.clock)
    await reader.get(made.organization_id)
    began = time.perf_counter()
    for _ in range(_READS):
        await reader.get(made.organization_id)
    near = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(_READS):
        await OrganizationReader(domain.shards.directory, domain.clock).get(made.organization_id)
    return (time.perf_counter() - began) / near


async def _ask(app: ASGIApp, token: str, query: str) -> None:
    """Ask for one page; anything but a full one is a mistake of this benchmark."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/v2/scenarios",
        "raw_path": b"/api/v2/scenarios",
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8080"), (b"authorization", f"Token {token}".encode())],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }
    pieces: list[bytes] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        pieces.append(message.get("body", b""))

    await app(scope, receive, send)
    assert b"".join(pieces).count(b'"nextExec"') == _PAGE, b"".join(pieces)[:500]
