"""`stepwatch ledger`: what became of every span, and whether the sum closes."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.signal import LOGS, TRACES
from streams.console.errors import UserError
from streams.console.parts import Bootstrap, Store, effective
from streams.settings import Settings
from streams.store.gateway_ledger import Sent
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
    from streams.store import gateway_ledger as gateways
    from streams.store.client import connect
    from streams.store.errors import StoreError

    settings = effective(bootstrap_servers=bootstrap_servers, clickhouse_url=clickhouse_url)
    committed = asyncio.run(_committed(settings))  # first: what is committed later is accounted for before
    client = connect(settings)
    try:
        topic = settings.spans_topic
        words = gateways.told(client, topic)  # before the sums: what is counted after it was told can only be more
        found, holes = sums(client, topic), gaps(client, topic)
        came = {signal: gateways.sent(client, topic, signal) for signal in (TRACES, LOGS)}
        reasons, silent = gateways.refused(client, topic), gateways.silent(client, topic)
    except StoreError as error:
        raise UserError(str(error)) from error
    finally:
        client.close()
    console = Console(highlight=False, soft_wrap=True)
    for signal, of_tenants in came.items():
        if of_tenants:
            console.print(_sent_table(of_tenants, NOUN[signal]), "")
    if reasons:
        console.print("refused: " + ", ".join(f"{escape(reason)} {n:,}" for reason, n in reasons.items()), "")
    for each in silent:
        console.print(
            f"[yellow]gateway {each.gateway} ended without a last word[/]: {UNKNOWN.format(each.last_word)}", ""
        )
    console.print(_table(found, COLUMNS, by_partition=partitions))
    if any(each.log_records for each in found):
        console.print(_table(found, OF_LOGS, by_partition=partitions))
    beyond = unaccounted(found, committed)
    faults = [
        f"partition {each.partition}, tenant {each.tenant}: {missing} {what} are missing"
        for each in found
        for what, missing in (("spans", each.missing), ("log records", each.logs_missing))
        if missing
    ]
    faults += [f"partition {p}: {n} records between accounted ones are not accounted for" for p, n in holes.items()]
    faults += [f"partition {p}: {n} committed records were never accounted for" for p, n in beyond.items()]
    faults += [
        f"partition {p}, tenant {tenant}: {n} {NOUN[signal]} that a gateway saw acknowledged are not accounted for"
        for (p, tenant, signal), n in gateways.lost(words, found).items()
    ]
    for fault in faults:
        console.print(f"[bold red]open[/] {escape(fault)}")
    if faults:
        raise typer.Exit(OPEN_EXIT)
    console.print("the sum closes" if found else "nothing was accounted for yet")


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
