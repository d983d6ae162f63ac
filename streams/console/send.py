"""`stepwatch send`: recorded traces through the gateway, as an exporter would send them. Bounded memory, a chosen rate.

Files are read and cut into batches here, so that one huge export is no hurdle and what cannot be read is named by
file and line; what is sent is what an exporter sends.
"""

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import aiohttp
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.otlp import InvalidOtlp
from schemas.signal import LOGS, TRACES
from schemas.span import RawSpan
from schemas.topic_record import split_parts
from streams.console.errors import UserError
from streams.console.parts import effective
from streams.gateway.client import REQUEST_TIMEOUT_S, Batch, Door, Sender, Sums
from streams.gateway.limits import MIB
from streams.otlp_files import exports_of

if TYPE_CHECKING:
    from streams.gateway.grpc_client import GrpcDoor

BATCH_SPANS_MAX, BATCH_BYTES_MAX = 500, 2 * MIB
BATCHES_PER_S = 20  # at a chosen rate: even, not in bursts
TRACES_PATH, LOGS_PATH = "/v1/traces", "/v1/logs"
WHAT = {TRACES: "spans", LOGS: "log records"}
SHOWN_MAX = 10
LINE_EVERY_S = 5.0  # of progress, where there is no terminal


@dataclass(slots=True)
class Input:
    """How far the files are read, and what in them could not be."""

    files: list[Path]
    n: Counter[str] = field(default_factory=Counter)  # spans and log records, by signal
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
    files: Annotated[
        list[Path], typer.Argument(help="OTLP as JSON or protobuf, or an export of Jaeger or Tempo; also .gz.")
    ],
    endpoint: Annotated[
        str | None,
        typer.Option(help="http://host:port of a gateway. Default: that of the running stack, or of the settings."),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Spans and log records a second; 0: as fast as they are acknowledged.")
    ] = 0,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests in flight.")] = 8,
    over_grpc: Annotated[
        bool, typer.Option("--grpc", help="Over gRPC; the port is that of --endpoint, or STEPWATCH_GATEWAY_GRPC_PORT.")
    ] = False,
) -> None:
    """Send recorded traces through the gateway, and the log records that lie beside them.

    A gateway that has keys is shown the one in STEPWATCH_GATEWAY_KEY.
    Exit code 0: every span was accepted. 1: some were refused, with the reasons. 2: a part of the input cannot be read.
    """
    for file in files:
        if not file.is_file():
            raise UserError(f"{file}: {'no file' if file.exists() else 'no such file'}; nothing was sent", exit_code=2)
    url = _url(endpoint, over_grpc)
    doors = {TRACES: Door(url, Sums()), LOGS: Door(url.removesuffix(TRACES_PATH) + LOGS_PATH, Sums())}
    reading, screen = Input(files), Console(stderr=True, soft_wrap=True)
    started = time.monotonic()
    asyncio.run(_send(reading, doors, rate, concurrency, screen, over_grpc))
    if not reading.n.total() and not reading.n_unreadable:
        screen.print(f"no spans in {', '.join(map(str, files))}", style="yellow", markup=False)
    took_s = time.monotonic() - started
    for signal, door in doors.items():
        if signal == TRACES or reading.n[signal]:
            _report(reading.n[signal], WHAT[signal], door.sums, took_s, screen)
    _tell_unreadable(reading, screen)
    if reading.n_unreadable:
        raise typer.Exit(2)
    if any(door.sums.refused for door in doors.values()):
        raise typer.Exit(1)


def _url(endpoint: str | None, over_grpc: bool = False) -> str:
    """Where traces are posted to. Raises UserError for an endpoint that is none."""
    settings = effective()
    port = settings.gateway_grpc_port if over_grpc else settings.gateway_port
    if endpoint is None and port is None:
        raise UserError(
            "--grpc: say where with --endpoint, or set STEPWATCH_GATEWAY_GRPC_PORT (4317, usually)", exit_code=2
        )
    base = (endpoint or f"http://{settings.gateway_host}:{port}").rstrip("/")
    if not re.match(r"https?://[^/]", base):
        raise UserError(f"--endpoint {endpoint}: must be of the form http://host:port", exit_code=2)
    return base.removesuffix(TRACES_PATH) + TRACES_PATH


async def _send(
    reading: Input, doors: Mapping[str, Door], rate: float, concurrency: int, screen: Console, over_grpc: bool
) -> None:
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=concurrency)
    batches = _batches(reading, doors, _batch_spans(rate))
    showing = asyncio.create_task(_show(reading, doors, screen))
    calls = _grpc_door(doors[TRACES].url) if over_grpc else None
    try:
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=_key()) as session:
            await Sender(session, doors, calls).send_all(batches, rate=rate, concurrency=concurrency)
    finally:
        if calls is not None:
            await calls.close()
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing


def _grpc_door(url: str) -> "GrpcDoor":
    from streams.gateway.grpc_client import GrpcDoor  # grpc takes a while to load

    parts, key = urlsplit(url), effective().gateway_key
    return GrpcDoor(
        parts.netloc, parts.scheme == "https", key.get_secret_value() if key is not None else None, REQUEST_TIMEOUT_S
    )


def _key() -> dict[str, str]:
    """What the gateway wants to see where it has keys."""
    key = effective().gateway_key
    return {"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}


def _batch_spans(rate: float) -> int:
    return max(1, min(BATCH_SPANS_MAX, int(rate / BATCHES_PER_S))) if rate else BATCH_SPANS_MAX


def _batches(reading: Input, doors: Mapping[str, Door], n_max: int) -> Iterator[Batch]:
    """The spans of all files in their order, cut by number and size, and so the log records."""
    waiting = {signal: Batch(signal, []) for signal in doors}
    sizes = dict.fromkeys(doors, 0)
    for signal, raw in _raws(reading, doors):
        batch, cost = waiting[signal], len(raw.span) + len(raw.resource) + len(raw.scope)
        if batch.raws and (len(batch.raws) >= n_max or sizes[signal] + cost > BATCH_BYTES_MAX):
            yield batch
            batch, sizes[signal] = Batch(signal, []), 0
            waiting[signal] = batch
        batch.raws.append(raw)
        sizes[signal] += cost
    yield from (batch for batch in waiting.values() if batch.raws)


def _raws(reading: Input, doors: Mapping[str, Door]) -> Iterator[tuple[str, RawSpan]]:
    for file in reading.files:
        try:
            for number, document in exports_of(file):
                reading.bytes_read += len(document)
                yield from _of_export(f"{file}:{number}", document, reading, doors)
        except UserError as error:  # the rest of this file; it names the place
            reading.complain(str(error))


def _of_export(place: str, document: bytes, reading: Input, doors: Mapping[str, Door]) -> Iterator[tuple[str, RawSpan]]:
    try:
        parts = split_parts(document)
    except InvalidOtlp as error:
        reading.complain(f"{place}: {error}; each line must be one OTLP/JSON export")
        return
    for refusal in parts.refused:
        reading.n[refusal.signal] += 1
        doors[refusal.signal].sums.refuse(refusal.reason.split(":")[0], 1, f"{place}: {refusal.reason}")
    for signal, raws in ((TRACES, parts.spans), (LOGS, parts.logs)):
        reading.n[signal] += len(raws)
        yield from ((signal, raw) for raw in raws)


async def _show(reading: Input, doors: Mapping[str, Door], screen: Console) -> None:
    """A bar on a terminal, a line now and then anywhere else. Ends by cancellation."""
    if not screen.is_terminal:
        while True:
            await asyncio.sleep(LINE_EVERY_S)
            screen.print(f"sending: {_told(reading, doors)}", highlight=False)
    total = None if any(f.suffix == ".gz" for f in reading.files) else sum(f.stat().st_size for f in reading.files)
    columns = (TextColumn("sending"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True) as progress:
        task = progress.add_task("", total=total, told="")
        while True:
            progress.update(task, completed=reading.bytes_read, told=_told(reading, doors))
            await asyncio.sleep(0.1)


def _told(reading: Input, doors: Mapping[str, Door]) -> str:
    accepted = sum(door.sums.accepted for door in doors.values())
    refused = sum(door.sums.refused for door in doors.values())
    what = " and ".join(
        f"{reading.n[signal]} {WHAT[signal]}" for signal in doors if signal == TRACES or reading.n[signal]
    )
    return f"read {what}, accepted {accepted}, refused {refused}"


def _report(n: int, what: str, sums: Sums, took_s: float, screen: Console) -> None:
    pace = f"{n / took_s:.0f} a second" if took_s > 0 else ""
    typer.echo(f"sent {n} {what}, accepted {sums.accepted}, refused {sums.refused} ({pace})")
    for reason, count in sums.reasons.most_common(SHOWN_MAX):
        screen.print(f"  {count} x {reason}, for example: {sums.examples[reason]}", style="yellow", markup=False)


def _tell_unreadable(reading: Input, screen: Console) -> None:
    for sentence in reading.unreadable:
        screen.print(f"  unreadable: {sentence}", style="yellow", markup=False)
    if reading.n_unreadable > len(reading.unreadable):
        screen.print(f"  ... and {reading.n_unreadable - len(reading.unreadable)} more", style="yellow")
