"""`stepwatch ledger`: what was sent, what became of every span, and whether the sum closes."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.signal import LOGS, TRACES
from streams.console.errors import UserError
from streams.console.parts import Bootstrap, Store, effective
from streams.settings import Settings
from streams.store import gateway_ledger
from streams.store.gateway_ledger import SendersSide, Sent
from streams.store.ledger import Sum, gaps, sums, unaccounted

COLUMNS = ("spans", "stored", "duplicate", "sampled_out", "dead_lettered", "missing")
OF_LOGS = ("log_records", "logs_stored", "logs_duplicate", "logs_ignored", "logs_dead_lettered", "logs_missing")
OPEN_EXIT = 1
NOUN = {TRACES: "spans", LOGS: "log records"}
UNKNOWN = "what it refused after {} UTC is not known; what it wrote after it is in the log, and counted below"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Upkeep")(ledger)


def ledger(
    partitions: Annotated[bool, typer.Option(help="A row a partition, not a tenant.")] = False,
    bootstrap_servers: Bootstrap = None,
    clickhouse_url: Store = None,
) -> None:
    """What gateways were sent (in the log, or refused), and what became of every span of the log: stored, a duplicate,
    sampled out, or dead-lettered with a reason. Log records, where there are any, are a sum of their own: those that tell
    nothing of a span are ignored.

    Exit code 1 when the sum does not close: spans that are missing, records between accounted ones that are not, records
    that were committed and never accounted for, or spans that a gateway saw acknowledged and nobody counted. Goes back
    30 days.
    """
    from streams.store.client import connect
    from streams.store.errors import StoreError

    settings = effective(bootstrap_servers=bootstrap_servers, clickhouse_url=clickhouse_url)
    committed = asyncio.run(_committed(settings))  # first: what is committed later is accounted for before
    client = connect(settings)
    try:
        told = gateway_ledger.read(client, settings.spans_topic)
        found, holes = sums(client, settings.spans_topic), gaps(client, settings.spans_topic)
    except StoreError as error:
        raise UserError(str(error)) from error
    finally:
        client.close()
    console = Console(highlight=False, soft_wrap=True)
    _show_sent(console, told)
    console.print(_table(found, COLUMNS, by_partition=partitions))
    if any(each.log_records for each in found):
        console.print(_table(found, OF_LOGS, by_partition=partitions))
    faults = [*_faults(found, holes, unaccounted(found, committed)), *_lost(told, found)]
    for fault in faults:
        console.print(f"[bold red]open[/] {escape(fault)}")
    if faults:
        raise typer.Exit(OPEN_EXIT)
    console.print("the sum closes" if found else "nothing was accounted for yet")


def _faults(found: Sequence[Sum], holes: Mapping[int, int], beyond: Mapping[int, int]) -> Iterator[str]:
    for each in found:
        for what, missing in (("spans", each.missing), ("log records", each.logs_missing)):
            if missing:
                yield f"partition {each.partition}, tenant {each.tenant}: {missing} {what} are missing"
    for partition, n in holes.items():
        yield f"partition {partition}: {n} records between accounted ones are not accounted for"
    for partition, n in beyond.items():
        yield f"partition {partition}: {n} committed records were never accounted for"


def _lost(told: SendersSide, found: Sequence[Sum]) -> Iterator[str]:
    for (partition, tenant, signal), n in gateway_ledger.lost(told.words, found).items():
        what = f"{n} {NOUN[signal]} that a gateway saw acknowledged"
        yield f"partition {partition}, tenant {tenant}: {what} are not accounted for"


def _show_sent(console: Console, told: SendersSide) -> None:
    for signal, of_tenants in told.sent.items():
        if of_tenants:
            console.print(_sent_table(of_tenants, NOUN[signal]))
    if told.refused:
        console.print("refused: " + ", ".join(f"{escape(reason)} {n:,}" for reason, n in told.refused.items()))
    for each in told.silent:
        console.print(f"[yellow]gateway {each.gateway} ended without a last word[/]: {UNKNOWN.format(each.last_word)}")
    if any(told.sent.values()) or told.silent:
        console.print()


def _sent_table(of_tenants: Sequence[Sent], noun: str) -> Table:
    shown = Table(box=None, pad_edge=False)
    shown.add_column("tenant")
    for name in (f"{noun} sent", "in the log", "refused", "ignored"):
        shown.add_column(name, justify="right")
    for each in of_tenants:
        shown.add_row(escape(each.tenant), *(f"{n:,}" for n in (each.sent, each.in_log, each.refused, each.ignored)))
    return shown


def _table(found: Sequence[Sum], columns: tuple[str, ...], *, by_partition: bool) -> Table:
    rows: dict[str, list[int]] = {}
    for each in found:
        row = rows.setdefault(str(each.partition) if by_partition else each.tenant, [0] * len(columns))
        for at, name in enumerate(columns):
            row[at] += getattr(each, name)
    shown = Table(box=None, pad_edge=False)
    shown.add_column("partition" if by_partition else "tenant")
    for name in columns:
        shown.add_column(name.removeprefix("logs_").replace("_", " "), justify="right")
    for name, row in rows.items():
        shown.add_row(escape(name), *(f"{n:,}" for n in row))
    return shown


async def _committed(settings: Settings) -> dict[int, int]:
    """Committed offsets of the scorers' group, by partition of the spans topic."""
    from aiokafka import TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    from streams.gateway.log import partition_count
    from streams.topics import kafka_options, start_client

    places = [TopicPartition(settings.spans_topic, p) for p in range(await partition_count(settings))]
    admin = AIOKafkaAdminClient(**kafka_options(settings))
    try:
        await start_client(admin, settings)
        found = await admin.list_consumer_group_offsets(settings.scorer_group, partitions=places)
    except (KafkaError, OSError) as error:
        raise UserError(f"the committed offsets cannot be read: {error or type(error).__name__}") from error
    finally:
        await admin.close()
    return {tp.partition: offset.offset for tp, offset in found.items() if offset.offset > 0}
