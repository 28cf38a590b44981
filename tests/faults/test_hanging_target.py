"""F-41: a target that accepts calls and never answers takes no more than its share of the process; others run.

A server with eight slots; twenty runs call a shop that hangs. Runs that call another shop, of the same team and of
another, have to end while all of those hang, and the waiting ones end too when the shop comes back.
"""

from pathlib import Path

import pytest

from faults.scene import QUICK, SLOW, tell
from support.integrator import new_organization
from support.server import installed
from support.target import serving_target
from support.waiting import until

SLOTS, TURNS, HANGING, OTHERS = 8, 3, 20, 12
_SETTINGS = {
    "EGRESS_ALLOW": "127.0.0.1",
    "EXECUTION_CONCURRENCY": str(SLOTS),
    "HOST_CONCURRENCY": str(TURNS),
    # The breaker would help as well, but only after its twenty calls.
    "BREAKER_CALLS": "1000",
}

pytestmark = pytest.mark.timeout(120)


def test_a_target_that_hangs_does_not_keep_others_from_running(tmp_path: Path) -> None:
    with (
        serving_target() as hanging,
        serving_target() as healthy,
        installed("embedded", tmp_path / "w", None, **_SETTINGS) as installation,
    ):
        server = installation.server().start()
        integrator = new_organization(installation, server.url)
        options = {"autoActivate": True, "scenario": {"name": "Orders", "enable": True}}
        version_id = integrator.publish(SLOW)
        dana = integrator.customer("dana@example.com").connect(version_id, {}, **options)
        erin = integrator.customer("erin@example.com").connect(version_id, {}, **options)
        quick = integrator.customer("dana@example.com").connect(integrator.publish(QUICK), {}, **options)
        hold = hanging.hold()
        for number in range(HANGING):
            assert dana.call_hook({"op": f"hangs {number}", "url": hanging.url}).status == 200
        until(lambda: hanging.in_flight == TURNS, "the shop has all calls it may have", within=30)
        for number in range(OTHERS):
            for scenario in (dana, erin):
                body = {"op": f"{scenario.id} {number}", "url": healthy.url}
                assert scenario.call_hook(body).status == 200
        assert quick.call_hook({"op": "quick", "url": ""}).status == 200
        until(lambda: len(healthy.calls) == 2 * OTHERS, "all other runs have called their shop", within=20)
        waiting = server.metric("host_calls", state="waiting")
        tell(f"{hanging.in_flight} calls hang, {waiting:g} wait, {len(healthy.calls)} others are through")
        assert hanging.in_flight == TURNS
        assert waiting == HANGING - TURNS
        hold.release()
        until(lambda: len(hanging.calls) == HANGING, "all have had their turn", within=30)
