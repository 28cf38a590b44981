"""Settings: where each value comes from, and what an operator reads when one cannot work."""

import os
import tomllib

import pytest

from make_bridge.domain.scenarios.inbound import InboundLimits
from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.security.portal_tokens import ExpectedClaims
from make_bridge.settings import DEFAULTS, Settings, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    """Begin without the settings of the machine that runs the tests."""
    for name in list(os.environ):
        if name.startswith("MAKE_BRIDGE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def refusal(monkeypatch):
    """Give the text of the error that one environment variable causes."""

    def read(name, value):
        monkeypatch.setenv(f"MAKE_BRIDGE_{name}", value)
        with pytest.raises(ConfigurationError) as caught:
            load_settings()
        return caught.value.message

    return read


def test_the_defaults_alone_make_a_server():
    loaded = load_settings()
    assert loaded.warnings == ()
    assert loaded.settings.port == 8080
    assert loaded.settings.is_embedded
    assert loaded.settings.origin == "http://127.0.0.1:8080"
    assert loaded.settings.root_key_path.name == "root.key"


def test_idle_connections_outlive_the_door_for_longer_behind_a_proxy(monkeypatch):
    assert load_settings().settings.open_seconds == 1
    monkeypatch.setenv("MAKE_BRIDGE_TRUSTED_PROXIES", "10.0.0.0/8")
    assert load_settings().settings.open_seconds == 3
    monkeypatch.setenv("MAKE_BRIDGE_LAST_CALLS_SECONDS", "0.5")
    assert load_settings().settings.open_seconds == 0.5


def test_a_token_may_name_the_public_address_and_what_is_set(monkeypatch):
    monkeypatch.setenv("MAKE_BRIDGE_PUBLIC_URL", "https://bridge.example.com")
    expected = load_settings().settings.tokens()
    assert expected.issuers == {"make-bridge"}
    assert expected.audiences == {"make-bridge-api", "https://bridge.example.com"}
    monkeypatch.setenv("MAKE_BRIDGE_TOKEN_ISSUERS", "acme, https://acme.example")
    assert load_settings().settings.tokens().issuers == {"acme", "https://acme.example"}


def test_calls_at_once_are_bounded_as_the_settings_say(monkeypatch):
    monkeypatch.setenv("MAKE_BRIDGE_HOST_CONCURRENCY", "3")
    turns = load_settings().settings.turns()
    assert (turns.per_host, turns.per_team) == (3, 100)


def test_the_database_gives_up_the_statements_of_each_role_as_the_settings_say(monkeypatch):
    for name, seconds in {"": 1, "DIRECTORY_": 2, "ENGINE_": 3, "REPORT_": 4}.items():
        monkeypatch.setenv(f"MAKE_BRIDGE_{name}STATEMENT_TIMEOUT_SECONDS", str(seconds))
    limits = load_settings().settings.pools()
    by_role = [limits.of(role).statement_timeout for role in ("bridge_app", "bridge_directory", "bridge_engine")]
    assert [*by_role, limits.report_statement_timeout] == [1, 2, 3, 4]


def test_circuit_breakers_open_as_the_settings_say(monkeypatch):
    limits = load_settings().settings.circuits().limits
    assert (limits.calls, limits.failed_share, limits.probes) == (20, 0.5, 3)
    for name, value in {
        "BREAKER_CALLS": "40", "BREAKER_FAILED_PERCENT": "80", "BREAKER_SLOW_SECONDS": "2.5",
        "BREAKER_OPEN_SECONDS": "5", "BREAKER_LONGEST_OPEN_SECONDS": "60", "BREAKERS": "160",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"MAKE_BRIDGE_{name}", value)
    config = load_settings().settings.circuits()
    assert (config.limits.calls, config.limits.failed_share, config.slow) == (40, 0.8, 2.5)
    assert (config.limits.cool_down, config.limits.longest_cool_down) == (5.0, 60.0)
    assert (config.most, config.most_of_team) == (160, 10)


def test_limits_of_usage_are_watched_as_the_settings_say(monkeypatch):
    quotas = load_settings().settings.quotas()
    assert (quotas.look_seconds, quotas.near_percent, quotas.most_deferred) == (1.0, 80.0, 10_000)
    for name, value in {"USAGE_LOOK_SECONDS": "2.5", "USAGE_NEAR_PERCENT": "90", "USAGE_DEFERRED": "7"}.items():
        monkeypatch.setenv(f"MAKE_BRIDGE_{name}", value)
    quotas = load_settings().settings.quotas()
    assert (quotas.look_seconds, quotas.near_percent, quotas.most_deferred) == (2.5, 90.0, 7)


def test_knowledge_of_limits_is_never_older_than_five_seconds(refusal):
    assert "USAGE_LOOK_SECONDS" in refusal("USAGE_LOOK_SECONDS", "6")


def test_an_empty_list_of_audiences_takes_any(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text("token_issuers = []\ntoken_audiences = []\n")
    assert load_settings(own).settings.tokens() == ExpectedClaims()


def test_every_setting_stands_in_the_default_file_with_a_comment():
    lines = DEFAULTS.read_text(encoding="utf-8").splitlines()
    for name in Settings.model_fields:
        place = next(i for i, line in enumerate(lines) if line.removeprefix("#").startswith(f"{name} = "))
        above = next(line for line in reversed(lines[:place]) if " = " not in line)
        assert above.startswith("# "), f"{name} has no comment"


def test_the_default_file_has_no_setting_the_program_does_not_know():
    assert set(tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))) <= set(Settings.model_fields)


