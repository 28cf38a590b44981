"""What an operator can set: the one home of the environment.

``cli`` and ``boot`` call ``load_settings`` once; every other part takes a small frozen configuration that
``Settings`` produces. Defaults stand in ``make-bridge.default.toml`` beside this file, with their comments, and nowhere
else: the class below says only what a value must look like. A wrong value ends the start with one sentence per
mistake, and a misspelt name is a warning that names what was meant; neither ever shows a secret.
"""

import difflib
import os
import re
import secrets
import socket
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from make_bridge.domain.credential_requests.model import RequestLimits
from make_bridge.domain.data_stores.model import DataStoreLimits
from make_bridge.domain.deliveries.model import DeliveryLimits
from make_bridge.domain.executions.incomplete import IncompleteLimits
from make_bridge.domain.executions.journal import JournalConfig
from make_bridge.domain.folders.model import FolderLimits
from make_bridge.domain.functions.model import FunctionLimits
from make_bridge.domain.gaps.model import GapRules
from make_bridge.domain.oauth.model import OAuthLimits
from make_bridge.domain.organizations.model import LONGEST_OVERLAP, CredentialLimits
from make_bridge.domain.reports.model import ReportLimits
from make_bridge.domain.scenarios.inbound import InboundLimits
from make_bridge.domain.scenarios.learning import LearningLimits
from make_bridge.domain.storage.model import StorageConfig
from make_bridge.domain.usage.model import QuotaConfig
from make_bridge.domain.users.model import MemberLimits, SessionLimits, SignInLimits
from make_bridge.domain.variables.model import VariableLimits
from make_bridge.engine.runner.request import RunLimits
from make_bridge.faces.edge.addresses import Addresses
from make_bridge.faces.edge.config import BodyLimits, ConnectionLimits, EdgeConfig, EdgeLimits, RateLimits
from make_bridge.faces.edge.hosts import HostRule
from make_bridge.faces.edge.origins import read_origin
from make_bridge.faces.edge.request_log import RequestKinds, RequestLogConfig
from make_bridge.faces.edge.shape_errors import sentence_of
from make_bridge.kernel.errors import ConfigurationError
from make_bridge.kernel.roles import ALL_ROLES, FORWARDED, Role
from make_bridge.platform.bus.redis_streams import StreamsConfig
from make_bridge.platform.cache.config import FarConfig, WarmConfig
from make_bridge.platform.coordination.zookeeper_config import ZooKeeperConfig, ZooKeeperTls, read_auth
from make_bridge.platform.database.freshness import ReplicaLimits
from make_bridge.platform.database.pools import PoolLimits
from make_bridge.platform.database.versions import LockPatience
from make_bridge.platform.egress.breaker import BreakerLimits
from make_bridge.platform.egress.circuits import CircuitsConfig
from make_bridge.platform.egress.client import EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.host_turns import TurnLimits
from make_bridge.platform.limits.port import Rate
from make_bridge.platform.observability.looks import LookConfig
from make_bridge.platform.observability.sinks.elasticsearch_config import ElasticsearchConfig, read_authorization
from make_bridge.platform.observability.sinks.outlet import LogConfig
from make_bridge.platform.observability.sinks.rotating_file import FileConfig
from make_bridge.platform.observability.tracing.config import ExportConfig, read_headers
from make_bridge.platform.observability.tracing.tracer import TraceRules
from make_bridge.platform.queue.jobs import JobLimits
from make_bridge.platform.queue.leases import ClaimRules
from make_bridge.platform.redis.config import RedisConfig, is_redis_address
from make_bridge.platform.sandbox.config import SandboxConfig
from make_bridge.platform.security.certificates import CertificateFiles, own_files
from make_bridge.platform.security.internal_context import MOST_WAIT_SECONDS
from make_bridge.platform.security.passwords import PasswordCost
from make_bridge.platform.security.portal_tokens import LEEWAY, ExpectedClaims
from make_bridge.platform.sharding.config import BalanceConfig
from make_bridge.platform.sharding.moving_model import MovingConfig
from make_bridge.platform.upstreams.balancing import RuleName

PREFIX: Final = "MAKE_BRIDGE_"
DEFAULTS: Final = Path(__file__).with_name("make-bridge.default.toml")
_CONFIG: Final = "CONFIG"
_LAST_SHARD: Final = 1023
_MOST_REPLICAS: Final = 8
_MOST_SHARES: Final = 1000
_TRACES_PATH: Final = "/v1/traces"
_LEAVE_SECONDS: Final = 3.0
# For how long connections without a call outlive the door: behind a proxy, and before callers who know no other server.
PROXIED_SECONDS: Final = 3.0
_ALONE_SECONDS: Final = 1.0
_NODE_ID: Final = r"[A-Za-z0-9._-]{1,64}"


def _split(value: object) -> object:
    """Take a list from one line of the environment; a list of a file is taken as it is."""
    return re.split(r"[\s,]+", value.strip()) if isinstance(value, str) and value.strip() else value or ()


def _shards(value: object) -> object:
    """Take ``NUMBER=URL`` entries; an address may hold commas, so only blanks part them."""
    entries = value.split() if isinstance(value, str) else value or []
    if not isinstance(entries, list):
        raise ValueError("must be entries of the form NUMBER=URL")  # noqa: TRY004 - Pydantic reports ValueError only
    shards: dict[str, str] = {}
    for entry in entries:
        number, _, url = str(entry).partition("=")
        if not number.isascii() or not number.isdigit() or int(number) > _LAST_SHARD or number in shards:
            raise ValueError(f"must name each shard once, by a number from 0 to {_LAST_SHARD}, as NUMBER=URL")
        shards[number] = url
    return shards


def _replicas(value: object) -> object:
    """Take ``NUMBER=URL`` entries; a shard may have several replicas."""
    entries = value.split() if isinstance(value, str) else value or []
    if not isinstance(entries, list):
        raise ValueError("must be entries of the form NUMBER=URL")  # noqa: TRY004 - Pydantic reports ValueError only
    replicas: dict[str, list[str]] = {}
    for entry in entries:
        number, _, url = str(entry).partition("=")
        if number == "directory":
            raise ValueError("names shards only: what the directory holds lets people in, and is read where it is true")
        if not number.isascii() or not number.isdigit() or int(number) > _LAST_SHARD:
            raise ValueError(f"must name shards by a number from 0 to {_LAST_SHARD}, as NUMBER=URL")
        replicas.setdefault(number, []).append(url)
    if any(len(urls) > _MOST_REPLICAS for urls in replicas.values()):
        raise ValueError(f"may name {_MOST_REPLICAS} replicas of a shard at most")
    return replicas


