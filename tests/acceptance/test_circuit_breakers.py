"""Circuit breakers from the outside: a broken target is left alone, its scenarios are told, everybody else goes on."""

import pytest

from acceptance.test_incomplete_executions import make_scene, post
from support.integrator import new_organization
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
WITHIN = 20.0
PLENTY = 30


def paused(scene):
    return scene.ask("GET", f"/circuit-breakers?teamId={scene.integrator.team_id}")["circuitBreakers"]


def make(product, name):
    """Make a scenario with one call, in an organization of its own."""
    integrator = new_organization(product.installation, product.url, name)
    orders = make_scene(integrator, product.shop)
    return make_scene(integrator, product.shop, post(2, f"{product.shop.url}{orders.path}/only", "x")), orders.url(
        "only"
    )


def test_a_broken_target_is_left_alone_and_said_to_be_while_another_organization_still_calls_it(product_in):
    product = product_in("embedded")
    (scene, path), (other, other_path) = make(product, "Broken"), make(product, "Sound")
    product.shop.statuses[path] = 500
    for _ in range(PLENTY):
        scene.call({})
    [told] = until(lambda: paused(scene), "the breaker is open", within=WITHIN)
    assert (told["host"], told["state"]) == (product.shop.url.removeprefix("http://"), "open")
    assert "failed or were slow (the last: status 500)" in told["reason"]
    assert product.installation.metric("circuit_breakers_opened_total") >= 1
    assert product.installation.metric("circuit_breakers", state="open") >= 1

    until(lambda: len(scene.logs()) >= 1, "a run has ended", within=WITHIN)
    calls = len(product.shop.calls_to(path))
    scene.call({})
    latest = until(lambda: refused(scene), "a run was told", within=WITHIN)
    assert "are paused, because" in latest["message"]
    assert "Try again in " in latest["message"]
    assert calls < PLENTY + 1
    assert product.installation.metric("circuit_breaker_refusals_total") >= 1

    other.call({})
    until(lambda: product.shop.calls_to(other_path), "the other organization's call arrives", within=WITHIN)
    assert paused(other) == []


def refused(scene):
    """Return the error of a run whose call was not made."""
    administrator = scene.integrator.administrator()
    logs = [administrator.get(f"/scenarios/{scene.id}/logs/{row['id']}") for row in scene.logs()[:5]]
    errors = [log["error"] for log in logs if log.get("error")]
    return next((error for error in errors if error["name"] == "ConnectionError"), None)
