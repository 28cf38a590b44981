"""A provider for the module, and scenes of the slice over a real database."""

import pytest

from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from support.endings import make_place
from support.jobs import JobScene
from support.oauth import OAuthScene
from support.oauth_server import serving_provider


@pytest.fixture(scope="module")
def provider_process():
    with serving_provider() as provider:
        yield provider


@pytest.fixture
def provider(provider_process):
    provider_process.reset()
    return provider_process


@pytest.fixture
async def out():
    async with EgressClient(EgressConfig(policy=EgressPolicy.parse(["127.0.0.1"]))) as client:
        yield client


@pytest.fixture
async def build(shards, provider, out):
    scenes = []

    async def built(**limits):
        scene = OAuthScene(shards, JobScene(shards, await make_place(shards)), provider, out, **limits)
        scenes.append(scene)
        return scene

    yield built
    provider.faults.clear()
    for scene in scenes:
        await scene.close()


@pytest.fixture
async def oauth(build):
    return await build()
