"""`stepwatch sweep` and `stepwatch backfill`: judge what is stored once more."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.moment import read_moment
from streams.console.errors import UserError
from streams.console.parts import Bootstrap, Store, effective
from streams.console.progress import Advance
from streams.settings import Settings

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from schemas.trajectory import TraceKey
    from streams.upkeep.rejudge import Rejudge, Sums

DAY_MS = 86_400_000
SPANS_KEPT_MS = 29 * DAY_MS  # a day less than the TTL of spans: what goes meanwhile would be missed
CHANGES_SHOWN = 30
WORK_PANEL = "Upkeep"
DryRun = Annotated[bool, typer.Option(help="Judge and tell what would change; write nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=WORK_PANEL)(sweep)
    app.command(rich_help_panel=WORK_PANEL)(backfill)


def sweep(
    since: Annotated[str, typer.Option(help="Look at what was received since: 7d, or a time.")] = "29d",
    dry_run: DryRun = False,
    bootstrap_servers: Bootstrap = None,
    clickhouse_url: Store = None,
) -> None:
    """Judge decided runs again of which more is stored than was judged.

    Scorers do this by themselves, at once for late spans and every hour for what they cannot notice (a span that comes more
    than a day later). Safe at any time, beside running scorers. Exit code 1 when open runs are long past their deadline:
    then no scorer works on their partitions.
    """
    from streams.store.unjudged import overdue, unjudged

    settings = effective(bootstrap_servers=bootstrap_servers, clickhouse_url=clickhouse_url)
    now_ms = int(time.time() * 1000)
    since_ms = max(_moment("--since", since, now_ms), now_ms - SPANS_KEPT_MS)
    client, rejudge = _rejudge(settings, dry_run)
    found = unjudged(client, now_ms - SPANS_KEPT_MS, now_ms + DAY_MS, since_ms)
    sums = _run("judging", rejudge, chain.from_iterable(found.values()), always=False)
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{sums.seen} decided runs received something after they were judged; {sums.judged} {_judged(dry_run)}"
    )
    _tell(console, sums)
    if waiting := overdue(client, now_ms - SPANS_KEPT_MS):
        console.print(
            f"[bold red]{sum(waiting.values())} open runs are long past their deadline[/], in partitions "
            f"{', '.join(map(str, waiting))}: is a scorer running?"
        )
        raise typer.Exit(1)


def backfill(
    from_: Annotated[str, typer.Option("--from", help="Runs that began at or after: a time, or how long ago: 7d.")],
    to: Annotated[str | None, typer.Option(help="And before: a time, or how long ago. Default: now.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only runs of this workflow, as they were judged.")] = None,
    again: Annotated[
        bool, typer.Option(help="Also runs judged under the config in force: after a change of evaluators.")
    ] = False,
    dry_run: DryRun = False,
    bootstrap_servers: Bootstrap = None,
    clickhouse_url: Store = None,
) -> None:
    """Judge decided runs again, from their stored spans, under the config in force. No outcomes, no alerts.

    Rows and rates in ClickHouse change; what verdicts changed is in v1_verdict_changes. May be interrupted: run it again,
    and it goes on with what is left (with --again it begins anew). Spans are kept for 30 days: older runs stay as they are.
    """
    from streams.store.unjudged import decided

    settings = effective(bootstrap_servers=bootstrap_servers, clickhouse_url=clickhouse_url)
    now_ms = int(time.time() * 1000)
    first_ms, end_ms = _moment("--from", from_, now_ms), _moment("--to", to, now_ms) if to else now_ms
    if first_ms >= end_ms:
        raise UserError("--from must be before --to")
    client, rejudge = _rejudge(settings, dry_run)
    console = Console(highlight=False, soft_wrap=True)
    for keys in decided(client, first_ms, end_ms, workflow, None if again else rejudge.seq):
        _run("judging", rejudge, keys, always=True)
    sums = rejudge.sums
    console.print(f"{sums.judged} runs {_judged(dry_run)} under config {rejudge.seq}")
    _tell(console, sums)


def _rejudge(settings: Settings, dry_run: bool) -> "tuple[Client, Rejudge]":
    from schemas.registry import EMPTY, parse_registry
    from streams.config_log import read_config
    from streams.custom_evaluators import all_evaluators
    from streams.store.client import connect
    from streams.store.reader import Reader
    from streams.store.writer import Writer
    from streams.upkeep.rejudge import Rejudge
    from streams.worker.scorer import policy_of

    config = asyncio.run(read_config(settings))
    registry = parse_registry(config.registry_text, "eval.config") if config.registry_text else EMPTY
    client = connect(settings)
    writer = None if dry_run else Writer(client)
    judging = policy_of(settings), config.seq, registry, all_evaluators()
    return client, Rejudge(Reader(client), writer, *judging)


def _run(what: str, rejudge: "Rejudge", keys: "Iterable[TraceKey]", *, always: bool) -> "Sums":
    from streams.store.errors import StoreError
    from streams.upkeep.rejudge import BATCH_TRACES

    wanted = list(keys)
    with Advance(Console(stderr=True)) as advance:
        advance.begin(what, len(wanted))
        try:
            for at in range(0, len(wanted), BATCH_TRACES):
                rejudge.judge(wanted[at : at + BATCH_TRACES], always=always)
                advance.add(len(wanted[at : at + BATCH_TRACES]))
        except StoreError as error:
            raise UserError(f"{error}; {rejudge.sums.judged} runs were judged: run it again for the others") from error
    return rejudge.sums


def _judged(dry_run: bool) -> str:
    return "would be judged again" if dry_run else "were judged again"


def _tell(console: Console, sums: "Sums") -> None:
    if sums.without_spans:
        console.print(f"{sums.without_spans} stay as they are: spans of theirs are no longer kept")
    if not sums.changes:
        console.print("no verdict changed")
        return
    console.print(changes_table(sums.changes))
    if (more := len(sums.changes) - CHANGES_SHOWN) > 0:
        console.print(f"and {more} more kinds: see v1_verdict_changes")


def changes_table(changes: Counter[tuple[str, str, str, str]]) -> Table:
    """How many verdicts of which workflow and evaluator became what; the most frequent changes."""
    table = Table(box=None, pad_edge=False)
    for name in ("changed", "workflow", "evaluator", "from", "to"):
        table.add_column(name, justify="right" if name == "changed" else "left")
    for (workflow, evaluator, before, after), n in changes.most_common(CHANGES_SHOWN):
        table.add_row(str(n), escape(workflow), escape(evaluator), before or "(none)", after or "(none)")
    return table


def _moment(option: str, text: str, now_ms: int) -> int:
    try:
        return read_moment(text, now_ms)
    except ValueError as error:
        raise UserError(f"{option} {error}") from error
