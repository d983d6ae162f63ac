"""OTLP/gRPC in: the same way as over HTTP, from the bytes of a request on.

gRPC reads and unpacks a message before anybody can look at it, so its own bounds hold here: the size of a message, unpacked
or not, and how many calls are in progress. A call is taken as a stream of one message, so that it is known who calls before the
message is there, and none is waited for without end. A status that a sender must repeat carries `RetryInfo`, as OTLP wants it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from schemas.signal import LOGS, TRACES
from streams.console.errors import UserError
from streams.gateway.access import Tls
from streams.gateway.answers import Refused, status_code
from streams.gateway.body import Read
from streams.gateway.limits import BODY_BYTES_MAX, GRPC_CALLS_MAX, STOP_REQUESTS_S

SERVICES = {
    TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
}
Export = Callable[
    [Read, str | None, str, list[str]], Awaitable[bytes]
]  # (read, authorization, signal, names in the client's certificate) -> response; raises Refused
REPEATED = (429, 503)
CODES = {code.value[0]: code for code in grpc.StatusCode}


class GrpcServer:
    """One gRPC port."""

    def __init__(self, export: Export, host: str, port: int, tls: Tls | None) -> None:
        self._export, self._address, self._tls = export, f"{host}:{port}", tls
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises UserError when the address cannot be bound."""
        options = [
            ("grpc.max_receive_message_length", BODY_BYTES_MAX),
            ("grpc.so_reuseport", 0),  # a second gateway on the port is a mistake, not a helper
        ]
        server = grpc.aio.server(options=options, maximum_concurrent_rpcs=GRPC_CALLS_MAX)
        for signal, service in SERVICES.items():  # no deserialiser: bytes in, bytes out
            handler = grpc.stream_unary_rpc_method_handler(partial(self._answer, signal))
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
        try:
            if self._tls is None:
                server.add_insecure_port(self._address)
            else:
                server.add_secure_port(self._address, self._tls.grpc_credentials())
            await server.start()
        except RuntimeError as error:
            raise UserError(
                f"the gateway cannot listen on {self._address} for gRPC ({error}): stop what uses the port, or set "
                "STEPWATCH_GATEWAY_GRPC_PORT"
            ) from error
        self._server = server

    async def stop(self) -> None:
        """No new calls; those in progress get their answers."""
        if self._server is not None:
            await self._server.stop(STOP_REQUESTS_S)

    async def _answer(self, signal: str, messages: AsyncIterator[bytes], context: Any) -> bytes:
        async def read() -> bytes:
            async for message in messages:
                return message
            raise Refused(400, "a call without a message")

        told = dict(context.invocation_metadata() or ())
        try:
            return await self._export(read, told.get("authorization"), signal, _names(context))
        except Refused as refused:
            await _abort(context, refused)


def _names(context: Any) -> list[str]:
    """gRPC tells the names without their kinds: a SPIFFE id is a URI, anything else is taken for a host."""
    told = (context.auth_context() or {}).get("x509_subject_alternative_name", ())
    names = [name.decode("utf-8", "replace") for name in told]
    return [f"URI:{name}" if "://" in name else f"DNS:{name}" for name in names]


async def _abort(context: Any, refused: Refused) -> NoReturn:
    code = CODES[status_code(refused)]
    status = Status(code=code.value[0], message=str(refused))
    if refused.status in REPEATED:
        detail = AnyMessage()
        detail.Pack(RetryInfo(retry_delay=Duration(seconds=refused.retry_after_s)))
        status.details.append(detail)
    await context.abort(code, str(refused), (("grpc-status-details-bin", status.SerializeToString()),))
    raise AssertionError("abort raises")
