"""The row of ``doctor`` that tells of ZooKeeper."""

from dataclasses import replace

import pytest

from make_bridge.cli import doctor
from make_bridge.kernel.errors import ConfigurationError, Unavailable
from make_bridge.platform.coordination.zookeeper_session import Session
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.settings import load_settings
from support.candidates import config_of
from support.network import free_port
from support.zookeeper_process import own_zookeeper


async def test_an_installation_without_zookeeper_lacks_nothing():
    told = await doctor._zookeeper(load_settings())  # noqa: SLF001
    assert told == "none: processes lead by leases in the database"


@pytest.mark.requires_server("zookeeper")
async def test_a_zookeeper_that_is_there_is_told_with_its_path(monkeypatch, tmp_path):
    with own_zookeeper(tmp_path) as zookeeper:
        monkeypatch.setenv("MAKE_BRIDGE_ZOOKEEPER_HOSTS", zookeeper.address)
        told = await doctor._zookeeper(load_settings())  # noqa: SLF001
    assert told == "answers, has a quorum and takes nodes below '/make-bridge'"


async def test_a_zookeeper_that_is_not_there_is_told_without_its_password(monkeypatch, tmp_path):
    own = tmp_path / "auth"
    own.write_text("bridge:hunter2\n")
    monkeypatch.setenv("MAKE_BRIDGE_ZOOKEEPER_HOSTS", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("MAKE_BRIDGE_ZOOKEEPER_ANSWER_SECONDS", "0.3")
    monkeypatch.setenv("MAKE_BRIDGE_ZOOKEEPER_AUTH_FILE", str(own))
    with pytest.raises(Unavailable, match="no connection to ZooKeeper at MAKE_BRIDGE_ZOOKEEPER_HOSTS") as raised:
        await doctor._zookeeper(load_settings())  # noqa: SLF001
    assert "hunter2" not in str(raised.value)
    assert "hunter2" not in repr(load_settings().settings.zookeeper())


@pytest.mark.parametrize("content", ["", "bridge", ":hunter2", "a:hunter2 b", "bridge:hunter2ü", "a:" + "x" * 600])
async def test_a_password_file_that_is_none_is_told_without_what_it_holds(monkeypatch, tmp_path, content):
    own = tmp_path / "auth"
    own.write_text(content)
    monkeypatch.setenv("MAKE_BRIDGE_ZOOKEEPER_HOSTS", "127.0.0.1:2181")
    monkeypatch.setenv("MAKE_BRIDGE_ZOOKEEPER_AUTH_FILE", str(own))
    with pytest.raises(ConfigurationError, match="must hold one line, NAME:PASSWORD") as raised:
        load_settings().settings.zookeeper()
    assert "hunter2" not in raised.value.message


@pytest.mark.requires_server("zookeeper")
async def test_with_a_password_nodes_are_nobody_elses(tmp_path):
    with own_zookeeper(tmp_path) as zookeeper:
        own = replace(config_of(zookeeper.address), auth="bridge:hunter2")
        async with Session(own, Metrics().coordination) as session:
            assert session.is_live()
            await session.ask(lambda client: client.ensure_path_async("/make-bridge/leaders"))
        async with Session(replace(own, auth="bridge:wrong"), Metrics().coordination) as stranger:
            with pytest.raises(Unavailable, match="refuses the name or password in MAKE_BRIDGE_ZOOKEEPER_AUTH_FILE"):
                await stranger.ask(lambda client: client.set_async("/make-bridge/pulse", b""))
            assert not stranger.is_live()
        async with Session(own, Metrics().coordination) as again:
            assert again.is_live()
