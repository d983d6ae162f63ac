"""`stepwatch send`: recorded traces through the gateway, as an exporter would send them. Bounded memory, a chosen rate."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from schemas.otlp import InvalidOtlp
from schemas.topic_record import split_record
from streams.console.errors import UserError
from streams.otlp_files import exports_of
from streams.settings import Settings

RETRYABLE = frozenset({429, 502, 503, 504})  # OTLP/HTTP: all other failures are final
ATTEMPTS_MAX = 8
BACKOFF_MAX_S = 10.0
REASONS_SHOWN_MAX = 10


@dataclass(slots=True)
class Sums:
    """What became of the spans that were sent."""

    sent: int = 0
    refused: int = 0
    unreadable: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("send", rich_help_panel="Input")(send_files)


def send_files(
    files: Annotated[list[Path], typer.Argument(help="OTLP/JSON lines (also .gz) or OTLP protobuf files.")],
    endpoint: Annotated[str | None, typer.Option(help="The gateway. Default: the one of the settings.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Spans a second; 0: as fast as they are acknowledged.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests in flight.")] = 8,
) -> None:
    """Send recorded traces through the gateway.

    Exit code 0: every span was accepted. 1: some were refused, with the reasons. 2: a file cannot be read.
    """
    settings = Settings()
    url = (endpoint or f"http://{settings.gateway_host}:{settings.gateway_port}").rstrip("/") + "/v1/traces"
    screen = Console(stderr=True)
    try:
        sums = asyncio.run(_send(files, url, rate, concurrency, screen))
    except ExceptionGroup as group:  # of the requests in flight: the first failure says it all
        raise group.exceptions[0] from None
    screen.print(f"sent {sums.sent} spans, accepted {sums.sent - sums.refused}, refused {sums.refused}")
    for reason, count in sums.reasons.most_common(REASONS_SHOWN_MAX):
        screen.print(f"  {count} x {reason}", style="yellow", markup=False)
    if sums.refused or sums.unreadable:
        raise typer.Exit(1)


async def _send(files: list[Path], url: str, rate: float, concurrency: int, screen: Console) -> Sums:
    sums = Sums()
    turn = asyncio.Semaphore(concurrency)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[spans]} spans"),
        TimeElapsedColumn(),
    )
    progress = Progress(*columns, console=screen, disable=not screen.is_terminal)
    started = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=60)
    with progress:
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as requests:
            for body, task in _read(files, progress):
                spans = _count(body, sums)
                await turn.acquire()
                request = requests.create_task(_post(session, url, body, spans, sums))
                request.add_done_callback(lambda _: turn.release())
                sums.sent += spans
                progress.update(task, advance=len(body), spans=sums.sent)
                if rate:
                    await asyncio.sleep(started + sums.sent / rate - time.monotonic())
    return sums


def _read(files: list[Path], progress: Progress) -> Iterator[tuple[bytes, TaskID]]:
    for file in files:
        try:
            size = file.stat().st_size
            task = progress.add_task(file.name, total=None if file.suffix == ".gz" else size, spans=0)
            for _, body in exports_of(file):
                yield body, task
        except OSError as error:
            raise UserError(f"{file}: cannot be read: {error}", exit_code=2) from error


def _count(body: bytes, sums: Sums) -> int:
    """Spans of one export, as the gateway will count them; what cannot be read is sent all the same, to be refused there."""
    try:
        raws, refused = split_record(body)
    except InvalidOtlp:
        sums.unreadable += 1
        return 0
    return len(raws) + len(refused)


async def _post(session: aiohttp.ClientSession, url: str, body: bytes, spans: int, sums: Sums) -> None:
    """Send one export, again and again while the gateway says that it may."""
    kind = "application/json" if body.lstrip()[:1] in (b"{", b"[") else "application/x-protobuf"
    delay = 0.2
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            async with session.post(url, data=body, headers={"Content-Type": kind}) as response:
                answer = await response.read()
                if response.status == 200:
                    _tally(answer, kind, sums)
                    return
                if response.status not in RETRYABLE:
                    sums.refused += spans
                    sums.reasons[f"HTTP {response.status}: {_sentence(answer)}"] += spans or 1
                    return
                delay = max(delay, float(response.headers.get("Retry-After") or 0))
                trouble = f"HTTP {response.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            trouble = str(error) or type(error).__name__
        if attempt < ATTEMPTS_MAX:
            await asyncio.sleep(delay)
            delay = min(delay * 2, BACKOFF_MAX_S)
    raise UserError(f"the gateway at {url} does not take spans ({trouble}): is it running? `stepwatch status` tells")


def _tally(answer: bytes, kind: str, sums: Sums) -> None:
    if kind == "application/json":
        partial = (json.loads(answer) if answer else {}).get("partialSuccess", {})
        refused, message = int(partial.get("rejectedSpans", 0)), partial.get("errorMessage", "")
    else:
        said = ExportTraceServiceResponse.FromString(answer).partial_success
        refused, message = said.rejected_spans, said.error_message
    if refused:
        sums.refused += refused
        sums.reasons[message] += refused


def _sentence(answer: bytes) -> str:
    text = answer.decode("utf-8", "replace").strip()
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200]
