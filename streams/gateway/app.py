"""The gateway process: from settings to a served port, and back to nothing at SIGTERM.

At a stop it first closes the port, then answers the requests in progress, then waits for Kafka: what was answered with
success is in the log, what was not is the sender's to repeat.
"""

import asyncio
import ipaddress
import logging
import os

from aiohttp import web
from google.protobuf.internal import api_implementation

from schemas.api_key import Limit
from streams.console.errors import UserError
from streams.failpoint import Failpoint
from streams.gateway.access import Access, Tls, tls_of
from streams.gateway.http import Gateway
from streams.gateway.limits import STOP_LEDGER_S, STOP_LOG_S
from streams.gateway.log import SpanLog
from streams.gateway.otlp_grpc import GrpcServer
from streams.gateway.quota import Quota
from streams.gateway.served import runner_of
from streams.gateway.teller import Teller, store_writer
from streams.gateway.telling import observe
from streams.settings import Settings
from streams.signals import stop_signal
from streams.telemetry.metrics import Metrics
from streams.telemetry.server import HealthServer

TLS_REFRESH_S = 2.0

logger = logging.getLogger(__name__)


async def serve(settings: Settings, ready: asyncio.Event | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then stop cleanly. Sets `ready` when the port accepts requests.

    Raises UserError when the address may not or cannot be bound, or the broker or the topic is not there.
    """
    check_start(settings)
    access, tls = Access(settings.gateway_keys_file), tls_of(settings)
    failpoint = Failpoint(settings.failpoint)
    log = SpanLog(settings, failpoint)
    await log.start()
    gateway = Gateway(
        log,
        linger_s=settings.gateway_linger_ms / 1000,
        partitioner=settings.record_partitioner,
        access=access,
        quota=Quota(Limit(settings.gateway_tenant_spans_per_s, settings.gateway_tenant_bytes_per_s)),
        cors_origins=[origin.strip() for origin in settings.gateway_cors_origins.split(",") if origin.strip()],
    )
    runner = runner_of(gateway)
    metrics = Metrics("gateway")
    observe(metrics, gateway.counts, gateway.account)
    teller = Teller(gateway.account, settings.spans_topic, store_writer(settings, failpoint))
    metrics.observe("stepwatch.gateway.ledger.silence", lambda: [(teller.silence_s(), {})])
    health = HealthServer(settings, "gateway", metrics, gateway.readiness)
    calls = None
    if settings.gateway_grpc_port is not None:
        calls = GrpcServer(gateway.export, settings.gateway_host, settings.gateway_grpc_port, tls)
    teller.start()
    try:
        await health.start()
        await _listen(runner, settings, tls)
        if calls is not None:
            await calls.start()
            logger.info("and OTLP/gRPC on %s:%d", settings.gateway_host, settings.gateway_grpc_port)
        scheme, whom = "https" if tls else "http", "anybody" if access.is_open else "holders of a key"
        logger.info("gateway on %s://%s:%d, for %s", scheme, settings.gateway_host, settings.gateway_port, whom)
        if ready is not None:
            ready.set()
        refreshing = asyncio.create_task(_refresh(tls)) if tls else None
        await stop_signal()
        if refreshing is not None:
            refreshing.cancel()
    finally:
        await asyncio.gather(runner.cleanup(), *([calls.stop()] if calls is not None else []))
        late = await gateway.packer.close(STOP_LOG_S)
        if late:
            logger.warning("%d records without an acknowledgement from Kafka; their senders were told to repeat", late)
        if not await asyncio.to_thread(teller.stop, STOP_LEDGER_S):
            logger.warning("the store did not hear the gateway's last word: its ledger ends before it")
        await log.stop(STOP_LOG_S)
        await health.stop()


def check_start(settings: Settings) -> None:
    """Refuse to start in a way that loses or leaks. Raises UserError."""
    if api_implementation.Type() != "upb":
        raise UserError(
            f"protobuf runs on its {api_implementation.Type()!r} implementation, which hostile input can crash: "
            "install a protobuf wheel for this platform and unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"
        )
    is_safe = settings.gateway_keys_file is not None and settings.gateway_tls_certfile is not None
    if not is_safe and not settings.gateway_insecure and not _is_loopback(settings.gateway_host):
        lacks = " and ".join(
            what
            for what, given in (("TLS", settings.gateway_tls_certfile), ("keys", settings.gateway_keys_file))
            if given is None
        )
        raise UserError(
            f"the gateway has no {lacks}, and {settings.gateway_host} can be reached from other machines: set "
            "STEPWATCH_GATEWAY_TLS_CERTFILE and STEPWATCH_GATEWAY_KEYS_FILE, bind 127.0.0.1 behind a Collector, or set "
            "STEPWATCH_GATEWAY_INSECURE=true on a network you trust"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _refresh(tls: Tls) -> None:
    while True:
        await asyncio.sleep(TLS_REFRESH_S)
        tls.refresh()


async def _listen(runner: web.AppRunner, settings: Settings, tls: Tls | None) -> None:
    await runner.setup()
    try:
        context = tls.context if tls else None
        await web.TCPSite(runner, settings.gateway_host, settings.gateway_port, ssl_context=context).start()
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise UserError(
            f"the gateway cannot listen on {settings.gateway_host}:{settings.gateway_port} ({why}): "
            "stop what uses the port, or set STEPWATCH_GATEWAY_PORT"
        ) from error
