"""The same requests over gRPC: one call, answered as `client` wants it."""

from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from streams.gateway.client import CallRefused
from streams.gateway.otlp_grpc import SERVICES

RETRYABLE = frozenset(
    {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
)


class GrpcDoor:
    """One channel to a gateway's gRPC port."""

    def __init__(self, address: str, secure: bool, key: str | None, timeout_s: float) -> None:
        """`address` is host:port. Call `close` at the end."""
        made = grpc.aio.secure_channel(address, grpc.ssl_channel_credentials()) if secure else None
        self._channel = made or grpc.aio.insecure_channel(address)
        self._calls = {signal: self._channel.unary_unary(f"/{service}/Export") for signal, service in SERVICES.items()}
        self._metadata = (("authorization", f"Bearer {key}"),) if key else ()
        self._timeout_s = timeout_s

    async def export(self, signal: str, body: bytes) -> bytes:
        """The response's bytes. Raises CallRefused."""
        try:
            return bytes(await self._calls[signal](body, metadata=self._metadata, timeout=self._timeout_s))
        except grpc.aio.AioRpcError as error:
            code, told = error.code(), dict(error.trailing_metadata() or ())
            sentence = f"{code.name}: {error.details()}"
            raise CallRefused(sentence, f"grpc_{code.name.lower()}", code in RETRYABLE, _after_s(told)) from error

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def _after_s(told: Mapping[str, Any]) -> float:
    """What a RetryInfo asks for; 0.0 without one."""
    try:
        for detail in Status.FromString(told.get("grpc-status-details-bin", b"")).details:
            wanted = RetryInfo()
            if detail.Unpack(wanted):
                return float(wanted.retry_delay.seconds)
    except DecodeError:
        pass
    return 0.0
