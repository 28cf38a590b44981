"""The rows of ``doctor`` that tell where log lines go, and who may read the counters."""

import pytest

from make_bridge.cli import doctor
from make_bridge.kernel.errors import BridgeError, ConfigurationError, Unavailable
from make_bridge.settings import load_settings
from support.bulk_service import serving_bulk
from support.network import free_port


@pytest.fixture(autouse=True)
def as_set(monkeypatch):
    def given(**settings):
        for name, value in settings.items():
            monkeypatch.setenv(f"MAKE_BRIDGE_{name}", str(value))
        return load_settings()

    return given


async def test_an_installation_without_more_places_lacks_nothing(as_set):
    loaded = as_set()
    assert await doctor._log_file(loaded) == "none: lines go to standard output"  # noqa: SLF001
    assert await doctor._elasticsearch(loaded) == "none"  # noqa: SLF001
    assert "this machine only" in await doctor._operator_token(loaded)  # noqa: SLF001


async def test_a_folder_that_is_not_there_is_named(as_set, tmp_path):
    with pytest.raises(BridgeError, match="later is no folder that this user may write"):
        await doctor._log_file(as_set(LOG_FILE=tmp_path / "later" / "log"))  # noqa: SLF001


async def test_a_log_that_may_outgrow_its_disk_is_a_warning(as_set, tmp_path):
    settings = as_set(LOG_FILE=tmp_path / "log", LOG_FILE_BYTES=1 << 40, LOG_FILE_COUNT=1000)
    assert await doctor._look("log file", doctor._log_file, settings) == (  # noqa: SLF001
        "log file", "warning", (await _told(settings)),
    )  # fmt: skip
    assert "2 older ones, 30 MB at most" in await doctor._log_file(  # noqa: SLF001
        as_set(LOG_FILE_BYTES=10 << 20, LOG_FILE_COUNT=2)
    )


async def _told(settings):
    with pytest.raises(BridgeError, match="may take") as raised:
        await doctor._log_file(settings)  # noqa: SLF001
    return raised.value.message


async def test_elasticsearch_is_asked_and_its_password_never_told(as_set, tmp_path):
    (tmp_path / "auth").write_text("a:hunter2")
    with serving_bulk(authorization="Basic YTpodW50ZXIy") as service:
        loaded = as_set(ELASTICSEARCH_URL=service.url, ELASTICSEARCH_AUTH_FILE=tmp_path / "auth")
        assert "answers at" in await doctor._elasticsearch(loaded)  # noqa: SLF001
        (tmp_path / "auth").write_text("a:hunter3")
        with pytest.raises(Unavailable, match="refuses the credentials") as refused:
            await doctor._elasticsearch(loaded)  # noqa: SLF001
    loaded = as_set(ELASTICSEARCH_URL=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="cannot be reached") as away:
        await doctor._elasticsearch(loaded)  # noqa: SLF001
    assert "hunter" not in str(refused.value) + str(away.value)


async def test_a_token_that_cannot_be_read_is_named(as_set, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await doctor._operator_token(as_set(METRICS_TOKEN_FILE=tmp_path / "token"))  # noqa: SLF001


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ELASTICSEARCH_URL", "http://u:hunter2@host:9200", "must not hold a name or a password"),
        ("ELASTICSEARCH_URL", "host:9200", "must be an address like"),
        ("ELASTICSEARCH_INDEX", "Upper/../_all", "ELASTICSEARCH_INDEX"),
        ("LOG_REQUESTS", "some", "LOG_REQUESTS"),
        ("LOG_QUEUE_BYTES", "1", "LOG_QUEUE_BYTES"),
        ("HEALTH_FALL", "0", "HEALTH_FALL"),
    ],
)
def test_what_cannot_work_ends_the_start_with_a_sentence(as_set, name, value, sentence):
    with pytest.raises(ConfigurationError, match=sentence) as raised:
        as_set(**{name: value})
    assert "hunter2" not in str(raised.value)
