"""The sender's side of OTLP, over HTTP or gRPC: batches, sent until the gateway has said what became of each span.

Bounded memory: what waits is one batch per request in flight. Repeats what a sender must repeat (429, 502, 503, 504,
a lost connection) with backoff, honouring Retry-After; everything else is final.
"""

import asyncio
import io
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import aiohttp
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from schemas.otlp import pack
from schemas.span import RawSpan
from streams.console.errors import UserError
from streams.gateway.answers import PROTOBUF

RETRYABLE = frozenset({429, 502, 503, 504})
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.25, 10.0
PATIENCE_S = 120.0  # without any answer but "try again"
FIRST_PATIENCE_S = 1.0  # before the first answer, when nobody is there
REQUEST_TIMEOUT_S = 30.0
REASONS_MAX = 100
# `reason (count): example`, as the gateway lists them.
_REASON = re.compile(r"(?:: |; )([a-z_]+) \((\d+)\): ")


@dataclass(slots=True)
class Sums:
    """What became of the spans, or of the log records: each one read is accepted or refused in the end."""

    accepted: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)  # per reason, the first sentence

    def refuse(self, reason: str, n: int, sentence: str) -> None:
        """Count spans that were not taken. Past `REASONS_MAX` reasons they share one."""
        if reason not in self.reasons and len(self.reasons) >= REASONS_MAX:
            reason = "other"
        self.refused += n
        self.reasons[reason] += n
        self.examples.setdefault(reason, sentence)


class Batch(NamedTuple):
    """What one request carries: raw spans, or raw log records."""

    signal: str
    raws: list[RawSpan]


class Door(NamedTuple):
    """Where a signal is posted to, and what became of it."""

    url: str
    sums: Sums


class CallRefused(Exception):
    """A call that was not answered with success. `repeat`: the sender may come back, `after_s` later."""

    def __init__(self, sentence: str, reason: str, repeat: bool, after_s: float) -> None:
        super().__init__(sentence)
        self.reason, self.repeat, self.after_s = reason, repeat, after_s


class Calls(Protocol):
    """A way to send that is not HTTP."""

    async def export(self, signal: str, body: bytes) -> bytes:
        """The response's bytes. Raises CallRefused."""


class _TryAgain(Exception):
    """The sender may repeat; `after_s` is what the gateway asked for."""

    def __init__(self, trouble: str, after_s: float = 0.0) -> None:
        super().__init__(trouble)
        self.after_s = after_s


class Sender:
    """Sends batches to one gateway, some at a time. Use inside `async with aiohttp.ClientSession()`."""

    def __init__(self, session: aiohttp.ClientSession, doors: Mapping[str, Door], calls: Calls | None = None) -> None:
        """`doors` by signal; every batch has one. With `calls` everything goes over gRPC."""
        self._session = session
        self._calls = calls
        self._doors = doors
        self._last_answer: float | None = None  # when the gateway last took or refused something for good
        self._started = time.monotonic()

    async def send_all(self, batches: Iterable[Batch], *, rate: float, concurrency: int) -> None:
        """Send every batch; at most `rate` of them a second (0: as fast as they are acknowledged).

        Raises UserError when the gateway does not answer.
        """
        turn, sent = asyncio.Semaphore(concurrency), 0
        self._started = time.monotonic()
        try:
            async with asyncio.TaskGroup() as requests:
                for batch in batches:
                    await turn.acquire()
                    requests.create_task(self._send(batch)).add_done_callback(lambda _: turn.release())
                    sent += len(batch.raws)
                    await asyncio.sleep(self._started + sent / rate - time.monotonic() if rate else 0)
        except ExceptionGroup as failures:  # of the requests in flight: the first says it all
            raise failures.exceptions[0] from None

    async def _send(self, batch: Batch) -> None:
        body, delay, door = pack(batch.raws), BACKOFF_MIN_S, self._doors[batch.signal]
        while True:
            try:
                if self._calls is None:
                    await self._post(door, body, len(batch.raws))
                else:
                    await self._call(self._calls, batch.signal, door, body, len(batch.raws))
            except _TryAgain as trouble:
                self._check_patience(door, trouble)
                await asyncio.sleep(max(delay, trouble.after_s))
                delay = min(2 * delay, BACKOFF_MAX_S)
            else:
                self._last_answer = time.monotonic()
                return

    async def _post(self, door: Door, body: bytes, n: int) -> None:
        headers = {"Content-Type": PROTOBUF}
        try:
            async with self._session.post(door.url, data=io.BytesIO(body), headers=headers) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _TryAgain(_trouble(error)) from error
        if response.status in RETRYABLE:
            sentence = f"HTTP {response.status}: {_message(answer)}"
            raise _TryAgain(sentence, _seconds(response.headers.get("Retry-After")))
        if response.status != 200:
            door.sums.refuse(f"http_{response.status}", n, _message(answer))
        else:
            _tally(door.sums, answer, n)

    async def _call(self, calls: Calls, signal: str, door: Door, body: bytes, n: int) -> None:
        try:
            _tally(door.sums, await calls.export(signal, body), n)
        except CallRefused as refusal:
            if refusal.repeat:
                raise _TryAgain(str(refusal), min(refusal.after_s, PATIENCE_S / 2)) from refusal
            door.sums.refuse(refusal.reason, n, str(refusal))

    def _check_patience(self, door: Door, trouble: _TryAgain) -> None:
        since = self._started if self._last_answer is None else self._last_answer
        nobody = (
            isinstance(trouble.__cause__, aiohttp.ClientConnectorError | TimeoutError | CallRefused)
            and self._last_answer is None
            and "try again" not in str(trouble)
        )
        if time.monotonic() - since > (FIRST_PATIENCE_S if nobody else PATIENCE_S):
            raise UserError(
                f"the gateway at {door.url} does not take spans ({trouble}): is it running? `stepwatch status` tells; "
                f"{door.sums.accepted} spans were accepted before"
            ) from trouble


def _tally(sums: Sums, answer: bytes, n: int) -> None:
    """Take an answer of success in. That to log records has the same fields under the same numbers."""
    told = ExportTraceServiceResponse.FromString(answer).partial_success
    sums.accepted += n - told.rejected_spans
    listed = [(reason, int(n)) for reason, n in _REASON.findall(told.error_message)]
    if sum(n for _, n in listed) != told.rejected_spans:
        listed = [("refused", told.rejected_spans)] if told.rejected_spans else []
    for reason, n in listed:
        sums.refuse(reason, n, told.error_message)


def _trouble(error: Exception) -> str:
    """Why there was no answer, in a person's words."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    return f"no answer within {REQUEST_TIMEOUT_S:.0f} s" if isinstance(error, TimeoutError) else str(error)


def _message(answer: bytes) -> str:
    """The sentence of a Status; what else came, cut."""
    try:
        return str(Status.FromString(answer).message)
    except DecodeError:
        return answer[:200].decode("utf-8", "replace").strip()


def _seconds(retry_after: str | None) -> float:
    """Retry-After in seconds; the form with a date is not used between us. Bounded, whatever it says."""
    return min(float(retry_after), PATIENCE_S / 2) if retry_after and retry_after.isdecimal() else 0.0
