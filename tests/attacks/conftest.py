"""What the attacks meet: the product behind nginx, and for what lies deeper the API over a real PostgreSQL."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from attacks.scene import LimitedPair, Scene, attacked, limited_pair
from support.api_v2 import Api
from support.postgres import open_shards
from support.postgres_process import own_postgres
from support.redis_process import own_redis
from support.server import show_logs


@pytest.fixture(scope="module")
async def shards(postgres):
    async with open_shards(postgres, "one") as opened:
        yield opened


@pytest.fixture(scope="module")
def api(shards):
    return Api(shards)


@pytest.fixture
async def acme(api):
    return await api.integrator()


@pytest.fixture(scope="package")
def scene(server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Serve through nginx, before two servers, an organization and its victim: started once for the folder."""
    folder = tmp_path_factory.mktemp("scene")
    with (
        own_postgres(server("postgresql-15")) as postgres,
        attacked({"nginx": server("nginx")}, folder, postgres) as served,
    ):
        yield served


@pytest.fixture(scope="package")
def limited(
    scene: Scene, server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LimitedPair]:
    """Two more servers with small limits that know of each other, and have no Redis."""
    with limited_pair(scene, server("nginx"), tmp_path_factory.mktemp("limited"), "limited") as pair:
        yield pair


@pytest.fixture
def limited_by_redis(
    scene: Scene, server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LimitedPair]:
    """Two more servers with small limits, which they count together in a Redis."""
    folder = tmp_path_factory.mktemp("counted")
    with (
        own_redis(server("redis-server"), folder / "redis") as redis,
        limited_pair(scene, server("nginx"), folder, "counted", REDIS_URL=redis.url, REDIS_SECONDS="1") as pair,
    ):
        pair.redis = redis
        yield pair


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the servers said beside what a failed test says."""
    report = yield
    found = getattr(item, "funcargs", {}).get("scene")
    if report.failed and isinstance(found, Scene):
        show_logs(report, found.installation.folder)
    return report
