"""OTLP/HTTP in: one request from its first byte to its answer.

Success is answered when Kafka has every span that was not refused. Whatever the gateway cannot take now is answered
at once with 429 or 503, which a sender repeats; nothing waits in a queue without bound.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import Protocol

import orjson
from aiohttp import web
from aiokafka.errors import MessageSizeTooLargeError

from schemas.otlp_json import Refusal
from schemas.partition import Partitioner
from schemas.signal import LOGS, TRACES
from streams.gateway.access import Access, names_of
from streams.gateway.account import Account
from streams.gateway.admission import Admitted, admit, admit_logs
from streams.gateway.answers import JSON, PROTOBUF, Encoding, Refused, failure, response_of, success
from streams.gateway.body import Read, Received, encoding_of, in_time, read_body
from streams.gateway.budget import Budget, OverBudget
from streams.gateway.cors import answer_headers, preflight_headers
from streams.gateway.counts import GatewayCounts
from streams.gateway.decoding import Decoding
from streams.gateway.limits import ACK_TIMEOUT_S, GRPC_CALLS_MAX, REQUESTS_MAX
from streams.gateway.packer import Answer, Packer
from streams.gateway.places import Places
from streams.gateway.quota import Quota
from streams.telemetry.health import Readiness, readiness_of

ADMIT = {TRACES: admit, LOGS: admit_logs}


class Log(Protocol):
    """What the gateway needs of the spans topic."""

    partitions: int

    async def append(self, partition: int, record: bytes, tenant: str, signal: str) -> int:
        """The record's offset, when Kafka has it; raise KafkaError."""

    async def reachable(self) -> bool:
        """Whether the broker answers now."""