def test_the_examples_in_the_default_file_are_valid(tmp_path, monkeypatch):
    text = DEFAULTS.read_text(encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text(
        "\n".join(line.removeprefix("#") if " = " in line and line[1] != " " else "" for line in text.splitlines())
    )
    settings = load_settings(own).settings
    assert settings.public_url == "https://bridge.example.com"
    assert set(settings.shard_urls) == {0, 1}


def test_the_root_of_the_project_shows_the_same_file(request):
    assert (request.config.rootpath / "make-bridge.default.toml").resolve() == DEFAULTS.resolve()


def test_a_file_is_stronger_than_the_defaults_and_weaker_than_the_environment(tmp_path, monkeypatch):
    own = tmp_path / "own.toml"
    own.write_text('port = 9001\nlog_level = "debug"\n')
    monkeypatch.setenv("MAKE_BRIDGE_CONFIG", str(own))
    monkeypatch.setenv("MAKE_BRIDGE_PORT", "9002")
    settings = load_settings().settings
    assert (settings.port, settings.log_level) == (9002, "debug")


def test_an_option_of_the_command_line_is_strongest_and_one_not_given_is_nothing(monkeypatch):
    monkeypatch.setenv("MAKE_BRIDGE_PORT", "9002")
    settings = load_settings(overrides={"port": 9003, "host": None}).settings
    assert (settings.port, settings.host) == (9003, "127.0.0.1")


def test_an_empty_variable_is_a_variable_not_set(monkeypatch):
    monkeypatch.setenv("MAKE_BRIDGE_DATABASE_URL", "")
    assert load_settings().settings.is_embedded


@pytest.mark.parametrize(
    "text", ["10.1.0.0/16,crm.internal", "10.1.0.0/16 crm.internal", " 10.1.0.0/16,\tcrm.internal "]
)
def test_lists_come_with_commas_or_spaces(monkeypatch, text):
    monkeypatch.setenv("MAKE_BRIDGE_EGRESS_ALLOW", text)
    settings = load_settings().settings
    assert settings.egress_allow == ("10.1.0.0/16", "crm.internal")
    assert settings.egress().policy.opens_endpoint("crm.internal", 80)


def test_shards_are_numbered_addresses(monkeypatch, tmp_path):
    monkeypatch.setenv("MAKE_BRIDGE_DATABASE_URL", "postgresql://a/d")
    monkeypatch.setenv("MAKE_BRIDGE_ROOT_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("MAKE_BRIDGE_SHARD_URLS", "0=postgresql://a,b/d 7=postgresql://u:p=x@c/d")
    shards = load_settings().settings.shard_urls
    assert {number: url.get_secret_value() for number, url in shards.items()} == {
        0: "postgresql://a,b/d",
        7: "postgresql://u:p=x@c/d",
    }


def test_replicas_are_addresses_under_the_numbers_of_shards(monkeypatch):
    monkeypatch.setenv("MAKE_BRIDGE_DATABASE_URL", "postgresql://a/d")
    monkeypatch.setenv("MAKE_BRIDGE_REPLICA_URLS", "0=postgresql://b 0=postgresql://c:6000")
    settings = load_settings().settings
    urls = {number: [url.get_secret_value() for url in urls] for number, urls in settings.replica_urls.items()}
    assert urls == {0: ["postgresql://b", "postgresql://c:6000"]}
    assert (settings.replicas().lag, settings.replicas().back) == (0.5, 5.0)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("REPLICA_URLS", "postgresql://a", "MAKE_BRIDGE_REPLICA_URLS must name shards by a number from 0"),
        ("REPLICA_URLS", "directory=postgresql://a", "MAKE_BRIDGE_REPLICA_URLS names shards only"),
        ("REPLICA_URLS", "0=mysql://a", "must be an address that begins with postgresql://"),
        ("REPLICA_URLS", "0=postgresql://a", "names replicas of the shard 0, which this server has not"),
        ("REPLICA_URLS", " ".join(["0=postgresql://a"] * 9), "may name 8 replicas of a shard at most"),
        ("REPLICA_LAG_SECONDS", "4", "must be at least twice MAKE_BRIDGE_REPLICA_LAG_SECONDS"),
        ("PORT", "eighty", "MAKE_BRIDGE_PORT must be a whole number."),
        ("PORT", "70000", "MAKE_BRIDGE_PORT must be 65535 or less."),
        ("MODE", "test", "MAKE_BRIDGE_MODE must be one of 'production' or 'demo'."),
        ("LOG_LEVEL", "loud", "MAKE_BRIDGE_LOG_LEVEL must be one of 'debug', 'info', 'warning' or 'error'."),
        ("JSON_DEPTH", "5000", "MAKE_BRIDGE_JSON_DEPTH must be 800 or less."),
        ("DRAIN_SECONDS", "nan", "MAKE_BRIDGE_DRAIN_SECONDS must be a finite number."),
        ("NODE_ID", "a b", "MAKE_BRIDGE_NODE_ID has characters that are not allowed."),
        ("EGRESS_ALLOW", "10.0.0.0/8,10.0.0.1/8", "MAKE_BRIDGE_EGRESS_ALLOW holds an entry that cannot be used: '10."),
        ("EGRESS_ALLOW", "http://crm.internal", "cannot be used: 'http://crm.internal' cannot be opened for calls out"),
        ("PUBLIC_URL", "bridge.example.com", "MAKE_BRIDGE_PUBLIC_URL must be scheme, host and port"),
        ("PUBLIC_URL", "https://bridge.example.com/sub", "MAKE_BRIDGE_PUBLIC_URL must be scheme, host and port"),
        ("PUBLIC_URL", "https://user@bridge.example.com", "MAKE_BRIDGE_PUBLIC_URL must be scheme, host and port"),
        ("TRUSTED_PROXIES", "nginx", "MAKE_BRIDGE_TRUSTED_PROXIES holds 'nginx', which is neither an address nor a"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "MAKE_BRIDGE_TRUSTED_PROXIES holds '10.0.0.1/8', which is neither"),
        ("ALLOWED_HOSTS", "https://b.example", "MAKE_BRIDGE_ALLOWED_HOSTS holds 'https://b.example', which is not a"),
        ("RATE_HOOK", "-1", "MAKE_BRIDGE_RATE_HOOK must be 0 or more."),
        ("DATABASE_URL", "mysql://a/b", "MAKE_BRIDGE_DATABASE_URL must be an address that begins with postgresql://."),
        ("MIGRATION_URL", "postgresql://a/b", "need MAKE_BRIDGE_DATABASE_URL beside them"),
        ("SHARD_URLS", "postgresql://a/b", "MAKE_BRIDGE_SHARD_URLS must name each shard once"),
        ("SHARD_URLS", "0=postgresql://a/b 0=postgresql://c/d", "MAKE_BRIDGE_SHARD_URLS must name each shard once"),
    ],
)
def test_a_wrong_value_is_one_clear_sentence(refusal, name, value, sentence):
    """F-59."""
    message = refusal(name, value)
    assert sentence in message
    assert message.endswith(".")
    assert "\n" not in message


