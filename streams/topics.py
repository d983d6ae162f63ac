"""The Kafka topics: what they must be, made once, checked at every start.

A topic is made only where it is missing; an existing one is never altered, only complained of. `otlp_spans` and
`eval.outcomes` must carry the broker's append time: windows and alert buckets run on it (architecture 6.1).
"""

import asyncio
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from streams.console.errors import UserError
from streams.settings import Settings

DAY_MS = 86_400_000
TOLD_WITHIN_S, TOLD_POLL_S = 30.0, 0.05
LOG_APPEND = {"message.timestamp.type": "LogAppendTime"}
CREATE_TIME = (
    "topic {name} has message.timestamp.type={kind}, but windows need the broker's append time: run `kafka-configs.sh "
    "--bootstrap-server {servers} --alter --topic {name} --add-config message.timestamp.type=LogAppendTime`, "
    "or start with STEPWATCH_ACCEPT_CREATE_TIME=true"
)


class TopicSpec(NamedTuple):
    """One topic as it must be."""

    name: str
    partitions: int
    config: dict[str, str]

    @property
    def needs_append_time(self) -> bool:
        """Whether Stepwatch's clock runs on this topic's timestamps."""
        return "message.timestamp.type" in self.config


def specs(settings: Settings) -> tuple[TopicSpec, ...]:
    """All topics, in the order of the data."""
    delete_14d = {"cleanup.policy": "delete", "retention.ms": str(14 * DAY_MS)}
    compact = {"cleanup.policy": "compact"}
    return (
        TopicSpec(
            settings.spans_topic,
            settings.spans_partitions,
            {
                "cleanup.policy": "delete",
                "retention.ms": str(3 * DAY_MS),
                "max.message.bytes": str(8 << 20),
                **LOG_APPEND,
            },
        ),
        TopicSpec(
            settings.outcomes_topic,
            settings.outcomes_partitions,
            {**delete_14d, "max.message.bytes": str(8 << 20), **LOG_APPEND},
        ),
        TopicSpec(settings.alerts_topic, settings.outcomes_partitions, delete_14d),
        TopicSpec(
            settings.alert_state_topic,
            settings.outcomes_partitions,
            {**compact, "min.compaction.lag.ms": "60000", "max.compaction.lag.ms": "3600000"},
        ),
        TopicSpec(  # partition by partition beside the alerts; an alert that still fires is written again within the time
            settings.deliveries_topic, settings.outcomes_partitions, {**delete_14d, "cleanup.policy": "compact,delete"}
        ),
        TopicSpec(
            settings.checkpoint_topic, settings.outcomes_partitions, {**compact, "max.message.bytes": str(8 << 20)}
        ),
        TopicSpec(settings.dlq_topic, settings.dlq_partitions, {**delete_14d, "max.message.bytes": str(9 << 20)}),
        TopicSpec(settings.config_topic, 1, {**compact, "max.message.bytes": str(8 << 20)}),
    )


def kafka_options(settings: Settings) -> dict[str, Any]:
    """Connection options of every aiokafka client: bootstrap servers, SASL, TLS (hostnames are verified)."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol in ("SSL", "SASL_SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        if settings.sasl_username is None or settings.sasl_password is None:
            raise UserError("SASL is on: set STEPWATCH_SASL_USERNAME and STEPWATCH_SASL_PASSWORD")
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value(),
        }
    return options


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(settings.ssl_cafile) if settings.ssl_cafile else None)
        if settings.ssl_certfile:
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile)
    except OSError as error:
        raise UserError(
            f"the certificates for Kafka cannot be used ({error}): look at STEPWATCH_SSL_CAFILE, "
            "STEPWATCH_SSL_CERTFILE and STEPWATCH_SSL_KEYFILE"
        ) from error
    return context


class KafkaClient(Protocol):
    """Whatever of aiokafka connects at its start."""

    async def start(self) -> None:
        """Connect."""
        ...


async def start_client(client: KafkaClient, settings: Settings) -> None:
    """Start an aiokafka client. Raises UserError when no broker answers or lets us in, with the reason.

    aiokafka tells the reason (refused, unknown host, wrong password, untrusted certificate) only to its log.
    """
    with _complaints() as said:
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            why = said[-1].partition('": ')[2].strip() if said else ""
            raise UserError(
                f"no Kafka broker answers at {settings.bootstrap_servers} ({why or type(error).__name__}): start one "
                "with `stepwatch up`, or set STEPWATCH_BOOTSTRAP_SERVERS"
            ) from error


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What aiokafka logs meanwhile goes into this list, and nowhere else."""
    said: list[str] = []
    logger, handler = logging.getLogger("aiokafka"), logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


async def ensure_topics(settings: Settings) -> list[str]:
    """Make the topics that are missing and wait until the broker tells of them; return their names. Raises UserError when the
    broker refuses."""
    admin = await _admin(settings)
    try:
        existing = set(await admin.list_topics())
        missing = [spec for spec in specs(settings) if spec.name not in existing]
        if missing:
            # create_topics does not raise: the answer carries an error code per topic.
            answer = await admin.create_topics(
                # -1: the broker's default replication, which aiokafka lets through only beside an (empty) assignment.
                [NewTopic(s.name, s.partitions, -1, replica_assignments={}, topic_configs=s.config) for s in missing]
            )
            for name, code, *message in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise UserError(f"the broker refused to make topic {name}: {message[0] if message else code}")
            await _until_told(admin, [spec.name for spec in missing])
        return [spec.name for spec in missing]
    finally:
        await admin.close()


async def _until_told(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """The controller makes a topic, and a moment later the brokers know it: who asks in between is told that it is not there."""
    try:
        async with asyncio.timeout(TOLD_WITHIN_S):
            while any(topic["error_code"] for topic in await admin.describe_topics(names)):
                await asyncio.sleep(TOLD_POLL_S)
    except TimeoutError as error:
        raise UserError(
            f"the topics are made, but the broker does not tell of them in {TOLD_WITHIN_S:.0f} s"
        ) from error


async def check_topics(settings: Settings) -> list[str]:
    """What is wrong with the topics, a sentence each with its cure; empty when all is well."""
    admin = await _admin(settings)
    try:
        described = {t["topic"]: t for t in await admin.describe_topics([s.name for s in specs(settings)])}
        problems = []
        for spec in specs(settings):
            topic = described.get(spec.name)
            if topic is None or topic["error_code"]:
                problems.append(f"topic {spec.name} does not exist: run `stepwatch topics apply`")
            elif spec.needs_append_time and not settings.accept_create_time:
                problems += await _append_time_problem(admin, spec.name, settings.bootstrap_servers)
        return problems
    finally:
        await admin.close()


async def _append_time_problem(admin: AIOKafkaAdminClient, name: str, servers: str) -> list[str]:
    resource = ConfigResource(ConfigResourceType.TOPIC, name, configs={"message.timestamp.type": None})
    for answer in await admin.describe_configs([resource]):
        for *_, entries in answer.resources:
            if entries and entries[0][1] != "LogAppendTime":
                return [CREATE_TIME.format(name=name, kind=entries[0][1], servers=servers)]
    return []


async def _admin(settings: Settings) -> AIOKafkaAdminClient:
    admin = AIOKafkaAdminClient(**kafka_options(settings), request_timeout_ms=15_000)
    try:
        await start_client(admin, settings)
    except UserError:
        await admin.close()
        raise
    return admin
