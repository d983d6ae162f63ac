"""`stepwatch dialects`: how each span of a file is read, and what was not understood."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.text import Text

from schemas.dialects.explained import Explained, explain
from schemas.item import Item, items_of
from schemas.log_record import LogRecord
from schemas.registry import Registry
from schemas.span import Span, is_step
from schemas.toolcall import read_call
from schemas.trajectory import TraceKey, Trajectory
from streams.console.inputs import Workflows, registry_of
from streams.core.assemble import assemble, order, winners
from streams.core.workflow_name import workflow_name
from streams.otlp_files import exports_of

TENANT = "default"
FAILURE_CHARS_MAX = 60
NAME_CHARS_MAX = 60
REFUSED_SHOWN_MAX = 5

Read = tuple[Span, Explained]


class Trace(NamedTuple):
    """What the files hold of one trace."""

    spans: dict[bytes, Read]
    logs: list[LogRecord]


class Line(NamedTuple):
    """One span as it is printed."""

    depth: int
    span: Span
    said: Explained
    role: str  # "step", "twin" (another step tells it already) or "structure"
    known: Span  # as the step holds it, with what other spans told; the span itself where it is none
    agent: str  # whose step it is


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dialects", rich_help_panel="Offline")(explain_files)


def explain_files(
    files: Annotated[
        list[Path], typer.Argument(help="OTLP as JSON or protobuf, or an export of Jaeger or Tempo; also .gz.")
    ],
    workflows: Workflows = None,
    structure: Annotated[
        bool, typer.Option("--structure", help="Also the spans that are no steps: frames, HTTP calls, loops.")
    ] = False,
) -> None:
    """Explain how spans are read: span by span which dialect and which rule decided its kind, agent, tool and failure.

    Use it when a step, a tool or an agent is missing or has the wrong name. In brackets stands what decided: the rule of the
    kind, the attribute that gave the agent or tool. `=` marks a span that tells what the step above it tells already; it is
    not counted again. At the end: how many spans each dialect read, and the scopes of spans that no dialect knows.

    The title says what named the workflow; with --workflows the rules of its `workflow_names` have the first word.

    Exit code 1 when a part of the input could not be read as spans.
    """
    screen = Console(highlight=False, soft_wrap=True)
    registry = registry_of(workflows)
    traces: dict[bytes, Trace] = {}
    refused: list[str] = []
    for path in files:
        for number, record in exports_of(path):
            for item, said in _read(record, f"{path}:{number}", refused, registry):
                trace = traces.setdefault(item.trace_id, Trace({}, []))
                if isinstance(item, LogRecord):
                    trace.logs.append(item)
                elif said is not None:
                    trace.spans[item.span_id] = (item, said)
    for trace_id, trace in traces.items():
        if trace.spans:
            _print_trace(screen, trace_id, trace, registry, structure)
    _print_summary(screen, [said for trace in traces.values() for _, said in trace.spans.values()])
    _print_logs(screen, list(traces.values()))
    for sentence in refused[:REFUSED_SHOWN_MAX]:
        screen.print(Text(sentence, style="yellow"))
    if refused:
        screen.print(Text(f"{len(refused)} parts of the input are no spans", style="yellow"))
        raise typer.Exit(1)


def _read(record: bytes, place: str, refused: list[str], registry: Registry) -> Iterator[tuple[Item, Explained | None]]:
    """The spans of a record, explained, and its log records; a sentence for each part of it that is neither."""
    taken = items_of(record, TENANT, 0, watched=registry.watched)
    refused += [f"{place}: {other.reason}" for other in taken.refused]
    for item, raw in taken.items:
        yield item, None if isinstance(item, LogRecord) else explain(raw)


def _print_trace(screen: Console, trace_id: bytes, trace: Trace, registry: Registry, structure: bool) -> None:
    read = trace.spans
    spans = [span for span, _ in read.values()]
    trajectory = assemble(TraceKey(TENANT, trace_id), [*spans, *trace.logs], registry, {}, "marker")
    ordered = order(winners(spans))
    named = workflow_name(ordered.spans, ordered.roots, registry.names)
    title = f"trace {trace_id.hex()}: workflow {named.name} [{named.source}], {len(trajectory.steps)} steps of {len(spans)} spans"
    screen.print(Text(title, style="bold"))
    told = Counter(log.span_id for log in trace.logs)
    for line in _lines(trajectory, read, structure):
        screen.print(_shown(line, told[line.span.span_id]))
    screen.print()


def _lines(trajectory: Trajectory, read: dict[bytes, Read], structure: bool) -> Iterator[Line]:
    """Steps and their twins in the order of the trajectory, indented below the nearest line that is printed."""
    steps = {step.span.span_id: step for step in trajectory.steps}
    depths: dict[bytes, int] = {}
    for span in order(winners([span for span, _ in read.values()])).spans:
        depth = depths.get(span.parent_id, 0)
        step = steps.get(span.span_id)
        role = "step" if step is not None else "twin" if is_step(span.kind) else "structure"
        shown = role != "structure" or structure
        depths[span.span_id] = depth + 1 if shown else depth
        if shown:
            said = read[span.span_id][1]
            known, agent = (step.span, step.agent) if step is not None else (span, said.reading.agent)
            yield Line(depth, span, said, role, known, agent)


def _shown(line: Line, n_logs: int) -> Text:
    mark = {"step": "-", "twin": "=", "structure": "."}[line.role]
    text = Text("  " * (line.depth + 1) + f"{mark} {line.span.name[:NAME_CHARS_MAX]}")
    text.append(
        f"  {line.known.kind} [{line.said.dialect} {line.said.rule}]", style="dim" if line.role != "step" else "cyan"
    )
    if line.role == "step":
        _append_failure(text, line.known)
    if line.agent:
        own = line.agent == line.said.reading.agent
        text.append(f"  agent {line.agent} [{line.said.agent_from if own else 'from above'}]")
    if line.said.reading.tool:
        text.append(f"  tool {line.said.reading.tool} [{line.said.tool_from}]")
    if n_logs:
        text.append(f"  log records: {n_logs}")
    return text


def _append_failure(text: Text, span: Span) -> None:
    failure = read_call(span).failure
    if failure is not None:
        swallowed = ", swallowed" if failure.swallowed else ""
        message = " ".join(failure.message.split())[:FAILURE_CHARS_MAX]
        text.append(f"  {failure.severity}{swallowed} [{failure.rule}] {message}", style="red")


def _print_summary(screen: Console, said: list[Explained]) -> None:
    screen.print(Text("spans by dialect", style="bold"))
    for dialect, count in _counted(one.dialect for one in said):
        screen.print(Text(f"  {count:6} {dialect}"))
    unknown = _counted(one.scope or "(no scope)" for one in said if one.unknown)
    if unknown:
        screen.print(Text("spans that no dialect knows, by scope (kept as structure, never a step)", style="bold"))
        for scope, count in unknown:
            screen.print(Text(f"  {count:6} {scope}"))


def _print_logs(screen: Console, traces: list[Trace]) -> None:
    """Which events told of spans, and how many of them found none."""
    logs = [(log, log.span_id in trace.spans) for trace in traces for log in trace.logs]
    if logs:
        screen.print(Text("log records with content, by event", style="bold"))
        for name, count in _counted(log.name for log, _ in logs):
            screen.print(Text(f"  {count:6} {name}"))
    if lost := sum(not found for _, found in logs):
        screen.print(Text(f"{lost} of them name a span that is not in these files", style="yellow"))


def _counted(words: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0]))
