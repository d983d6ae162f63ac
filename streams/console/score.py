"""`stepwatch score`: the evaluators over files, without Kafka or ClickHouse, and gates for a build."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.console import Console

from schemas.rows import TrajectoryRow
from streams.console.errors import UserError
from streams.console.inputs import (
    Evaluators,
    Expectations,
    Files,
    Workflows,
    chosen_evaluators,
    collect,
    registry_of,
    tell_skipped,
    tidy,
    truths_of,
)
from streams.console.progress import Advance
from streams.console.results import Format, ResultWriter, writer_of
from streams.console.summary import ROWS_SHOWN, summary
from streams.console.tally import Tally, read_gate
from streams.custom_evaluators import all_evaluators
from streams.garbage import collect_rarely
from streams.offline import SkipList, result_rows, score
from streams.spool import TraceSpool

SKIPPED_EXIT = 1
GATE_EXIT = 4

FailUnder = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=SHARE", help="Exit code 4 when less than this share passes; may be repeated."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score", rich_help_panel="Offline")(score_files)


def score_files(
    files: Files,
    workflows: Workflows = None,
    expectations: Expectations = None,
    out: Annotated[Path | None, typer.Option(help="Where the results go; default: standard output.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="One JSON object a line, CSV, or a table.")] = "jsonl",
    evaluators: Evaluators = None,
    fail_under: FailUnder = None,
    all_rows: Annotated[bool, typer.Option("--all", help="Show every row of the summary.")] = False,
) -> None:
    """Judge recorded traces: the streaming engine over files, in bounded memory.

    Results go to standard output or a file, a summary to standard error. Exit code 4 when a gate (--fail-under) is shut;
    1 when a part of the input could not be read as spans (the rest is scored).
    """
    there = all_evaluators()
    names, chosen = chosen_evaluators(evaluators, there)
    gates = [read_gate(text, names) for text in fail_under or ()]
    if unseen := [gate.evaluator for gate in gates if gate.evaluator not in chosen]:
        raise UserError(f"--fail-under {unseen[0]}: it is not among --evaluators, so it would judge nothing")
    registry, truths = registry_of(workflows), truths_of(expectations)
    screen, skipped, tally = Console(stderr=True, highlight=False), SkipList(), Tally()
    collect_rarely()
    received_ms = int(time.time() * 1000)
    with tidy(), Advance(screen) as advance, TraceSpool() as spool:
        collect(files, spool.add, received_ms, skipped, advance, registry)
        terminal = out is None and sys.stdout.isatty()
        if terminal:
            advance.hide()
        advance.begin("judging spans", spool.items)
        rows = score(spool, registry, truths, received_ms, advance.add, there)
        with _sink(out) as sink:
            _write(rows, writer_of(format_, sink, terminal=terminal), chosen, tally)
    screen.print(summary(tally, None if all_rows else ROWS_SHOWN), soft_wrap=True)
    tell_skipped(screen, skipped)
    shut = [failure for gate in gates if (failure := gate.failure(tally)) is not None]
    if shut:
        raise UserError("\n".join(f"gate shut: {failure}" for failure in shut), GATE_EXIT)
    if skipped.count:
        raise typer.Exit(SKIPPED_EXIT)


def _sink(out: Path | None) -> IO[bytes]:
    return out.open("wb") if out else open(1, "wb", closefd=False)


def _write(rows: Iterable[TrajectoryRow], writer: ResultWriter, chosen: frozenset[str], tally: Tally) -> None:
    for row in rows:
        tally.traces += 1
        for result in result_rows(row):
            if result["evaluator"] in chosen:
                tally.add(result)
                writer.write(result)
