"""`stepwatch send`: recorded traces through the gateway, as an exporter would send them. Bounded memory, a chosen rate.

Files are read and cut into batches here, so that one huge export is no hurdle and what cannot be read is named by
file and line; what is sent is what an exporter sends.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.otlp import InvalidOtlp
from schemas.span import RawSpan
from schemas.topic_record import split_record
from streams.console.errors import UserError
from streams.console.parts import effective
from streams.gateway.client import REQUEST_TIMEOUT_S, Sender, Sums
from streams.gateway.limits import MIB
from streams.otlp_files import exports_of

BATCH_SPANS_MAX, BATCH_BYTES_MAX = 500, 2 * MIB
BATCHES_PER_S = 20  # at a chosen rate: even, not in bursts
TRACES_PATH = "/v1/traces"
SHOWN_MAX = 10
LINE_EVERY_S = 5.0  # of progress, where there is no terminal


@dataclass(slots=True)
class Input:
    """How far the files are read, and what in them could not be."""

    files: list[Path]
    n_spans: int = 0
    bytes_read: int = 0
    unreadable: list[str] = field(default_factory=list)  # sentences with file and line, the first ones
    n_unreadable: int = 0

    def complain(self, sentence: str) -> None:
        """Note a part that is no export; the rest is sent."""
        self.n_unreadable += 1
        if len(self.unreadable) < SHOWN_MAX:
            self.unreadable.append(sentence)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("send", rich_help_panel="Input")(send_files)


def send_files(
    files: Annotated[list[Path], typer.Argument(help="OTLP/JSON lines (also .gz) or OTLP protobuf files.")],
    endpoint: Annotated[
        str | None,
        typer.Option(help="http://host:port of a gateway. Default: that of the running stack, or of the settings."),
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Spans a second; 0: as fast as they are acknowledged.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests in flight.")] = 8,
) -> None:
    """Send recorded traces through the gateway.

    A gateway that has keys is shown the one in STEPWATCH_GATEWAY_KEY.
    Exit code 0: every span was accepted. 1: some were refused, with the reasons. 2: a part of the input cannot be read.
    """
    for file in files:
        if not file.is_file():
            raise UserError(f"{file}: {'no file' if file.exists() else 'no such file'}; nothing was sent", exit_code=2)
    url = _url(endpoint)
    reading, sums, screen = Input(files), Sums(), Console(stderr=True, soft_wrap=True)
    started = time.monotonic()
    asyncio.run(_send(reading, sums, url, rate, concurrency, screen))
    if not reading.n_spans and not reading.n_unreadable:
        screen.print(f"no spans in {', '.join(map(str, files))}", style="yellow", markup=False)
    _report(reading, sums, time.monotonic() - started, screen)
    if reading.n_unreadable:
        raise typer.Exit(2)
    if sums.refused:
        raise typer.Exit(1)


def _url(endpoint: str | None) -> str:
    """Where traces are posted to. Raises UserError for an endpoint that is none."""
    settings = effective()
    base = (endpoint or f"http://{settings.gateway_host}:{settings.gateway_port}").rstrip("/")
    if not re.match(r"https?://[^/]", base):
        raise UserError(f"--endpoint {endpoint}: must be of the form http://host:port", exit_code=2)
    return base.removesuffix(TRACES_PATH) + TRACES_PATH


async def _send(reading: Input, sums: Sums, url: str, rate: float, concurrency: int, screen: Console) -> None:
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=concurrency)
    batches = _batches(reading, sums, _batch_spans(rate))
    showing = asyncio.create_task(_show(reading, sums, screen))
    try:
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=_key()) as session:
            await Sender(session, url, sums).send_all(batches, rate=rate, concurrency=concurrency)
    finally:
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing


def _key() -> dict[str, str]:
    """What the gateway wants to see where it has keys."""
    key = effective().gateway_key
    return {"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}


def _batch_spans(rate: float) -> int:
    return max(1, min(BATCH_SPANS_MAX, int(rate / BATCHES_PER_S))) if rate else BATCH_SPANS_MAX


def _batches(reading: Input, sums: Sums, spans_max: int) -> Iterator[list[RawSpan]]:
    """The spans of all files in their order, cut by number and size."""
    batch: list[RawSpan] = []
    size = 0
    for raw in _spans(reading, sums):
        cost = len(raw.span) + len(raw.resource) + len(raw.scope)
        if batch and (len(batch) >= spans_max or size + cost > BATCH_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(raw)
        size += cost
    if batch:
        yield batch


def _spans(reading: Input, sums: Sums) -> Iterator[RawSpan]:
    for file in reading.files:
        try:
            for number, document in exports_of(file):
                reading.bytes_read += len(document)
                yield from _of_export(f"{file}:{number}", document, reading, sums)
        except UserError as error:  # the rest of this file; it names the place
            reading.complain(str(error))


def _of_export(place: str, document: bytes, reading: Input, sums: Sums) -> list[RawSpan]:
    try:
        spans, refused = split_record(document)
    except InvalidOtlp as error:
        reading.complain(f"{place}: {error}; each line must be one OTLP/JSON export")
        return []
    for refusal in refused:
        sums.refuse(refusal.reason.split(":")[0], 1, f"{place}: {refusal.reason}")
    reading.n_spans += len(spans) + len(refused)
    return spans


async def _show(reading: Input, sums: Sums, screen: Console) -> None:
    """A bar on a terminal, a line now and then anywhere else. Ends by cancellation."""
    if not screen.is_terminal:
        while True:
            await asyncio.sleep(LINE_EVERY_S)
            screen.print(f"sending: {_told(reading, sums)}", highlight=False)
    total = None if any(f.suffix == ".gz" for f in reading.files) else sum(f.stat().st_size for f in reading.files)
    columns = (TextColumn("sending"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True) as progress:
        task = progress.add_task("", total=total, told="")
        while True:
            progress.update(task, completed=reading.bytes_read, told=_told(reading, sums))
            await asyncio.sleep(0.1)


def _told(reading: Input, sums: Sums) -> str:
    return f"read {reading.n_spans} spans, accepted {sums.accepted}, refused {sums.refused}"


def _report(reading: Input, sums: Sums, took_s: float, screen: Console) -> None:
    pace = f"{reading.n_spans / took_s:.0f} a second" if took_s > 0 else ""
    typer.echo(f"sent {reading.n_spans} spans, accepted {sums.accepted}, refused {sums.refused} ({pace})")
    for reason, n in sums.reasons.most_common(SHOWN_MAX):
        screen.print(f"  {n} x {reason}, for example: {sums.examples[reason]}", style="yellow", markup=False)
    for sentence in reading.unreadable:
        screen.print(f"  unreadable: {sentence}", style="yellow", markup=False)
    if reading.n_unreadable > len(reading.unreadable):
        screen.print(f"  ... and {reading.n_unreadable - len(reading.unreadable)} more", style="yellow")