def _postgresql(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in {"postgresql", "postgres"}:
        raise ValueError("must be an address that begins with postgresql://")
    return value


def _redis(value: SecretStr) -> SecretStr:
    if not is_redis_address(value.get_secret_value()):
        raise ValueError("must be an address like redis://:PASSWORD@HOST:6379/0, rediss://… or unix:///path/of/socket")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(value: str) -> str:
    origin = read_origin(value.rstrip("/"))
    if origin is None or origin.has_path:
        raise ValueError("must be scheme, host and port without a path, for example https://bridge.example.com")
    return origin.text


def _service(value: str) -> str:
    """Take the address of a service without credentials in it: addresses are shown."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an address like https://HOST:9200")
    if "@" in parts.netloc:
        raise ValueError("must not hold a name or a password: these have a file of their own")
    return value.rstrip("/")


def _allowed(entries: tuple[str, ...]) -> tuple[str, ...]:
    try:
        EgressPolicy.parse(entries)
    except ConfigurationError as error:
        raise ValueError(f"holds an entry that cannot be used: {error.message.rstrip('.')}") from None
    return entries


def _network(entry: str) -> IPv4Network | IPv6Network:
    return ip_network(entry)


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        try:
            ip_network(entry)
        except ValueError:
            raise ValueError(f"holds '{entry}', which is neither an address nor a network like 10.1.0.0/16") from None
    return value


def _hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        if not re.fullmatch(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?", entry):
            raise ValueError(f"holds '{entry}', which is not a host: give names or addresses without scheme and port")
    return value


def _collector(value: str) -> str:
    """Take the address of a collector; one without a path gets the protocol's own."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an address like http://collector:4318")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError(
            f"must not hold a name, a password or a query: give them as headers in {PREFIX}OTLP_HEADERS_FILE"
        )
    return value if parts.path.strip("/") else value.rstrip("/") + _TRACES_PATH


def _shares(value: object) -> object:
    """Take ``ORGANIZATION=SHARE`` entries, each organization once."""
    entries = value.split() if isinstance(value, str) else value or []
    if not isinstance(entries, list):
        raise ValueError("must be entries of the form ORGANIZATION=SHARE")  # noqa: TRY004 - Pydantic reports ValueError only
    shares: dict[str, str] = {}
    for entry in entries:
        organization, _, share = str(entry).partition("=")
        if not organization.isascii() or not organization.isdigit() or organization in shares:
            raise ValueError("must name each organization once, by its number, as ORGANIZATION=SHARE")
        shares[organization] = share
    if len(shares) > _MOST_SHARES:
        raise ValueError(f"may name {_MOST_SHARES} organizations at most")
    return shares


def _traced_hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        if not re.fullmatch(r"(\*\.)?[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?", entry):
            raise ValueError(f"holds '{entry}', which is not a host: give names like api.example.com or *.example.com")
    return value


