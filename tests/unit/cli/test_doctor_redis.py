"""The row of ``doctor`` that tells of Redis."""

import pytest

from make_bridge.cli import doctor
from make_bridge.kernel.errors import Unavailable
from make_bridge.settings import load_settings
from support.network import free_port


async def test_an_installation_without_redis_lacks_nothing():
    assert await doctor._redis(load_settings()) == "none: servers divide rate limits among themselves"  # noqa: SLF001


async def test_a_redis_that_is_not_there_is_told_without_its_password(monkeypatch):
    monkeypatch.setenv("MAKE_BRIDGE_REDIS_URL", f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    with pytest.raises(Unavailable, match="Redis does not answer as it should at MAKE_BRIDGE_REDIS_URL") as raised:
        await doctor._redis(load_settings())  # noqa: SLF001
    assert "hunter2" not in str(raised.value)
