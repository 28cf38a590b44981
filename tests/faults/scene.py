"""The scene of every fault test: one customer with two scenarios on webhooks, and the load that is sent to them.

`slow` calls the target that each webhook names, so its runs are in flight for as long as the target likes; `quick`
calls nobody, so it is stored together with its outcome. Both ways of accepting a webhook are under load at once.
"""

import os
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from faults.ledger import Plan
from support.integrator import Connected, Integrator, new_organization
from support.server import Installation
from support.target import Target

TARGET_PORTS = 6
_WEBHOOK: dict[str, Any] = {
    "id": 1,
    "module": "gateway:CustomWebHook",
    "version": 1,
    "parameters": {"hook": None, "maxResults": 1},
    "mapper": {},
    "metadata": {"interface": [{"name": name, "type": "text"} for name in ("op", "url", "padding")]},
}
SLOW: dict[str, Any] = {
    "name": "Calls a slow shop",
    "flow": [
        _WEBHOOK,
        {
            "id": 2,
            "module": "http:ActionSendData",
            "version": 3,
            "parameters": {"handleErrors": True},
            "mapper": {
                "url": "{{1.url}}",
                "method": "put",
                "headers": [{"name": "X-Op", "value": "{{1.op}}"}],
                "bodyType": "raw",
                "contentType": "text/plain",
                "data": "{{1.op}}",
                "timeout": 60,
            },
        },
    ],
    "metadata": {"version": 1},
}
QUICK: dict[str, Any] = {
    "name": "Calls nobody",
    "flow": [
        _WEBHOOK,
        {"id": 2, "module": "util:ComposeTransformer", "version": 1, "mapper": {"value": "done with {{1.op}}"}},
    ],
    "metadata": {"version": 1},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The customer's two scenarios, switched on."""

    integrator: Integrator
    slow: Connected
    quick: Connected

    @property
    def scenario_ids(self) -> tuple[int, int]:
        return self.slow.id, self.quick.id

    def plan(self, name: str, target: Target, *, url: str | None = None, **numbers: Any) -> Plan:
        """Plan a load on both hooks; `url` sends it to another server than the one the hooks name."""
        hooks = {"slow": self.slow.hook_url, "quick": self.quick.hook_url}
        if url is not None:
            hooks = {kind: f"{url}/hook/{hook.rpartition('/')[2]}" for kind, hook in hooks.items()}
        targets = tuple(f"http://127.0.0.1:{port}/" for port in target.ports)
        given: dict[str, Any] = {"weights": {"slow": 4, "quick": 1}, "rate": 60.0, "in_flight": 32, **numbers}
        return Plan(name=name, hooks=hooks, targets=targets, **given)


def build_scene(installation: Installation, url: str) -> Scene:
    """Make the organization, publish both templates, connect a customer and switch the scenarios on."""
    integrator = new_organization(installation, url)
    customer = integrator.customer("dana@example.com")
    connected = []
    for blueprint in (SLOW, QUICK):
        version_id = integrator.publish(blueprint)
        options: Mapping[str, Any] = {"autoActivate": True, "scenario": {"name": blueprint["name"], "enable": True}}
        connected.append(customer.connect(version_id, {}, **options))
    return Scene(integrator=integrator, slow=connected[0], quick=connected[1])


def scene_on(installation: Installation, url: str, shard: int) -> Scene:
    """Build scenes until the ring has put one on a shard; of two shards each has about half."""
    for _ in range(12):
        scene = build_scene(installation, url)
        with psycopg.connect(installation.directory_dsn) as connection:
            found = connection.execute(
                "SELECT shard FROM directory.placements WHERE organization_id = %s", (scene.integrator.organization_id,)
            ).fetchone()
        if found == (shard,):
            return scene
    raise AssertionError(f"no organization came to shard {shard}")


def new_seed() -> int:
    """Take the seed of a run that is to be repeated, or a fresh one."""
    given = os.environ.get("MAKE_BRIDGE_TEST_SEED")
    return int(given) if given else random.SystemRandom().randrange(2**32)


def tell(text: str) -> None:
    """Say the numbers of a run; pytest shows them for a failed test, or with -rP for all."""
    sys.stdout.write(text + "\n")
