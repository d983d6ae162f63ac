"""Every knob that a part of Stepwatch takes from outside, in one frozen value.

Read once, at the command line (`Settings()` reads `STEPWATCH_*` from the environment; flags override fields), then passed
down. Nothing else in the project reads the environment. Defaults stand beside the field with their reason.
"""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SECRET_CHARS_MIN = 16
SERVERS = re.compile(r"[^\s,:]+(:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?")


class Settings(BaseSettings):
    """Configuration of all parts. Each field is `STEPWATCH_<NAME>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="STEPWATCH_", frozen=True, extra="ignore")

    # Kafka.
    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None

    # Topics. Partition counts are fixed for life: a trace's place depends on them.
    spans_topic: str = "otlp_spans"
    spans_partitions: int = Field(default=48, ge=1, le=10_000)
    outcomes_topic: str = "eval.outcomes"
    outcomes_partitions: int = Field(default=12, ge=1, le=10_000)
    alerts_topic: str = "eval.alerts"
    alert_state_topic: str = "eval.alert-state"
    deliveries_topic: str = "eval.deliveries"
    checkpoint_topic: str = "eval.alerter-checkpoint"
    dlq_topic: str = "eval.dlq"
    dlq_partitions: int = Field(default=6, ge=1, le=10_000)
    config_topic: str = "eval.config"
    record_partitioner: Literal["sarama", "murmur2"] = "sarama"  # what a stock Collector uses

    # ClickHouse.
    clickhouse_url: str = "http://127.0.0.1:8123"
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr | None = None
    clickhouse_database: str = "stepwatch"

    # Consumer groups and timing.
    scorer_group: str = "stepwatch-scorer"
    alerter_group: str = "stepwatch-alerter"
    deliver_group: str = "stepwatch-deliver"  # one a target: `stepwatch-deliver.<name>`
    session_timeout_s: float = Field(default=15.0, gt=0)
    heartbeat_interval_s: float = Field(default=3.0, gt=0)
    # Must outlast any outage: with every partition blocked Faust never polls, aiokafka leaves the group after this
    # interval and never rejoins (architecture 5). Lowered only by the test that shows we do go on.
    max_poll_interval_s: float = Field(default=604_800.0, gt=0)
    flush_interval_s: float = Field(default=0.5, gt=0)
    flush_rows_max: int = Field(default=50_000, ge=1)
    flush_bytes_max: int = Field(default=64 << 20, ge=1)
    accept_create_time: bool = False
    watchdog_stall_s: float = Field(default=120.0, ge=0)  # 0: off
    sweep_interval_s: float = Field(default=3_600.0, ge=0)  # 0: never

    # Windows. Milliseconds of the log clock.
    settle_one_resource_ms: int = Field(default=1_500, ge=1)
    settle_many_resources_ms: int = Field(default=8_000, ge=1)  # the SDK exports every 5 s at a random phase
    abandon_after_ms: int = Field(default=1_800_000, ge=1)
    provisional_every_ms: int = Field(default=10_000, ge=0)
    trace_spans_max: int = Field(default=10_000, ge=1)
    trace_bytes_max: int = Field(default=32 << 20, ge=1)
    # What the runs in memory of one scorer may take, and what is remembered of those that are not; a flush and the
    # interpreter come on top, some 500 MB.
    memory_bytes_max: int = Field(default=1 << 30, ge=1)

    # Alerter.
    tick_interval_s: float = Field(default=10.0, gt=0)
    checkpoint_interval_s: float = Field(default=60.0, gt=0)
    attribution_timeout_s: float = Field(default=3.0, ge=0)  # how long an alert waits for its cause; 0: it does not

    # Gateway.
    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(default=4318, ge=0, le=65_535)
    gateway_grpc_port: int | None = Field(default=None, ge=1, le=65_535)  # OTLP/gRPC, usually 4317; off without
    gateway_insecure: bool = False  # bind an address that other machines reach, without TLS and keys
    # Redaction (docs/privacy.md): the secret of the tokens that stand for masked values; without one they tell the kind alone.
    redaction_secret: SecretStr | None = None

    gateway_keys_file: Path | None = None  # who may send; without it everybody, as the default tenant
    # What a tenant may send a second where the key file says nothing of it (`stepwatch keys limit`); 0: as much as it likes.
    gateway_tenant_spans_per_s: float = Field(default=0, ge=0)
    gateway_tenant_bytes_per_s: float = Field(default=0, ge=0)
    gateway_tls_certfile: Path | None = None
    gateway_tls_keyfile: Path | None = None
    gateway_tls_client_ca: Path | None = None  # then clients must show a certificate of this authority
    gateway_key: SecretStr | None = None  # what `stepwatch send` shows
    gateway_cors_origins: str = ""  # pages that may send from a browser: https://shop.example.com,...; * for all
    gateway_linger_ms: int = Field(default=20, ge=0)  # how long spans wait to be packed with others of their partition

    # What a part says of itself: /livez, /readyz, /metrics, /version. Off without a port.
    health_host: str = "127.0.0.1"
    health_port: int | None = Field(default=None, ge=1, le=65_535)

    # Results as OTLP log events, to the endpoint of the OTEL_* variables. Reasons may quote arguments.
    results_log: bool = False

    # Local stack.
    data_dir: Path = Path(".stepwatch")

    # Fault injection, for tests: "name:n" ends the process with SIGKILL at the n-th pass of that point.
    failpoint: str | None = None

    @field_validator("redaction_secret")
    @classmethod
    def _is_long(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and len(given.get_secret_value()) < SECRET_CHARS_MIN:
            raise ValueError(f"must have at least {SECRET_CHARS_MIN} characters; `openssl rand -hex 32` makes one")
        return given

    @property
    def redaction_key(self) -> bytes:
        """The secret of redaction's tokens; b"" without one."""
        return b"" if self.redaction_secret is None else self.redaction_secret.get_secret_value().encode()

    @field_validator("bootstrap_servers")
    @classmethod
    def _are_servers(cls, given: str) -> str:
        """What is no address would end in the depths of the Kafka client."""
        if not all(SERVERS.fullmatch(server.strip()) for server in given.split(",")):
            raise ValueError("must be of the form host:port,host:port")
        return given