class Gateway:
    """The requests of one gateway process and what it holds of them."""

    def __init__(
        self,
        log: Log,
        *,
        linger_s: float,
        partitioner: Partitioner,
        ack_timeout_s: float = ACK_TIMEOUT_S,
        budget: Budget | None = None,
        requests_max: int = REQUESTS_MAX,
        access: Access | None = None,
        quota: Quota | None = None,
        cors_origins: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without `access` anybody may send, as the default tenant. Pages of `cors_origins` may send from a browser."""
        self._cors_origins = cors_origins
        self._access = access or Access(None)
        self._quota = quota or Quota()
        self._decoding = Decoding()
        self._clock = clock
        self._log = log
        self._partitioner = partitioner
        self._ack_timeout_s = ack_timeout_s
        self._budget = budget or Budget()
        self._places, self._calls = Places(requests_max), Places(min(requests_max, GRPC_CALLS_MAX))
        self.counts = GatewayCounts()
        self.account = Account()
        self.packer = Packer(log.append, linger_s, self._budget, self.counts, self.account)

    def application(self) -> web.Application:
        """The routes. Serve it with `auto_decompress=False`: unpacking is ours, and bounded."""
        app = web.Application()
        app.router.add_post("/v1/traces", self.traces)
        app.router.add_post("/v1/logs", self.logs)
        if self._cors_origins:
            app.router.add_options("/v1/{signal:traces|logs}", self.preflight)
        app.router.add_post("/v1/metrics", self.metrics)
        app.router.add_get("/livez", self.livez)
        app.router.add_get("/readyz", self.readyz)
        app.router.add_get("/version", self.version)
        app.router.add_get("/stats", self.stats)
        return app

    async def traces(self, request: web.Request) -> web.Response:
        """`POST /v1/traces`."""
        return await self._answered(request, TRACES)

    async def logs(self, request: web.Request) -> web.Response:
        """`POST /v1/logs`: records that hold content of a span meet their trace; all others are left out, and counted."""
        return await self._answered(request, LOGS)

    async def _answered(self, request: web.Request, signal: str) -> web.Response:
        try:
            response = await self._take(request, signal)
        except Refused as refused:
            response = failure(_spoken(request), refused)
        except OverBudget as over:
            response = failure(_spoken(request), Refused(503, f"try again: {over}"))
        self.counts.requests[response.status] += 1
        response.headers.update(answer_headers(request.headers.get("Origin"), self._cors_origins))
        return response

    async def preflight(self, request: web.Request) -> web.Response:
        """`OPTIONS /v1/traces`: a browser asks whether a page may send."""
        granted = preflight_headers(request.headers.get("Origin"), self._cors_origins)
        return web.Response(status=204 if granted else 403, headers=granted)

    async def metrics(self, request: web.Request) -> web.Response:
        """`POST /v1/metrics`: not ours, said so that a sender's own log shows the cure."""
        sentence = "Stepwatch takes traces and logs: turn the metrics exporter off or point it elsewhere"
        self.counts.requests[404] += 1
        return failure(_spoken(request), Refused(404, sentence))

    async def livez(self, _: web.Request) -> web.Response:
        """The process serves."""
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """The broker answers, so that a request sent now can succeed."""
        ready, reasons = await self.readiness()
        return web.Response(status=200 if ready else 503, text="; ".join(reasons or ("ok",)) + "\n")

    async def readiness(self) -> Readiness:
        """The same for the health port."""
        return readiness_of({"Kafka does not answer": not await self._log.reachable()})

    async def version(self, _: web.Request) -> web.Response:
        """Which Stepwatch this is."""
        return _json({"name": "stepwatch", "version": version("stepwatch")})

    async def stats(self, _: web.Request) -> web.Response:
        """The running totals and what is held now."""
        return _json(
            {
                **self.counts.as_json(),
                "held_bytes": self._budget.held,
                "requests_now": self._places.taken + self._calls.taken,
            }
        )

    async def export(
        self, read: Read, authorization: str | None, signal: str = TRACES, names: Sequence[str] = ()
    ) -> bytes:
        """One request over gRPC, answered as over HTTP. Raises Refused."""
        tenant = self._sender(authorization, names)  # before the message is there
        try:
            with self._calls.one(tenant, several=self._budget.several):
                body = await in_time(read)
                self._budget.of(tenant).take(len(body))
                admitted = await self._admit(body, PROTOBUF, tenant, signal)
                refusals = await self._settle(admitted, tenant, signal)
                return bytes(response_of(refusals, admitted.n_spans, signal).SerializeToString())
        except OverBudget as over:
            raise Refused(503, f"try again: {over}") from over

    async def _take(self, request: web.Request, signal: str) -> web.Response:
        tls = request.transport.get_extra_info("peercert") if request.transport is not None else None
        tenant = self._sender(request.headers.get("Authorization"), names_of(tls))  # before a byte of the body is read
        encoding = encoding_of(request)
        with self._places.one(tenant, several=self._budget.several):
            admitted = await self._read(request, encoding, tenant, signal)
            return success(encoding, await self._settle(admitted, tenant, signal), admitted.n_spans, signal)

    def _sender(self, authorization: str | None, names: Sequence[str]) -> str:
        """The tenant that sends. Raises Refused: 401 for nobody known, 429 for one that has sent too much."""
        tenant = self._access.tenant_of(authorization, names)
        if tenant is None:
            raise Refused(401, "unauthorized")
        self._budget.several = self._access.has_several
        self._check_quota(tenant)
        return tenant

    def _check_quota(self, tenant: str) -> None:
        wait_s = self._quota.wait_s(tenant, self._access.limits, self._clock())
        if wait_s:
            self.counts.throttled[tenant] += 1
            raise Refused(429, f"try again: tenant {tenant} is over its limit, in {wait_s} s", wait_s)

    async def _settle(self, admitted: Admitted, tenant: str, signal: str) -> list[Refusal]:
        """Put the good spans (or log records) on the log; all that were refused."""
        refusals = admitted.refusals + await self._deliver(admitted, tenant, signal)
        reasons = [refusal.reason for refusal in refusals]
        self.counts.settle(signal, admitted.n_spans - len(refusals), reasons)
        self.counts.ignored_logs += admitted.n_ignored
        self.account.refused(tenant, signal, reasons)
        self.account.ignored(tenant, signal, admitted.n_ignored)
        return refusals

    async def _read(self, request: web.Request, encoding: Encoding, tenant: str, signal: str) -> Admitted:
        received = Received()
        try:
            body = await read_body(request, self._budget.of(tenant), received)
        except OverBudget:  # ours: it comes again
            raise
        except BaseException:
            self._quota.owe(tenant, 0, received.size)
            raise
        return await self._admit(body, encoding, tenant, signal)

    async def _admit(self, body: bytes, encoding: Encoding, tenant: str, signal: str) -> Admitted:
        """A body that is there and counted, sorted and charged; its bytes go back to the budget. Raises Refused.

        The quota is asked before the work, and again after it, as others of its tenant may have been charged meanwhile: nothing
        is awaited between that question and the charge, so each sees what the one before it owes."""
        try:
            self._check_quota(tenant)
        except Refused:
            self._budget.of(tenant).give_back(len(body))
            raise
        outcome = await self._decoding.of(
            body, partial(self._sorted, encoding, signal), partial(self._budget.of(tenant).give_back, len(body))
        )
        self._check_quota(tenant)
        if isinstance(outcome, Refused):  # what cannot be decoded was sent nevertheless
            self._quota.owe(tenant, 0, len(body))
            raise outcome
        self._quota.owe(tenant, outcome.n_spans, len(body))
        return outcome

    def _sorted(self, encoding: Encoding, signal: str, body: bytes) -> Admitted | Refused:
        try:
            return ADMIT[signal](body, encoding, self._log.partitions, self._partitioner)
        except Refused as refused:
            return refused

    async def _deliver(self, admitted: Admitted, tenant: str, signal: str) -> list[Refusal]:
        """Return when Kafka has answered for every good span: the ones it will never take."""
        if not admitted.n_good:
            return []
        try:
            answers = self.packer.put(tenant, admitted.by_partition, signal)
            await self._acknowledged(answers)
        except (Refused, OverBudget):
            self.counts.retry(signal, admitted.n_spans)  # the refused ones too: they come again with the others
            raise
        n_too_large = sum(n for answer, n in answers.items() if answer.result() is not None)
        return n_too_large * [Refusal("record_too_large", "the topic's max.message.bytes is too small for this span")]

    async def _acknowledged(self, answers: dict[Answer, int]) -> None:
        """Wait for Kafka. Raises Refused (503) unless each record is either in the log or too large for it."""
        done, late = await asyncio.wait(answers, timeout=self._ack_timeout_s)
        if late:
            raise Refused(503, f"try again: no acknowledgement from Kafka within {self._ack_timeout_s:.0f} s")
        for error in (answer.result() for answer in done):
            if error is not None and not isinstance(error, MessageSizeTooLargeError):
                raise Refused(503, f"try again: Kafka did not take the spans ({error})")


def _spoken(request: web.Request) -> Encoding:
    """The encoding of an error's body: the request's own, JSON when that is not OTLP's."""
    return PROTOBUF if request.content_type == PROTOBUF else JSON


def _json(fields: dict[str, object]) -> web.Response:
    return web.Response(body=orjson.dumps(fields, option=orjson.OPT_NON_STR_KEYS), content_type=JSON)
