"""`stepwatch dlq list|show|redrive`: what could not be used, why, and another try."""

import asyncio
import sys
from collections import Counter
from contextlib import suppress
from heapq import heappop, heappush
from typing import Annotated, Any

import orjson
import typer
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.alert import spell_time
from schemas.dead_letter import DeadLetterRecord, read_place
from schemas.signal import LOGS
from streams.console.errors import UserError
from streams.console.parts import effective
from streams.settings import Settings

dlq = typer.Typer(no_args_is_help=True)
HEX_BYTES, HEX_WIDTH = 512, 16
Reason = Annotated[str | None, typer.Option(help="Only those whose reason contains this.")]
Tenant = Annotated[str | None, typer.Option(help="Only those of this tenant.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(dlq, name="dlq", help="Dead letters: what could not be used, why, and another try.")


@dlq.command("list")
def list_(
    reason: Reason = None,
    tenant: Tenant = None,
    limit: Annotated[int, typer.Option(min=1, help="Show the newest ones, at most so many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a letter, without its bytes.")] = False,
) -> None:
    """The dead letters that are kept, newest last, and how many there are of each reason."""
    from streams.upkeep import dead_letters

    settings = effective()
    kinds: Counter[str] = Counter()
    newest: list[tuple[int, DeadLetterRecord]] = []  # a heap

    async def read() -> None:
        async for letter in dead_letters.letters(settings):
            if _fits(letter, reason, tenant):
                kinds[letter.kind] += 1
                heappush(newest, (letter.logged_ms, letter._replace(value=b"")))
                if len(newest) > limit:
                    heappop(newest)

    asyncio.run(read())
    shown = [letter for _, letter in sorted(newest)]
    if as_json:
        for letter in shown:
            sys.stdout.write(orjson.dumps(_plain(letter)).decode() + "\n")
        return
    console = Console(highlight=False)
    if not kinds:
        console.print("no dead letters")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("place", "when", "tenant", "from", "reason"):
        table.add_column(name, overflow="fold")
    for letter in shown:
        when = spell_time(letter.logged_ms)[:19]
        table.add_row(letter.place, when, escape(letter.tenant), letter.origin, escape(letter.reason))
    console.print(table)
    if (more := sum(kinds.values()) - len(shown)) > 0:
        console.print(f"and {more} older ones (--limit)")
    for kind, n in kinds.most_common():
        console.print(f"{n:>8}  {escape(kind)}")


@dlq.command()
def show(place: Annotated[str, typer.Argument(metavar="PLACE", help="As `list` shows it: partition/offset.")]) -> None:
    """One dead letter: where it came from, why it is one, and what is in it. Span content is shown as it came in."""
    letter = asyncio.run(_at(effective(), place))
    console = Console(highlight=False, soft_wrap=True)
    for name, value in _plain(letter).items():
        console.print(f"[bold]{name}[/] {escape(str(value))}")
    console.print(escape(_content(letter)))


@dlq.command()
def redrive(
    places: Annotated[list[str] | None, typer.Argument(metavar="[PLACE]...", help="partition/offset.")] = None,
    reason: Reason = None,
    tenant: Tenant = None,
    all_: Annotated[bool, typer.Option("--all", help="Every letter that is kept.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be done.")] = False,
) -> None:
    """Put dead letters back on the topic that they came from: after a cure, they are read again.

    Name them, or choose by --reason, --tenant or --all. Safe to repeat: what is known already changes nothing. A letter that
    still cannot be used comes back as a new one. Exit code 1 when one of those named could not be put back.
    """
    from streams.gateway.log import partition_count
    from streams.upkeep import dead_letters

    if not places and not all_ and reason is None and tenant is None:
        raise UserError("say which: places, --reason, --tenant or --all")
    settings = effective()
    console = Console(highlight=False, soft_wrap=True)

    async def run() -> tuple[int, int]:
        chosen = [await _at(settings, place) for place in places or ()]
        if not places:
            chosen = [x async for x in dead_letters.letters(settings) if _fits(x, reason, tenant)]
        partitions = await partition_count(settings)
        going = [(letter, dead_letters.destination(letter, settings, partitions)) for letter in chosen]
        for letter, there in going:
            told = f"stays: {there.refusal}" if there.refusal else f"to {there.topic}/{there.partition}"
            console.print(escape(f"{letter.place} ({letter.kind}) {told}"))
        staying = sum(bool(there.refusal) for _, there in going)
        if dry_run:
            return len(going) - staying, staying
        return await dead_letters.redrive(settings, [pair for pair in going if not pair[1].refusal]), staying

    put_back, staying = asyncio.run(run())
    console.print(f"{put_back} {'would be ' if dry_run else ''}put back, {staying} stay")
    if staying and places:
        raise typer.Exit(1)


def _fits(letter: DeadLetterRecord, reason: str | None, tenant: str | None) -> bool:
    return (reason is None or reason in letter.reason) and (tenant is None or tenant == letter.tenant)


async def _at(settings: Settings, place: str) -> DeadLetterRecord:
    from streams.upkeep import dead_letters

    try:
        partition, offset = read_place(place)
    except ValueError as error:
        raise UserError(str(error)) from error
    found = None
    if partition < settings.dlq_partitions:
        found = await dead_letters.letter_at(settings, partition, offset)
    if found is None:
        raise UserError(f"there is no dead letter at {place}: `stepwatch dlq list` shows those that are kept")
    return found


def _plain(letter: DeadLetterRecord) -> dict[str, Any]:
    named = ("reason", "topic", "partition", "offset", "tenant", "target", "whole", "signal")
    when = spell_time(letter.logged_ms)
    return {"place": letter.place, "logged_at": when, **{name: getattr(letter, name) for name in named}}


def _content(letter: DeadLetterRecord) -> str:
    """The OTLP in text form where it is that, the text where it is text; else the beginning in hex."""
    value = letter.value
    with suppress(DecodeError):
        message = (LogsData if letter.signal == LOGS else TracesData).FromString(value)
        return str(text_format.MessageToString(message, as_utf8=True))
    with suppress(UnicodeDecodeError):
        text = value.decode()
        if text.isprintable() or text.lstrip()[:1] in "{[":
            return text
    lines = [value[at : at + HEX_WIDTH] for at in range(0, min(len(value), HEX_BYTES), HEX_WIDTH)]
    shown = "\n".join(f"{at * HEX_WIDTH:06x}  {_hex(line)}" for at, line in enumerate(lines))
    return shown + (f"\n... {len(value)} bytes" if len(value) > HEX_BYTES else "")


def _hex(line: bytes) -> str:
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
    return f"{line.hex(' '):<{3 * HEX_WIDTH}} {text}"
