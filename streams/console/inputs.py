"""What the offline commands take: recorded traces, registry, task truth, names of evaluators."""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from evaluators.protocols import Evaluator
from schemas.config import ConfigError
from schemas.expectation import TaskTruth, parse_expectation
from schemas.item import Item
from schemas.redaction.redactor import redactor_of
from schemas.registry import EMPTY, Registry
from streams.console.errors import UserError
from streams.console.progress import Advance
from streams.console.tally import known_evaluator
from streams.offline import SkipList, read_items
from streams.otlp_files import exports_of
from streams.registry_file import read_registry
from streams.settings import Settings

SKIPPED_SHOWN_MAX = 5
TERMINATED_EXIT = 143

Files = Annotated[
    list[Path], typer.Argument(help="OTLP as JSON or protobuf, or an export of Jaeger or Tempo; also .gz.")
]
Workflows = Annotated[Path | None, typer.Option(help="The registry, workflows.yaml.")]
Expectations = Annotated[Path | None, typer.Option(help="Task truth, one JSON object a line.")]
Evaluators = Annotated[str | None, typer.Option(metavar="A,B", help="Only results of these; they stay what they are.")]


@contextmanager
def tidy() -> Iterator[None]:
    """Let SIGTERM end the command as an error does, so that what was put aside on the disk is taken away."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(TERMINATED_EXIT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def registry_of(path: Path | None) -> Registry:
    """The registry of a file, or the empty one. Raises UserError with every problem found."""
    return read_registry(path) if path else EMPTY


def truths_of(path: Path | None) -> dict[tuple[str, str], TaskTruth]:
    """Task truth by (workflow, task id). Raises UserError naming the line."""
    truths: dict[tuple[str, str], TaskTruth] = {}
    if path is None:
        return truths
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    truth = parse_expectation(line, str(path), number)
                    truths[truth.workflow, truth.task_id] = truth
    except ConfigError as error:
        raise UserError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    return truths


def chosen_evaluators(said: str | None, there: Iterable[Evaluator]) -> tuple[frozenset[str], frozenset[str]]:
    """All names there are, and those chosen of them: all when nothing is said. Raises UserError on a misspelt one."""
    names = frozenset(evaluator.name for evaluator in there)
    if said is None:
        return names, names
    asked = [name.strip() for name in said.split(",") if name.strip()]
    if not asked:
        raise UserError("--evaluators: name at least one, as --evaluators ToolCallSuccess,ParameterValidation")
    return names, frozenset(known_evaluator(name, names, "--evaluators") for name in asked)


def collect(
    files: list[Path],
    take: Callable[[Item], object],
    received_ms: int,
    skipped: SkipList,
    advance: Advance,
    registry: Registry = EMPTY,
) -> None:
    """Hand every span and log record of these files to `take`, fit to be judged under a registry. Raises UserError for a file
    that cannot be read."""
    redactor = redactor_of(registry, Settings().redaction_key)
    for file in files:
        try:
            advance.begin(f"reading {file.name}", file.stat().st_size, in_bytes=True)
        except OSError as error:
            raise UserError(f"{file}: cannot be read: {error}") from error
        records = ((str(file), line, record) for line, record in exports_of(file, advance.at))
        for item in read_items(records, received_ms, skipped, registry, redactor):
            take(item)


def tell_skipped(screen: Console, skipped: SkipList) -> None:
    """Say what was no span: the first in full, and how many; and how many log records told nothing of a span."""
    for skip in skipped.first[:SKIPPED_SHOWN_MAX]:
        screen.print(f"{skip.source}:{skip.line}: {skip.reason}", style="yellow", markup=False, soft_wrap=True)
    if skipped.count > SKIPPED_SHOWN_MAX:
        screen.print(f"... and {skipped.count - SKIPPED_SHOWN_MAX:,} more were skipped", style="yellow")
    if skipped.sampled_out:
        screen.print(f"{skipped.sampled_out:,} spans are dropped by a rule of the registry", style="dim")
    if skipped.ignored:
        screen.print(
            f"{skipped.ignored:,} log records hold no content of a span, or are dropped by a rule", style="dim"
        )