DatabaseUrl = Annotated[SecretStr, AfterValidator(_postgresql)]
ZooKeeperHost = Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}$")]
Bytes = Annotated[int, Field(ge=1024, le=256 * 1024 * 1024)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
RateMost = Annotated[int, Field(ge=0, le=10_000_000)]
RateSeconds = Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Every setting; what each means stands beside its default, in ``make-bridge.default.toml``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    mode: Literal["production", "demo"]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=0, le=65535)]
    public_url: Annotated[str, AfterValidator(_origin)] | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: bool
    roles: Annotated[tuple[Role, ...], NoDecode, BeforeValidator(_split), Field(min_length=1)]
    advertise_url: Annotated[str, AfterValidator(_origin)] | None = None
    node_weight: Annotated[int, Field(ge=0, le=1000)]
    balancing: RuleName
    node_check_seconds: Annotated[float, Field(ge=0.1, le=60, allow_inf_nan=False)]
    node_rise: Annotated[int, Field(ge=1, le=100)]
    node_fall: Annotated[int, Field(ge=1, le=100)]
    node_connections: Annotated[int, Field(ge=1, le=10_000)]
    node_connect_seconds: Annotated[float, Field(ge=0.05, le=60, allow_inf_nan=False)]
    forward_seconds: Annotated[float, Field(ge=1, le=MOST_WAIT_SECONDS, allow_inf_nan=False)]
    servers_seconds: Annotated[float, Field(ge=0.1, le=5, allow_inf_nan=False)]
    leave_seconds: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)] | None = None
    last_calls_seconds: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)] | None = None
    node_id: Annotated[str, Field(pattern=f"^{_NODE_ID}$")] | None = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(lambda level: str(level).lower())
    ]
    metrics_token_file: Path | None = None
    metrics_look_seconds: Seconds
    metrics_wait_seconds: Seconds
    otlp_endpoint: Annotated[str, AfterValidator(_collector)] | None = None
    otlp_headers_file: Path | None = None
    trace_sample: Share
    trace_sample_organizations: Annotated[dict[int, Share], NoDecode, BeforeValidator(_shares)]
    trace_trust_incoming: bool
    trace_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_traced_hosts)]
    trace_spans: Annotated[int, Field(ge=10, le=10_000)]
    trace_queue: Annotated[int, Field(ge=100, le=1_000_000)]
    trace_batch: Annotated[int, Field(ge=1, le=10_000)]
    trace_every_seconds: Annotated[float, Field(ge=0.05, le=60, allow_inf_nan=False)]
    trace_export_seconds: Annotated[float, Field(ge=0.1, le=60, allow_inf_nan=False)]
    log_requests: RequestKinds
    log_slow_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
    log_file: Path | None = None
    log_file_bytes: Annotated[int, Field(ge=65_536, le=2**40)]
    log_file_count: Annotated[int, Field(ge=0, le=1000)]
    elasticsearch_url: Annotated[str, AfterValidator(_service)] | None = None
    elasticsearch_index: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,199}$")]
    elasticsearch_auth_file: Path | None = None
    elasticsearch_ca_file: Path | None = None
    elasticsearch_seconds: Annotated[float, Field(ge=0.1, le=60, allow_inf_nan=False)]
    elasticsearch_batch_bytes: Annotated[int, Field(ge=65_536, le=64 * 1024 * 1024)]
    log_queue_bytes: Annotated[int, Field(ge=262_144, le=1 << 30)]
    log_close_seconds: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)]
    health_look_seconds: Annotated[float, Field(ge=0.05, le=60, allow_inf_nan=False)]
    health_answer_seconds: Annotated[float, Field(ge=0.05, le=2, allow_inf_nan=False)]
    health_rise: Annotated[int, Field(ge=1, le=100)]
    health_fall: Annotated[int, Field(ge=1, le=100)]

    data_dir: Path
    root_key_file: Path | None = None
    database_url: DatabaseUrl | None = None
    migration_url: DatabaseUrl | None = None
    shard_urls: Annotated[dict[int, DatabaseUrl], NoDecode, BeforeValidator(_shards)] = Field(default_factory=dict)
    replica_urls: Annotated[dict[int, tuple[DatabaseUrl, ...]], NoDecode, BeforeValidator(_replicas)] = Field(
        default_factory=dict
    )
    replica_lag_seconds: Annotated[float, Field(ge=0.05, le=10, allow_inf_nan=False)]
    replica_look_seconds: Annotated[float, Field(ge=0.01, le=0.5, allow_inf_nan=False)]
    replica_back_seconds: Annotated[float, Field(ge=1, le=600, allow_inf_nan=False)]
    replica_wait_seconds: Annotated[float, Field(ge=0.05, le=10, allow_inf_nan=False)]
    database_connections: Annotated[int, Field(ge=1, le=1000)]
    database_overcommit: bool
    database_wait_seconds: Seconds
    shard_load_seconds: Annotated[float, Field(ge=0.1, le=3600, allow_inf_nan=False)]
    shard_imbalance: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)]
    database_start_seconds: Annotated[float, Field(ge=0, le=3600)]
    clock_skew_seconds: Annotated[float, Field(gt=0, le=LEEWAY, allow_inf_nan=False)]
    clock_look_seconds: Seconds
    moving_pause_seconds: Annotated[float, Field(ge=0.1, le=2, allow_inf_nan=False)]
    moving_grace_seconds: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)]
    moving_batch: Annotated[int, Field(ge=10, le=100_000)]
    moving_at_once: Annotated[int, Field(ge=1, le=16)]
    statement_timeout_seconds: Seconds
    directory_statement_timeout_seconds: Seconds
    engine_statement_timeout_seconds: Seconds
    report_statement_timeout_seconds: Seconds
    lock_timeout_seconds: Seconds
    migration_lock_seconds: Seconds
    migration_lock_tries: Annotated[int, Field(ge=1, le=1000)]
    slow_query_ms: Annotated[int, Field(ge=0, le=3_600_000)]
    slow_query_fingerprints: Annotated[int, Field(ge=1, le=10_000)]
    idle_in_transaction_seconds: Seconds
    redis_url: Annotated[SecretStr, AfterValidator(_redis)] | None = None
    redis_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    redis_seconds: Annotated[float, Field(ge=0.001, le=1, allow_inf_nan=False)]
    redis_probe_seconds: Annotated[float, Field(ge=0.05, le=60, allow_inf_nan=False)]
    redis_connections: Annotated[int, Field(ge=1, le=64)]
    zookeeper_hosts: Annotated[tuple[ZooKeeperHost, ...], NoDecode, BeforeValidator(_split), Field(max_length=9)]
    zookeeper_path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._-]{1,64}){1,4}$")]
    zookeeper_session_seconds: Annotated[float, Field(ge=1, le=40, allow_inf_nan=False)]
    zookeeper_answer_seconds: Annotated[float, Field(ge=0.1, le=30, allow_inf_nan=False)]
    zookeeper_auth_file: Path | None = None
    zookeeper_ca_file: Path | None = None
    zookeeper_cert_file: Path | None = None
    zookeeper_key_file: Path | None = None

    cache_far_seconds: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)]
    cache_far_bytes: Annotated[int, Field(ge=1024, le=4 * 1024 * 1024)]
    cache_warm_programs: Annotated[int, Field(ge=0, le=2000)]
    cache_warm_seconds: Annotated[float, Field(ge=0.1, le=30, allow_inf_nan=False)]
    event_bus: Literal["redis", "postgresql"]
    event_stream_length: Annotated[int, Field(ge=100, le=1_000_000)]
    event_stream_bytes: Annotated[int, Field(ge=0, le=1_048_576)]
    event_look_seconds: Annotated[float, Field(ge=0.4, le=60, allow_inf_nan=False)]

    hook_body_bytes: Bytes
    api_body_bytes: Bytes
    blueprint_body_bytes: Bytes
    body_seconds: Seconds
    head_seconds: Seconds
    idle_seconds: Seconds
    connections: Annotated[int, Field(ge=10, le=1_000_000)]
    json_depth: Annotated[int, Field(ge=10, le=800)]
    url_bytes: Annotated[int, Field(ge=256, le=65536)]
    header_bytes: Annotated[int, Field(ge=1024, le=262144)]
    token_bytes: Annotated[int, Field(ge=256, le=65536)]
    write_seconds: Seconds
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_hosts)]
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_networks)]
    input_screening: Literal["off", "report"]
    input_screening_rows: Annotated[int, Field(ge=0, le=100_000)]
    rates: Literal["auto", "on", "off"]
    rate_general: RateMost
    rate_general_seconds: RateSeconds
    rate_failures: RateMost
    rate_failures_seconds: RateSeconds
    rate_failures_block_seconds: RateSeconds
    rate_strangers: RateMost
    rate_strangers_seconds: RateSeconds
    rate_api: RateMost
    rate_api_seconds: RateSeconds
    rate_hook: RateMost
    rate_hook_seconds: RateSeconds
    rate_flow: RateMost
    rate_flow_seconds: RateSeconds
    rate_keys: Annotated[int, Field(ge=100, le=10_000_000)]
    token_issuers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
    token_audiences: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
    portal_key_overlap_seconds: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP)]
    api_tokens: Annotated[int, Field(ge=1, le=100_000)]
    session_idle_seconds: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)]
    session_life_seconds: Annotated[float, Field(ge=1, le=604_800, allow_inf_nan=False)]
    sessions: Annotated[int, Field(ge=1, le=1000)]
    organization_members: Annotated[int, Field(ge=1, le=10_000)]
    sign_in_attempts: Annotated[int, Field(ge=1, le=1000)]
    sign_in_address_attempts: Annotated[int, Field(ge=1, le=100_000)]
    sign_in_seconds: RateSeconds
    sign_in_block_seconds: RateSeconds
    sign_in_at_once: Annotated[int, Field(ge=1, le=64)]
    sign_in_waiting: Annotated[int, Field(ge=0, le=1000)]

    execution_concurrency: Annotated[int, Field(ge=1, le=10_000)]
    execution_attempts: Annotated[int, Field(ge=1, le=100)]
    team_concurrency: Annotated[int, Field(ge=1, le=100_000)]
    queue_ageing_seconds: Seconds
    execution_operations: Annotated[int, Field(ge=1, le=10_000_000)]
    execution_bundles: Annotated[int, Field(ge=1, le=100_000_000)]
    execution_seconds: Seconds
    execution_collected_bytes: Bytes
    run_memory_bytes: Annotated[int, Field(ge=65_536, le=1 << 40)]
    schedule_shortest_seconds: Annotated[int, Field(ge=1, le=86_400)]
    schedule_catch_up: Literal["one", "none"]
    responsive_run_seconds: Seconds
    webhook_response_seconds: Seconds
    webhook_tolerance_longest_seconds: Annotated[int, Field(ge=1, le=86_400)]
    webhook_window_longest_seconds: Annotated[int, Field(ge=1, le=2_592_000)]
    webhook_learned_calls: Annotated[int, Field(ge=1, le=1000)]
    webhook_learned_fields: Annotated[int, Field(ge=1, le=500)]
    drain_seconds: Seconds
    journal_result_bytes: Annotated[int, Field(ge=1024, le=16 * 1024 * 1024)]
    incomplete_per_scenario: Annotated[int, Field(ge=1, le=1_000_000)]
    incomplete_per_organization: Annotated[int, Field(ge=1, le=10_000_000)]
    incomplete_bytes_per_scenario: Annotated[int, Field(ge=1024, le=2**40)]
    incomplete_bytes_per_organization: Annotated[int, Field(ge=1024, le=2**50)]
    job_payload_bytes: Bytes
    job_result_bytes: Bytes
    job_batch_jobs: Annotated[int, Field(ge=1, le=10_000)]
    job_retention_days: Annotated[int, Field(ge=1, le=3650)]
    report_days: Annotated[int, Field(ge=1, le=3660)]
    report_bytes: Annotated[int, Field(ge=1024, le=2**33)]
    reports: Annotated[int, Field(ge=1, le=100_000)]
    report_retention_days: Annotated[int, Field(ge=1, le=3650)]
    report_download_seconds: Seconds
    webhook_endpoints: Annotated[int, Field(ge=1, le=1000)]
    webhook_plain_http: bool
    webhook_seconds: Annotated[float, Field(ge=1, le=120, allow_inf_nan=False)]
    webhook_in_flight: Annotated[int, Field(ge=1, le=100)]
    webhook_unfinished: Annotated[int, Field(ge=1, le=1_000_000)]
    webhook_logged_attempts: Annotated[int, Field(ge=1, le=1000)]
    webhook_retention_days: Annotated[int, Field(ge=1, le=3650)]
    webhook_disable_days: Annotated[int, Field(ge=1, le=365)]
    webhook_disable_attempts: Annotated[int, Field(ge=1, le=10_000)]
    webhook_secret_overlap_hours: Annotated[int, Field(ge=0, le=8760)]
    credential_requests: Annotated[int, Field(ge=1, le=10_000)]
    credential_request_credentials: Annotated[int, Field(ge=1, le=100)]
    credential_request_days: Annotated[int, Field(ge=1, le=90)]
    oauth_plain_http: bool
    oauth_applications: Annotated[int, Field(ge=1, le=10_000)]
    oauth_attempts: Annotated[int, Field(ge=1, le=1_000_000)]
    oauth_attempt_seconds: Annotated[int, Field(ge=60, le=86_400)]
    oauth_call_seconds: Annotated[float, Field(ge=1, le=60, allow_inf_nan=False)]
    oauth_answer_bytes: Bytes
    oauth_renew_ahead_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
    oauth_renew_ahead_percent: Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]
    oauth_refusal_pause_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
    oauth_idle_renew_seconds: Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
    oauth_idle_at_once: Annotated[int, Field(ge=1, le=100)]
    data_store_record_bytes: Bytes
    data_store_records: Annotated[int, Field(ge=1, le=100_000_000)]
    data_store_bytes: Annotated[int, Field(ge=1024 * 1024, le=1024**4)]
    data_stores: Annotated[int, Field(ge=1, le=10_000)]
    scenario_folders: Annotated[int, Field(ge=1, le=10_000)]
    scenario_folder_depth: Annotated[int, Field(ge=1, le=100)]
    custom_functions: Literal["on", "off"]
    custom_function_count: Annotated[int, Field(ge=1, le=10_000)]
    custom_function_characters: Annotated[int, Field(ge=100, le=100_000)]
    custom_function_changes: Annotated[int, Field(ge=1, le=10_000)]
    custom_function_seconds: Annotated[float, Field(ge=0.01, le=10, allow_inf_nan=False)]
    custom_function_wait_seconds: Annotated[float, Field(ge=0.1, le=60, allow_inf_nan=False)]
    custom_function_memory_bytes: Annotated[int, Field(ge=8 * 1024 * 1024, le=1024**3)]
    custom_function_input_bytes: Annotated[int, Field(ge=1024, le=16 * 1024 * 1024)]
    custom_function_output_bytes: Annotated[int, Field(ge=1024, le=16 * 1024 * 1024)]
    custom_function_processes: Annotated[int, Field(ge=2, le=64)]
    custom_variables: Annotated[int, Field(ge=1, le=1000)]
    custom_variable_bytes: Annotated[int, Field(ge=16, le=65_536)]
    custom_variable_changes: Annotated[int, Field(ge=1, le=100_000)]
    usage_look_seconds: Annotated[float, Field(ge=0.1, le=5, allow_inf_nan=False)]
    usage_near_percent: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
    usage_deferred: Annotated[int, Field(ge=0, le=1_000_000)]
    execution_retention_days: Annotated[int, Field(ge=1, le=3650)]
    execution_retention_bytes: Annotated[int, Field(ge=2**20, le=2**50)]
    storage_look_seconds: Annotated[float, Field(ge=0.1, le=3600, allow_inf_nan=False)]
    storage_settle_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
    storage_batch: Annotated[int, Field(ge=1, le=10_000)]
    storage_busy_percent: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
    gap_factor: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)]
    gap_floor_seconds: Annotated[float, Field(ge=1, le=2_592_000, allow_inf_nan=False)]
    gap_calls: Annotated[int, Field(ge=1, le=1_000_000)]
    gap_learning_seconds: Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
    gap_half_life_days: Annotated[float, Field(ge=1, le=365, allow_inf_nan=False)]
    gap_late_seconds: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)]
    gap_look_seconds: Annotated[float, Field(ge=0.1, le=300, allow_inf_nan=False)]
    audit_retention_days: Annotated[int, Field(ge=30, le=36_500)]
    audit_anchor_rows: Annotated[int, Field(ge=1, le=1_000_000)]
    egress_allow: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_allowed)]
    breaker_calls: Annotated[int, Field(ge=2, le=100_000)]
    breaker_failed_percent: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
    breaker_slow_seconds: Seconds
    breaker_open_seconds: Seconds
    breaker_longest_open_seconds: Seconds
    breakers: Annotated[int, Field(ge=16, le=1_000_000)]
    host_concurrency: Annotated[int, Field(ge=1, le=100_000)]
    team_call_concurrency: Annotated[int, Field(ge=1, le=100_000)]

    @model_validator(mode="after")
    def _agree_on_databases(self) -> "Settings":
        """Refuse what is right by itself and wrong together."""
        if self.database_url is None and (self.shard_urls or self.migration_url):
            raise ValueError(f"{PREFIX}SHARD_URLS and {PREFIX}MIGRATION_URL need {PREFIX}DATABASE_URL beside them")
        shards = (set(self.shard_urls) or {0}) if self.database_url is not None else set()
        if unknown := set(self.replica_urls) - shards:
            numbers = ", ".join(map(str, sorted(unknown)))
            raise ValueError(f"{PREFIX}REPLICA_URLS names replicas of the shard {numbers}, which this server has not")
        if self.replica_back_seconds < 2 * self.replica_lag_seconds:
            raise ValueError(f"{PREFIX}REPLICA_BACK_SECONDS must be at least twice {PREFIX}REPLICA_LAG_SECONDS")
        if self.shard_urls and self.root_key_file is None:
            raise ValueError(
                f"{PREFIX}ROOT_KEY_FILE must be set beside {PREFIX}SHARD_URLS, so that all processes share one key: "
                "write 64 random hexadecimal characters into a file only this program's user can read, and name it"
            )
        return self

    @model_validator(mode="after")
    def _agree_on_certificates(self) -> "Settings":
        """Refuse a certificate without its key, and two at once."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError(f"{PREFIX}TLS_CERT and {PREFIX}TLS_KEY belong together: give both or neither")
        if self.tls_cert is not None and self.tls_self_signed:
            raise ValueError(f"{PREFIX}TLS_SELF_SIGNED makes a certificate of its own: leave it out beside a given one")
        if (self.zookeeper_cert_file is None) != (self.zookeeper_key_file is None):
            raise ValueError(f"{PREFIX}ZOOKEEPER_CERT_FILE and {PREFIX}ZOOKEEPER_KEY_FILE belong together")
        if self.zookeeper_cert_file is not None and self.zookeeper_ca_file is None:
            raise ValueError(f"{PREFIX}ZOOKEEPER_CERT_FILE is for TLS: give {PREFIX}ZOOKEEPER_CA_FILE beside it")
        return self

    @model_validator(mode="after")
    def _agree_on_traces(self) -> "Settings":
        """Refuse a batch that never fills, and headers for nobody."""
        if self.trace_batch > self.trace_queue:
            raise ValueError(f"{PREFIX}TRACE_BATCH must not be larger than {PREFIX}TRACE_QUEUE")
        if self.otlp_headers_file is not None and self.otlp_endpoint is None:
            raise ValueError(f"{PREFIX}OTLP_HEADERS_FILE is for a collector: give {PREFIX}OTLP_ENDPOINT beside it")
        return self

    @model_validator(mode="after")
    def _agree_on_roles(self) -> "Settings":
        """Refuse services apart without what they share."""
        if self.is_apart and (self.database_url is None or self.root_key_file is None):
            raise ValueError(
                f"services apart ({PREFIX}ROLES) need {PREFIX}DATABASE_URL and {PREFIX}ROOT_KEY_FILE, the same for all "
                "of them: they meet in one database"
            )
        if self.is_apart and self.public_url is None:
            raise ValueError(
                f"services apart ({PREFIX}ROLES) need {PREFIX}PUBLIC_URL: the address of the gateway, for links that "
                "the others make"
            )
        if self.is_apart and self.mode == "demo":
            raise ValueError(f"the demo has all services in one process: leave {PREFIX}ROLES out")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - named by the library
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - named by the library
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: options of the command line, environment, files."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def is_apart(self) -> bool:
        """Say whether this process has some of the services only."""
        return frozenset(self.roles) != ALL_ROLES

    @property
    def is_called_by_gateways(self) -> bool:
        """Say whether the world is kept out: this process is no gateway."""
        return Role.GATEWAY not in self.roles

    @property
    def advertised(self) -> str | None:
        """Return where gateways call this process; None for those that none calls."""
        if not self.is_called_by_gateways or FORWARDED.isdisjoint(self.roles):
            return None
        if self.advertise_url is not None:
            return self.advertise_url
        if self.host in {"0.0.0.0", "::"}:  # noqa: S104 - read, not bound
            return f"{'https' if self.has_tls else 'http'}://{socket.gethostname()}:{self.port}"
        return self.local_url

    @property
    def farewell_seconds(self) -> float:
        """Return how long a process serves on after it was told to end."""
        if self.leave_seconds is not None:
            return self.leave_seconds
        return _LEAVE_SECONDS if self.is_apart else 0.0

    @property
    def open_seconds(self) -> float:
        """Return how long idle connections stay open after the last new one: longer than a proxy keeps them."""
        if self.last_calls_seconds is not None:
            return self.last_calls_seconds
        return PROXIED_SECONDS if self.is_apart or self.trusted_proxies else _ALONE_SECONDS

    @property
    def is_embedded(self) -> bool:
        """Say whether this process brings its own database."""
        return self.database_url is None

    @property
    def origin(self) -> str:
        """Return the public address: what was set, or where this process listens."""
        if self.public_url is not None:
            return self.public_url
        return self.local_url

    @property
    def is_public(self) -> bool:
        """Say whether there is a public address, and it is more than this machine's own."""
        return self.public_url is not None and not _is_loopback(urlsplit(self.public_url).hostname or "")

    @property
    def root_key_path(self) -> Path:
        """Return the file of the root key; the embedded default generates it beside the data."""
        return self.root_key_file or self.data_dir / "root.key"

    @property
    def local_url(self) -> str:
        """Return the address at which this process reaches itself."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - read, not bound
        scheme = "https" if self.has_tls else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def has_tls(self) -> bool:
        """Say whether this process itself speaks TLS."""
        return self.tls_files() is not None

    def tls_files(self) -> CertificateFiles | None:
        """Return where its certificate stands, None where a proxy in front speaks TLS or nobody does."""
        if self.tls_cert is not None and self.tls_key is not None:
            return CertificateFiles(certificate=self.tls_cert, key=self.tls_key)
        return own_files(self.data_dir / "tls") if self.tls_self_signed else None

    @property
    def mail_name(self) -> str:
        """Return the name by which this server introduces itself to mail servers."""
        name = urlsplit(self.origin).hostname or ""
        return name if any(sign.isalpha() for sign in name) and ":" not in name else "localhost"

    @property
    def pages(self) -> Path:
        """Return the folder of the built pages: inside the package, or the checkout's own build."""
        packaged = Path(__file__).with_name("pages")
        return packaged if packaged.exists() else Path(__file__).parents[2] / "web" / "dist"

    def edge(self) -> EdgeConfig:
        """Produce the configuration of the edge."""
        bodies = BodyLimits(hook=self.hook_body_bytes, api=self.api_body_bytes, blueprint=self.blueprint_body_bytes)
        limits = EdgeLimits(
            url_bytes=self.url_bytes,
            header_bytes=self.header_bytes,
            token_bytes=self.token_bytes,
            json_depth=self.json_depth,
            body_seconds=self.body_seconds,
            bodies=bodies,
        )
        return EdgeConfig(
            limits=limits,
            # A name of this machine belongs to its other servers too, which may well speak plain HTTP.
            is_https=self.origin.startswith("https://") and not self.tls_self_signed,
            is_internal=self.is_called_by_gateways,
            hosts=None
            if self.is_called_by_gateways
            else HostRule.of(
                (urlsplit(self.origin).hostname or "", self.host, *self.allowed_hosts),
                takes_public_numbers=self.public_url is None,
            ),
            addresses=Addresses([_network(entry) for entry in self.trusted_proxies]),
            request_log=RequestLogConfig(kinds=self.log_requests, slow_seconds=self.log_slow_seconds),
        )

    def traces(self) -> TraceRules | None:
        """Produce which traces are kept; None where there is no collector."""
        if self.otlp_endpoint is None:
            return None
        return TraceRules(
            share=self.trace_sample,
            shares=self.trace_sample_organizations,
            trusts_incoming=self.trace_trust_incoming,
            most_spans=self.trace_spans,
        )

    def trace_export(self) -> ExportConfig | None:
        """Produce where traces go, if anywhere; reads the file of the headers."""
        if self.otlp_endpoint is None:
            return None
        return ExportConfig(
            url=self.otlp_endpoint,
            headers=() if self.otlp_headers_file is None else read_headers(self.otlp_headers_file),
            most_waiting=self.trace_queue,
            batch=self.trace_batch,
            every=self.trace_every_seconds,
            deadline=self.trace_export_seconds,
        )

    def logs(self, node: str) -> LogConfig:
        """Produce where log lines go; reads the file of Elasticsearch's credentials."""
        file, elasticsearch = None, None
        if self.log_file is not None:
            file = FileConfig(path=self.log_file, most_bytes=self.log_file_bytes, count=self.log_file_count)
        if self.elasticsearch_url is not None:
            auth = self.elasticsearch_auth_file
            elasticsearch = ElasticsearchConfig(
                url=self.elasticsearch_url,
                index=self.elasticsearch_index,
                seconds=self.elasticsearch_seconds,
                batch_bytes=self.elasticsearch_batch_bytes,
                authorization=None if auth is None else read_authorization(auth),
                authority=self.elasticsearch_ca_file,
            )
        return LogConfig(
            level=self.log_level,
            node=node,
            queue_bytes=self.log_queue_bytes,
            close_seconds=self.log_close_seconds,
            file=file,
            elasticsearch=elasticsearch,
        )

    def health(self) -> LookConfig:
        """Produce how often dependencies are looked at, and how soon a look is believed."""
        return LookConfig(seconds=self.health_look_seconds, rise=self.health_rise, fall=self.health_fall)

    def rate_limits(self) -> RateLimits:
        """Produce how often callers may come; a trial that only this machine reaches has nobody to be held back."""
        is_on = self.rates == "on" or (self.rates == "auto" and self.is_public)

        def rate(name: str, most: int, seconds: float) -> Rate:
            return Rate(name=name, most=most if is_on else 0, seconds=seconds)

        return RateLimits(
            general=rate("general", self.rate_general, self.rate_general_seconds),
            failures=rate("failures", self.rate_failures, self.rate_failures_seconds),
            strangers=rate("strangers", self.rate_strangers, self.rate_strangers_seconds),
            api=rate("api", self.rate_api, self.rate_api_seconds),
            hook=rate("hook", self.rate_hook, self.rate_hook_seconds),
            flow=rate("flow", self.rate_flow, self.rate_flow_seconds),
            block_seconds=self.rate_failures_block_seconds,
            keys=self.rate_keys,
        )

    def redis(self) -> RedisConfig | None:
        """Produce where Redis is, if there is one."""
        if self.redis_url is None:
            return None
        return RedisConfig(
            url=self.redis_url.get_secret_value(),
            prefix=self.redis_prefix,
            seconds=self.redis_seconds,
            probe_seconds=self.redis_probe_seconds,
            connections=self.redis_connections,
        )

    def zookeeper(self) -> ZooKeeperConfig | None:
        """Produce where ZooKeeper is, if there is one; reads the file of its password."""
        if not self.zookeeper_hosts:
            return None
        tls = None
        if self.zookeeper_ca_file is not None:
            tls = ZooKeeperTls(
                authority=self.zookeeper_ca_file, certificate=self.zookeeper_cert_file, key=self.zookeeper_key_file
            )
        return ZooKeeperConfig(
            hosts=self.zookeeper_hosts,
            path=self.zookeeper_path,
            session_seconds=self.zookeeper_session_seconds,
            answer_seconds=self.zookeeper_answer_seconds,
            auth=None if self.zookeeper_auth_file is None else read_auth(self.zookeeper_auth_file),
            tls=tls,
        )

    def far_cache(self) -> FarConfig:
        """Produce how much of Redis the far cache uses."""
        return FarConfig(seconds=self.cache_far_seconds, most_bytes=self.cache_far_bytes)

    def warming(self) -> WarmConfig:
        """Produce how much is made ready before a server serves; a process that runs nothing has nothing to make."""
        runs = not {Role.GATEWAY, Role.WORKER}.isdisjoint(self.roles)
        return WarmConfig(programs=self.cache_warm_programs if runs else 0, seconds=self.cache_warm_seconds)

    def streams(self, node: str, secret: bytes) -> StreamsConfig | None:
        """Produce how events pass through Redis, where they do."""
        redis = self.redis()
        if redis is None or self.event_bus != "redis":
            return None
        return StreamsConfig(
            redis=redis,
            node=node,
            most_messages=self.event_stream_length,
            payload_bytes=self.event_stream_bytes,
            look_seconds=self.event_look_seconds,
            secret=secret,
        )

    def client_connections(self) -> ConnectionLimits:
        """Produce the limits of the connections that clients open."""
        return ConnectionLimits(
            head_seconds=self.head_seconds,
            idle_seconds=self.idle_seconds,
            write_seconds=self.write_seconds,
            head_bytes=self.header_bytes + self.url_bytes,
            most=self.connections,
        )

    def tokens(self) -> ExpectedClaims:
        """Produce who a portal token may name; this server's own address is always an audience."""
        audiences = {*self.token_audiences, self.origin} if self.token_audiences else ()
        return ExpectedClaims(issuers=frozenset(self.token_issuers), audiences=frozenset(audiences))

    def credentials(self) -> CredentialLimits:
        """Produce how long rotated keys go on, and how many API tokens there may be."""
        return CredentialLimits(overlap_seconds=self.portal_key_overlap_seconds, api_tokens=self.api_tokens)

    def session_limits(self) -> SessionLimits:
        """Produce how long people stay signed in."""
        return SessionLimits(
            idle_seconds=self.session_idle_seconds, life_seconds=self.session_life_seconds, most=self.sessions
        )

    def member_limits(self) -> MemberLimits:
        """Produce how many people an organization has."""
        return MemberLimits(most=self.organization_members)

    def sign_in(self) -> SignInLimits:
        """Produce how often somebody may try to sign in."""
        return SignInLimits(
            attempts=self.sign_in_attempts,
            address_attempts=self.sign_in_address_attempts,
            seconds=self.sign_in_seconds,
            block_seconds=self.sign_in_block_seconds,
        )

    def passwords(self) -> PasswordCost:
        """Produce how many passwords are checked at a time."""
        return PasswordCost(at_once=self.sign_in_at_once, waiting=self.sign_in_waiting)

    def run_limits(self) -> RunLimits:
        """Produce where one execution is stopped."""
        return RunLimits(
            operations=self.execution_operations,
            bundles=self.execution_bundles,
            seconds=self.execution_seconds,
            aggregated_bytes=self.execution_collected_bytes,
            memory_bytes=self.run_memory_bytes,
        )

    def data_store_limits(self) -> DataStoreLimits:
        """Produce what data stores may measure."""
        return DataStoreLimits(
            record_bytes=self.data_store_record_bytes,
            store_bytes=self.data_store_bytes,
            records=self.data_store_records,
            stores=self.data_stores,
        )

    def folder_limits(self) -> FolderLimits:
        """Produce how many folders a team may have, and how deep."""
        return FolderLimits(folders=self.scenario_folders, depth=self.scenario_folder_depth)

    def function_limits(self) -> FunctionLimits:
        """Produce how many custom functions there may be, and how long."""
        return FunctionLimits(
            per_team=self.custom_function_count,
            characters=self.custom_function_characters,
            changes=self.custom_function_changes,
        )

    def sandbox(self) -> SandboxConfig:
        """Produce what one call of a custom function may use."""
        return SandboxConfig(
            seconds=self.custom_function_seconds,
            memory_bytes=self.custom_function_memory_bytes,
            input_bytes=self.custom_function_input_bytes,
            output_bytes=self.custom_function_output_bytes,
            processes=self.custom_function_processes,
            wait_seconds=self.custom_function_wait_seconds,
        )

    def variable_limits(self) -> VariableLimits:
        """Produce how many custom variables there may be, and how large."""
        return VariableLimits(
            variables=self.custom_variables,
            text_bytes=self.custom_variable_bytes,
            changes=self.custom_variable_changes,
        )

    def journal(self) -> JournalConfig:
        """Produce what the journal of effects keeps."""
        return JournalConfig(most_result_bytes=self.journal_result_bytes)

    def inbound(self) -> InboundLimits:
        """Produce what a webhook may ask of its callers at most."""
        return InboundLimits(
            tolerance=self.webhook_tolerance_longest_seconds, window=self.webhook_window_longest_seconds
        )

    def learning(self) -> LearningLimits:
        """Produce when a webhook has learned enough."""
        return LearningLimits(calls=self.webhook_learned_calls, fields=self.webhook_learned_fields)

    def incomplete(self) -> IncompleteLimits:
        """Produce the limits of the store of incomplete executions."""
        return IncompleteLimits(
            per_scenario=self.incomplete_per_scenario,
            per_organization=self.incomplete_per_organization,
            bytes_per_scenario=self.incomplete_bytes_per_scenario,
            bytes_per_organization=self.incomplete_bytes_per_organization,
        )

    def quotas(self) -> QuotaConfig:
        """Produce how limits of usage are watched."""
        return QuotaConfig(
            look_seconds=self.usage_look_seconds,
            near_percent=self.usage_near_percent,
            most_deferred=self.usage_deferred,
        )

    def storage(self) -> StorageConfig:
        """Produce for how long runs are kept, how much of them, and how gently what is past goes."""
        return StorageConfig(
            days=self.execution_retention_days,
            bytes=self.execution_retention_bytes,
            look_seconds=self.storage_look_seconds,
            settle_seconds=self.storage_settle_seconds,
            batch=self.storage_batch,
            busy_percent=self.storage_busy_percent,
        )

    def gaps(self) -> GapRules:
        """Produce when webhooks are silent and schedules late."""
        return GapRules(
            factor=self.gap_factor,
            floor=self.gap_floor_seconds,
            calls=self.gap_calls,
            learning=self.gap_learning_seconds,
            half_life=self.gap_half_life_days * 86_400,
            late=self.gap_late_seconds,
            look=self.gap_look_seconds,
        )

    def claims(self) -> ClaimRules:
        """Produce how waiting work is shared out."""
        return ClaimRules(team_cap=self.team_concurrency, ageing=timedelta(seconds=self.queue_ageing_seconds))

    def jobs(self) -> JobLimits:
        """Produce how large jobs may be."""
        return JobLimits(
            payload_bytes=self.job_payload_bytes,
            result_bytes=self.job_result_bytes,
            batch_jobs=self.job_batch_jobs,
        )

    def report_limits(self) -> ReportLimits:
        """Produce what reports may measure."""
        return ReportLimits(days=self.report_days, bytes=self.report_bytes, reports=self.reports)

    def deliveries(self) -> DeliveryLimits:
        """Produce the limits of outbound webhooks."""
        return DeliveryLimits(
            endpoints=self.webhook_endpoints,
            plain_http=self.webhook_plain_http,
            seconds=self.webhook_seconds,
            in_flight=self.webhook_in_flight,
            unfinished=self.webhook_unfinished,
            logged_attempts=self.webhook_logged_attempts,
            retention_days=self.webhook_retention_days,
            disable_days=self.webhook_disable_days,
            disable_attempts=self.webhook_disable_attempts,
            overlap_hours=self.webhook_secret_overlap_hours,
        )

    def credential_request_limits(self) -> RequestLimits:
        """Produce the limits of requests for credentials."""
        return RequestLimits(
            requests=self.credential_requests,
            credentials=self.credential_request_credentials,
            days=self.credential_request_days,
        )

    def oauth(self) -> OAuthLimits:
        """Produce the limits of OAuth."""
        return OAuthLimits(
            applications=self.oauth_applications,
            attempts=self.oauth_attempts,
            attempt_seconds=self.oauth_attempt_seconds,
            call_seconds=self.oauth_call_seconds,
            answer_bytes=self.oauth_answer_bytes,
            renew_ahead_seconds=self.oauth_renew_ahead_seconds,
            renew_ahead_percent=self.oauth_renew_ahead_percent,
            refusal_pause_seconds=self.oauth_refusal_pause_seconds,
            plain_http=self.oauth_plain_http,
        )

    def egress(self) -> EgressConfig:
        """Produce the configuration of calls out."""
        return EgressConfig(policy=EgressPolicy.parse(self.egress_allow), traced_hosts=self.trace_hosts)

    def circuits(self) -> CircuitsConfig:
        """Produce when calls to a host are paused."""
        limits = BreakerLimits(
            calls=self.breaker_calls,
            failed_share=self.breaker_failed_percent / 100,
            cool_down=self.breaker_open_seconds,
            longest_cool_down=self.breaker_longest_open_seconds,
        )
        most = self.breakers
        return CircuitsConfig(limits=limits, slow=self.breaker_slow_seconds, most=most, most_of_team=max(most // 16, 1))

    def turns(self) -> TurnLimits:
        """Produce how many calls are in flight at once."""
        return TurnLimits(per_host=self.host_concurrency, per_team=self.team_call_concurrency)

    def replicas(self) -> ReplicaLimits:
        """Produce when a replica is read."""
        return ReplicaLimits(
            lag=self.replica_lag_seconds,
            look=self.replica_look_seconds,
            back=self.replica_back_seconds,
            wait=self.replica_wait_seconds,
        )

    def moving(self, owner: str) -> MovingConfig:
        """Produce the limits of moves from shard to shard; ``owner`` names the process that runs them."""
        return MovingConfig(
            owner=owner,
            pause=self.moving_pause_seconds,
            grace=self.moving_grace_seconds,
            batch=self.moving_batch,
            at_once=self.moving_at_once,
        )

    def migration_patience(self) -> LockPatience:
        """Produce how migrations wait for locks."""
        return LockPatience(seconds=self.migration_lock_seconds, tries=self.migration_lock_tries)

    def balance(self) -> BalanceConfig:
        """Produce when shards are looked at, and what is uneven."""
        return BalanceConfig(seconds=self.shard_load_seconds, most=self.shard_imbalance)

    def pools(self) -> PoolLimits:
        """Produce the limits of a database pool."""
        return PoolLimits(
            max_size=self.database_connections,
            wait=self.database_wait_seconds,
            statement_timeout=self.statement_timeout_seconds,
            directory_statement_timeout=self.directory_statement_timeout_seconds,
            engine_statement_timeout=self.engine_statement_timeout_seconds,
            report_statement_timeout=self.report_statement_timeout_seconds,
            lock_timeout=self.lock_timeout_seconds,
            idle_in_transaction=self.idle_in_transaction_seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """The settings of this process, its name, and what was odd about its configuration."""

    settings: Settings
    node_id: str
    warnings: tuple[str, ...]


def load_settings(config: Path | None = None, overrides: Mapping[str, object] | None = None) -> LoadedSettings:
    """Read defaults, file and environment; ``overrides`` are options of the command line, None means not given.

    Raises ConfigurationError with one sentence for each value that cannot work.
    """
    named = config or (Path(path) if (path := os.environ.get(PREFIX + _CONFIG)) else None)
    files = [DEFAULTS] if named is None else [DEFAULTS, named]
    written = set() if named is None else _names_in(named)

    class Configured(Settings, toml_file=files):
        """The settings with the files of this call."""

    given: dict[str, Any] = {name: value for name, value in (overrides or {}).items() if value is not None}
    try:
        settings = Configured(**given)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_sentences(error))) from None
    return LoadedSettings(
        settings=settings,
        node_id=settings.node_id or f"{_host_name()}-{secrets.token_hex(3)}",
        warnings=(*_unknown_in_environment(os.environ), *_unknown_in_file(named, written)),
    )


def _names_in(path: Path) -> set[str]:
    try:
        with path.open("rb") as file:
            return set(tomllib.load(file))
    except FileNotFoundError:
        raise ConfigurationError(f"There is no settings file {path}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The settings file {path} is not valid TOML: {error}.") from None
    except OSError as error:
        raise ConfigurationError(f"The settings file {path} cannot be read: {error.strerror}.") from None


def _sentences(error: ValidationError) -> list[str]:
    """Say what is wrong, once per setting. Values are left out: some are secrets."""
    found: dict[str, str] = {}
    for mistake in error.errors(include_url=False, include_input=False):
        name = f"{PREFIX}{str(mistake['loc'][0]).upper()} " if mistake["loc"] else ""
        found.setdefault(name, f"{name}{sentence_of(mistake)}.")
    return list(found.values())


def _unknown_in_environment(environment: Iterable[str]) -> list[str]:
    names = (name.removeprefix(PREFIX) for name in sorted(environment) if name.startswith(PREFIX))
    known = {*(name.upper() for name in Settings.model_fields), _CONFIG}
    return [_complaint(PREFIX + name, name, known, PREFIX) for name in names if name.upper() not in known]


def _unknown_in_file(path: Path | None, names: set[str]) -> list[str]:
    known = set(Settings.model_fields)
    return [_complaint(f"'{name}' in {path}", name, known, "") for name in sorted(names - known)]


def _complaint(shown: str, name: str, known: set[str], prefix: str) -> str:
    closest = difflib.get_close_matches(name, known, n=1)
    return f"{shown} is not a setting." + (f" Did you mean {prefix}{closest[0]}?" if closest else "")


def _host_name() -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:48] or "node"