def test_shards_need_a_root_key_that_all_processes_share(refusal, monkeypatch):
    monkeypatch.setenv("MAKE_BRIDGE_DATABASE_URL", "postgresql://a/d")
    assert "MAKE_BRIDGE_ROOT_KEY_FILE must be set" in refusal("SHARD_URLS", "0=postgresql://a/b")


def test_several_mistakes_are_several_lines(refusal, monkeypatch):
    monkeypatch.setenv("MAKE_BRIDGE_PORT", "x")
    assert len(refusal("JSON_DEPTH", "y").splitlines()) == 2


def test_no_message_and_no_representation_shows_a_secret(refusal, monkeypatch, tmp_path):
    """F-59."""
    assert "hunter2" not in refusal("DATABASE_URL", "mysql://u:hunter2@a/b")
    monkeypatch.setenv("MAKE_BRIDGE_DATABASE_URL", "postgresql://u:hunter2@a/b")
    monkeypatch.setenv("MAKE_BRIDGE_ROOT_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("MAKE_BRIDGE_SHARD_URLS", "0=postgresql://u:hunter2@a/b")
    assert "hunter2" not in repr(load_settings())


def test_a_misspelt_name_is_a_warning_that_names_what_was_meant(monkeypatch, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('loglevel = "debug"\n')
    monkeypatch.setenv("MAKE_BRIDGE_DATABSE_URL", "postgresql://u:hunter2@a/b")
    monkeypatch.setenv("MAKE_BRIDGE_WEATHER", "fine")
    assert load_settings(own).warnings == (
        "MAKE_BRIDGE_DATABSE_URL is not a setting. Did you mean MAKE_BRIDGE_DATABASE_URL?",
        "MAKE_BRIDGE_WEATHER is not a setting.",
        f"'loglevel' in {own} is not a setting. Did you mean log_level?",
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "There is no settings file"), ("port = = 1", "is not valid TOML"), ("\0", "not valid TOML")],
)
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path, content, sentence):
    own = tmp_path / "own.toml"
    if content is not None:
        own.write_text(content)
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        load_settings(own)
    assert str(own) in caught.value.message


