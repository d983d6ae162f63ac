"""`stepwatch score`: the evaluators over files, without Kafka or ClickHouse."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from schemas.config import ConfigError
from schemas.expectation import TaskTruth, parse_expectation
from schemas.registry import EMPTY, Registry, parse_registry
from schemas.rows import TrajectoryRow
from streams.console.errors import UserError
from streams.offline import Skipped, result_rows, score
from streams.otlp_files import exports_of

SKIPPED_SHOWN_MAX = 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score", rich_help_panel="Offline")(score_files)


def score_files(
    files: Annotated[list[Path], typer.Argument(help="OTLP/JSON lines (also .gz) or OTLP protobuf files.")],
    workflows: Annotated[Path | None, typer.Option(help="The registry, workflows.yaml.")] = None,
    expectations: Annotated[Path | None, typer.Option(help="Task truth, one JSON object a line.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the results go, one JSON object a line; default: standard output.")
    ] = None,
) -> None:
    """Judge recorded traces: the streaming engine over files; one JSON object a result.

    Exit code 1 when a part of the input could not be read as spans (the rest is scored).
    """
    registry = _registry(workflows)
    truths = _truths(expectations)
    skipped: list[Skipped] = []
    screen = Console(stderr=True)
    verdicts: Counter[tuple[str, str]] = Counter()
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        rows = score(_read(files, progress), registry, truths, int(time.time() * 1000), skipped)
        with out.open("wb") if out else _stdout() as sink:
            traces = _write(rows, sink, verdicts)
    _summary(screen, traces, verdicts, skipped)
    if skipped:
        raise typer.Exit(1)


def _registry(path: Path | None) -> Registry:
    try:
        return parse_registry(_text(path), str(path)) if path else EMPTY
    except ConfigError as error:
        raise UserError(str(error)) from error


def _truths(path: Path | None) -> dict[tuple[str, str], TaskTruth]:
    truths = {}
    try:
        for number, line in enumerate(_text(path).splitlines() if path else [], 1):
            if line.strip():
                truth = parse_expectation(line, str(path), number)
                truths[truth.workflow, truth.task_id] = truth
    except ConfigError as error:
        raise UserError(str(error)) from error
    return truths


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def _read(files: list[Path], progress: Progress) -> Iterator[tuple[str, int, bytes]]:
    for file in files:
        task = progress.add_task(str(file), total=file.stat().st_size if file.exists() else None)
        for line, record in exports_of(file):
            progress.advance(task, len(record))
            yield str(file), line, record


def _stdout() -> IO[bytes]:
    return open(1, "wb", closefd=False)


def _write(rows: Iterator[TrajectoryRow], sink: IO[bytes], verdicts: "Counter[tuple[str, str]]") -> int:
    traces = 0
    for row in rows:
        traces += 1
        for result in result_rows(row):
            verdicts[result["evaluator"], result["verdict"]] += 1
            sink.write(orjson.dumps(result, option=orjson.OPT_APPEND_NEWLINE))
    return traces


def _summary(screen: Console, traces: int, verdicts: "Counter[tuple[str, str]]", skipped: list[Skipped]) -> None:
    table = Table(title=f"{traces} trajectories")
    columns = ("pass", "fail", "unscored", "error")
    table.add_column("evaluator")
    for column in columns:
        table.add_column(column, justify="right")
    for evaluator in sorted({evaluator for evaluator, _ in verdicts}):
        table.add_row(evaluator, *(str(verdicts[evaluator, column]) for column in columns))
    screen.print(table)
    for skip in skipped[:SKIPPED_SHOWN_MAX]:
        screen.print(f"{skip.source}:{skip.line}: {skip.reason}", style="yellow", markup=False)
    if len(skipped) > SKIPPED_SHOWN_MAX:
        screen.print(f"... and {len(skipped) - SKIPPED_SHOWN_MAX} more", style="yellow")
