"""Spans of one trace, and the log records that tell of them -> its ordered steps.

The order is total and never that of arrival: key (max(own start, parent's key), depth, span id). Parents sort before their
children even when clocks disagree; cycles are cut at the smallest (start, span id); a missing parent makes a top of its own.
Linear but for one sort.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from evaluators.views.routes import route_of
from schemas.dialects.kinds import refine
from schemas.expectation import TaskTruth, truth_from_span
from schemas.item import Item
from schemas.log_record import LogRecord
from schemas.registry import Registry
from schemas.result import OTHER_STEP
from schemas.span import Span, is_step, step_label
from schemas.trajectory import (
    CYCLE,
    LABELS_CAPPED,
    MANY_ROOTS,
    MISSING_PARENT,
    NO_ROOT,
    CloseReason,
    Step,
    TraceKey,
    Trajectory,
)
from streams.core.dedup import once
from streams.core.exchange import fill
from streams.core.told_by_logs import joined
from streams.core.workflow_name import workflow_name

LABELS_MAX: Final = 200  # distinct step labels of one trajectory; the rest become __other__

Place = tuple[int, int]  # (start key in ns, depth)


class Order(NamedTuple):
    """Spans in their total order, and what was odd about their structure."""

    spans: list[Span]
    roots: list[Span]
    flags: int


def winners(items: Collection[Span]) -> dict[bytes, Span]:
    """One span per span id: of different contents the greater (end, content hash), never the later arrival."""
    best: dict[bytes, Span] = {}
    for span in items:
        other = best.get(span.span_id)
        if other is None or (other.end_ns, other.content_hash) < (span.end_ns, span.content_hash):
            best[span.span_id] = span
    return best


def order(spans: Mapping[bytes, Span]) -> Order:
    """The total order of these spans, keyed by span id."""
    roots = [span for span in spans.values() if not span.parent_id]
    roots.sort(key=lambda span: (span.start_ns, span.span_id))
    flags = 0 if roots else NO_ROOT
    if len(roots) > 1:
        flags |= MANY_ROOTS
    places: dict[bytes, Place] = {}
    for span in spans.values():
        if span.span_id not in places:
            flags |= _place(span, spans, places)
    ordered = sorted(spans.values(), key=lambda span: (places[span.span_id], span.span_id))
    return Order(ordered, roots, flags)


def _place(span: Span, spans: Mapping[bytes, Span], places: dict[bytes, Place]) -> int:
    """Place this span and its unplaced ancestors; return structure flags."""
    path: list[Span] = []
    on_path: set[bytes] = set()
    flags = 0
    at: Span | None = span
    while at is not None and at.span_id not in places and at.span_id not in on_path:
        path.append(at)
        on_path.add(at.span_id)
        parent = spans.get(at.parent_id)
        if parent is None and at.parent_id:
            flags |= MISSING_PARENT
        at = parent
    if at is not None and at.span_id in on_path:
        cycle = path[path.index(at) :]
        del path[-len(cycle) :]
        top = min(cycle, key=lambda node: (node.start_ns, node.span_id))
        turn = cycle.index(top) + 1
        _lay(cycle[turn:] + cycle[:turn], (0, -1), places)  # each one's parent is the next; the top's link is cut
        flags |= CYCLE
    _lay(path, places[at.span_id] if at is not None else (0, -1), places)
    return flags


def _lay(path: list[Span], above: Place, places: dict[bytes, Place]) -> None:
    """Place a path whose last span hangs below `above`, each other one below its successor."""
    key, depth = above
    for node in reversed(path):
        key, depth = max(key, node.start_ns), depth + 1
        places[node.span_id] = (key, depth)


def assemble(
    key: TraceKey,
    items: Collection[Item],
    registry: Registry,
    truths: Mapping[tuple[str, str], TaskTruth],
    closed: CloseReason,
    flags: int = 0,
) -> Trajectory:
    """The trajectory of these items (at least one). `truths` by (workflow name, task id)."""
    spans = winners([item for item in items if isinstance(item, Span)])
    ordered = order(joined(spans, [item for item in items if isinstance(item, LogRecord)]))
    name = workflow_name(ordered.spans, ordered.roots, registry.names).name
    steps, capped = _steps(ordered.spans)
    root = ordered.roots[0] if ordered.roots else None
    for span in ordered.spans:
        flags |= span.flags
    return Trajectory(
        key=key,
        workflow_name=name,
        workflow=registry.workflow(name),
        steps=tuple(steps),
        root=root,
        n_items=len(items),
        flags=flags | ordered.flags | capped,
        closed=closed,
        truth=_truth(root, name, truths),
        roots=tuple(ordered.roots),
    )


def _steps(spans: list[Span]) -> tuple[list[Step], int]:
    dropped, merged = once(spans)
    merged = {**merged, **fill(spans, merged)}
    agents: dict[bytes, str] = {}  # the nearest agent at or above each span
    nearest: dict[bytes, int | None] = {}  # the nearest step at or above each span
    labels: set[str] = set()
    steps: list[Step] = []
    flags = 0
    for span in spans:  # parents come before their children
        agent = agents[span.span_id] = span.agent or agents.get(span.parent_id, "")
        parent = nearest.get(span.parent_id)
        if not is_step(span.kind) or span.span_id in dropped:
            nearest[span.span_id] = parent
            continue
        known = _refined(merged.get(span.span_id, span), agent)
        label = step_label(known.kind, agent, known.tool, known.name)
        if label not in labels:
            if len(labels) >= LABELS_MAX:
                label, flags = OTHER_STEP, LABELS_CAPPED
            labels.add(label)
        nearest[span.span_id] = len(steps)
        step = Step(len(steps), known, label, agent, parent)
        steps.append(step)
        if known.kind == "handoff" or (known.kind == "tool_call" and '"subagent_type"' in (known.arguments or "")):
            agents[span.span_id] = route_of(step).target or agent  # what is below it, the other one does
    return steps, flags


def _refined(span: Span, agent: str) -> Span:
    """A model call whose agent is only named above it is a planner's or verifier's as any other (span-conventions 6.2)."""
    if span.agent or span.operation != "llm" or (kind := refine("llm", agent)) == span.kind:
        return span
    return span._replace(kind=kind)


def _truth(root: Span | None, workflow_name: str, truths: Mapping[tuple[str, str], TaskTruth]) -> TaskTruth | None:
    if root is None:
        return None
    known = truths.get((workflow_name, root.task_id)) if root.task_id else None
    return known or (truth_from_span(root.expectation) if root.expectation else None)