def test_a_public_address_loses_its_last_slash_and_its_default_port(monkeypatch):
    monkeypatch.setenv("MAKE_BRIDGE_PUBLIC_URL", "https://Bridge.Example.com:443/")
    settings = load_settings().settings
    assert settings.origin == "https://bridge.example.com"
    assert settings.edge().is_https


def test_a_process_without_a_name_gets_one_of_its_own():
    first, second = load_settings().node_id, load_settings().node_id
    assert first != second
    assert len(first) <= 64


def test_what_a_webhook_may_set_at_most_is_a_setting(monkeypatch):
    assert load_settings().settings.inbound() == InboundLimits(tolerance=3600, window=604_800)
    monkeypatch.setenv("MAKE_BRIDGE_WEBHOOK_TOLERANCE_LONGEST_SECONDS", "600")
    monkeypatch.setenv("MAKE_BRIDGE_WEBHOOK_WINDOW_LONGEST_SECONDS", "3600")
    assert load_settings().settings.inbound() == InboundLimits(tolerance=600, window=3600)


@pytest.mark.parametrize(
    "address", ["http://localhost:8080", "http://127.0.0.1", "https://127.1.2.3", "http://[::1]:8080"]
)
def test_rate_limits_stay_off_where_the_public_address_is_this_machine_s_own(monkeypatch, address):
    monkeypatch.setenv("MAKE_BRIDGE_PUBLIC_URL", address)
    assert load_settings().settings.rate_limits().hook.most == 0
    monkeypatch.setenv("MAKE_BRIDGE_RATES", "on")
    assert load_settings().settings.rate_limits().hook.most == 300


