"""`stepwatch explain`: one recorded trajectory as a readable tree, with what the evaluators said of every step."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from evaluators.protocols import Evaluator
from schemas.item import Item
from schemas.registry import Registry
from schemas.rows import TrajectoryRow
from schemas.span import Span
from schemas.trajectory import CONFLICT, OVER_CAP, TraceKey
from streams.console.errors import UserError
from streams.console.inputs import Expectations, Files, Workflows, collect, registry_of, tell_skipped, tidy, truths_of
from streams.console.progress import Advance
from streams.console.results import VERDICT_STYLES, fitted
from streams.console.tree import Look, tree
from streams.core.assemble import assemble, winners
from streams.custom_evaluators import all_evaluators
from streams.offline import TENANT, SkipList, Truths, score
from streams.spool import CAP, TraceSpool

PIPE_WIDTH = 140
NAMED_MAX = 10  # traces that a message names


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", rich_help_panel="Offline")(explain)


def explain(
    files: Files,
    trace: Annotated[str | None, typer.Option(help="Its id, or how it begins. Default: the first that fails.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the traces instead, and where each first fails.")] = False,
    workflows: Workflows = None,
    expectations: Expectations = None,
    content: Annotated[int, typer.Option(min=0, help="Characters shown of each argument, result and text.")] = 160,
    fails_only: Annotated[bool, typer.Option("--fails-only", help="Leave out steps without a failure.")] = False,
) -> None:
    """Show one trajectory: its steps as a tree, what went in and came out, verdicts with their reasons.

    Exit code 1 when a part of the input could not be read as spans, as with `score`.
    """
    source = Source(
        files, registry_of(workflows), truths_of(expectations), int(time.time() * 1000), SkipList(), all_evaluators()
    )
    console = Console()
    console = console if console.is_terminal else Console(width=PIPE_WIDTH, highlight=False)
    with tidy(), Advance(Console(stderr=True, highlight=False)) as advance:
        if list_:
            shown: list[RenderableType] = list(_listed(_outlines(source, advance)))
        else:
            chosen, note = (trace, Text()) if trace is not None else _first_failing(source, advance)
            look = Look(content, fails_only, ascii_only=console.options.ascii_only)
            shown = [_page(source, chosen, look, advance)] if chosen is not None else []
            shown += [note] if note.plain else []
    _show(console, shown)
    tell_skipped(Console(stderr=True, highlight=False), source.skipped)
    if source.skipped.count:
        raise typer.Exit(1)


def _show(console: Console, shown: list[RenderableType]) -> None:
    """Print; in a pipe without the blanks that fill a line up."""
    with nullcontext() if console.is_terminal else console.capture() as captured:
        for part in shown:
            console.print(part, soft_wrap=isinstance(part, Text))
    if captured is not None:
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


class Source(NamedTuple):
    """What is read and judged by; walked as often as it takes, each time in bounded memory."""

    files: list[Path]
    registry: Registry
    truths: Truths
    received_ms: int
    skipped: SkipList
    evaluators: tuple[Evaluator, ...]


class Outline(NamedTuple):
    """A trajectory in a line."""

    trace_id: str
    workflow: str
    steps: int
    fails: int
    step: str  # where it first fails
    evaluator: str
    code: str


def _outlines(source: Source, advance: Advance) -> Iterator[Outline]:
    """An outline of every trace."""
    with TraceSpool() as spool:
        _walk(source, spool.add, advance)
        advance.begin("judging spans", spool.items)
        for row in score(spool, source.registry, source.truths, source.received_ms, advance.add, source.evaluators):
            fails = [result for result in row.results if result.verdict == "fail"]
            first = (fails[0].step, fails[0].evaluator, fails[0].reason_code) if fails else ("", "", "")
            yield Outline(row.trace_id.hex(), row.workflow, row.n_steps, len(fails), *first)


def _walk(source: Source, take: Callable[[Item], object], advance: Advance) -> None:
    source.skipped.clear()
    collect(source.files, take, source.received_ms, source.skipped, advance, source.registry)


def _listed(outlines: Iterator[Outline]) -> Iterator[Text]:
    yield Text(f"{'trace':<33}{'workflow':<21}{'steps':>6}{'fails':>6}  first failure", style="bold")
    for line in outlines:
        text = Text(f"{line.trace_id} {fitted(line.workflow, 20)} {line.steps:>6}")
        text.append(f"{line.fails:>6}", style=VERDICT_STYLES["fail"] if line.fails else "dim")
        if line.fails:
            text.append(f"  {fitted(line.step, 30).rstrip()}, {line.evaluator}, {line.code}")
        yield text


def _first_failing(source: Source, advance: Advance) -> tuple[str | None, Text]:
    """The id of the first trace that fails (None: none does), and a note on the others."""
    failing: list[str] = []
    traces = fails = 0
    for outline in _outlines(source, advance):
        traces += 1
        if outline.fails:
            fails += 1
            failing += [outline.trace_id] if len(failing) <= NAMED_MAX else []
    if not failing:
        return None, Text(f"none of {traces:,} trajectories has a failure; --trace shows one, --list names all")
    note = f"\n{fails:,} of {traces:,} trajectories have a failure"
    if failing[1:]:
        note += "; the next: " + " ".join(trace_id[:12] for trace_id in failing[1 : NAMED_MAX + 1])
    return failing[0], Text(note, style="dim")


def _page(source: Source, prefix: str, look: Look, advance: Advance) -> RenderableType:
    """The tree of the one trace whose id begins so. Raises UserError where there is none, or more than one."""
    prefix = prefix.lower().replace("-", "").strip()
    if not prefix:
        raise UserError("--trace: an id is needed, or how it begins; --list names all")
    seen: dict[bytes, None] = {}
    with TraceSpool() as spool:

        def take(item: Item) -> None:
            if item.trace_id.hex().startswith(prefix) and len(seen) <= NAMED_MAX:
                seen[item.trace_id] = None
                if len(seen) == 1:
                    spool.add(item)

        _walk(source, take, advance)
        if len(seen) != 1:
            raise _not_one(prefix, [trace_id.hex() for trace_id in seen])
        items = [item for traces in spool.batches() for held in traces.values() for item in held]
    with TraceSpool() as spool:
        for item in items:
            spool.add(item)
        rows = list(score(spool, source.registry, source.truths, source.received_ms, evaluators=source.evaluators))
    if not rows:
        raise UserError(f"--trace {prefix}: these files hold log records of that trace, and none of its spans")
    return _tree_of(source, items, rows[0], look)


def _not_one(prefix: str, found: list[str]) -> UserError:
    if not found:
        return UserError(f"--trace {prefix}: no trace of these files begins so; --list names all")
    more = " and more" if len(found) > NAMED_MAX else ""
    return UserError(f"--trace {prefix}: which one? {', '.join(found[:NAMED_MAX])}{more}")


def _tree_of(source: Source, held: list[Item], row: TrajectoryRow, look: Look) -> RenderableType:
    items = list({(item.span_id, item.content_hash): item for item in held}.values())
    spans = [item for item in items if isinstance(item, Span)]
    flags = CONFLICT if len(spans) > len(winners(spans)) else 0
    flags |= OVER_CAP if len(items) > CAP else 0
    key = TraceKey(TENANT, row.trace_id)
    trajectory = assemble(key, items[:CAP], source.registry, source.truths, "marker", flags)
    return tree(trajectory, row, look)