def test_there_is_no_redis_unless_one_is_named_and_its_password_is_never_shown(monkeypatch):
    assert load_settings().settings.redis() is None
    monkeypatch.setenv("MAKE_BRIDGE_REDIS_URL", "")
    assert load_settings().settings.redis() is None
    monkeypatch.setenv("MAKE_BRIDGE_REDIS_URL", "rediss://bridge:hunter2@cache.example.com:6380/1")
    loaded = load_settings()
    config = loaded.settings.redis()
    assert config is not None
    assert (config.prefix, config.seconds, config.probe_seconds, config.connections) == ("make-bridge", 0.05, 1.0, 8)
    assert "hunter2" in config.url
    assert "hunter2" not in repr(loaded) + repr(config)


@pytest.mark.parametrize(
    "address", ["http://u:hunter2@a", "redis://:hunter2@a:port", "a:6379", "redis://:hunter2@a?db=x"]
)
def test_an_address_that_is_none_of_redis_is_refused_without_showing_it(monkeypatch, address):
    monkeypatch.setenv("MAKE_BRIDGE_REDIS_URL", address)
    with pytest.raises(ConfigurationError, match="MAKE_BRIDGE_REDIS_URL must be an address like redis://") as raised:
        load_settings()
    assert "hunter2" not in str(raised.value)


def test_rate_limits_are_on_as_soon_as_there_is_a_public_address(monkeypatch):
    assert load_settings().settings.rate_limits().hook.most == 0
    monkeypatch.setenv("MAKE_BRIDGE_PUBLIC_URL", "https://bridge.example.com")
    assert load_settings().settings.rate_limits().hook.most == 300
    monkeypatch.setenv("MAKE_BRIDGE_RATES", "off")
    assert load_settings().settings.rate_limits().hook.most == 0


def test_rate_limits_are_what_the_settings_say(monkeypatch):
    monkeypatch.setenv("MAKE_BRIDGE_RATES", "on")
    limits = load_settings().settings.rate_limits()
    shown = {rate.name: (rate.most, rate.seconds) for rate in (limits.general, limits.failures, limits.api)}
    assert shown == {"general": (100, 900.0), "failures": (5, 900.0), "api": (1000, 3600.0)}
    assert (limits.hook.most, limits.hook.seconds, limits.flow.most, limits.flow.seconds) == (300, 10.0, 600, 900.0)
    assert (limits.block_seconds, limits.keys) == (3600.0, 20_000)
    monkeypatch.setenv("MAKE_BRIDGE_RATE_HOOK", "0")
    monkeypatch.setenv("MAKE_BRIDGE_RATE_KEYS", "500")
    limits = load_settings().settings.rate_limits()
    assert (limits.hook.most, limits.keys) == (0, 500)


def test_hosts_and_proxies_are_those_of_the_settings(monkeypatch):
    local = load_settings().settings.edge()
    assert local.hosts is not None
    assert local.hosts.allows(b"127.0.0.1:8080")
    assert local.hosts.allows(b"6.6.6.6")
    assert not local.hosts.allows(b"bridge.example.com")
    monkeypatch.setenv("MAKE_BRIDGE_PUBLIC_URL", "https://bridge.example.com")
    monkeypatch.setenv("MAKE_BRIDGE_ALLOWED_HOSTS", "Bridge.internal, 2001:db8::7")
    monkeypatch.setenv("MAKE_BRIDGE_TRUSTED_PROXIES", "10.0.0.0/8")
    edge = load_settings().settings.edge()
    assert edge.hosts is not None
    assert [edge.hosts.allows(host) for host in (b"bridge.example.com:8443", b"bridge.internal", b"[2001:db8::7]")] == [
        True, True, True
    ]  # fmt: skip
    assert [edge.hosts.allows(host) for host in (b"6.6.6.6", b"evil.example")] == [False, False]
    assert edge.addresses.of("10.0.0.1", [(b"x-forwarded-for", b"203.0.113.9")]) == "203.0.113.9"
