"""Traces of any length, made of what the shared generator makes, in its order of arrival: containers end last.

Two shapes: `flat`, one root around everything; `nested`, every generated run stays a sub-agent of its own below the root,
so that the containers sort before what they hold and arrive after it, again and again.
"""

import importlib.util
import json
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

from opentelemetry.proto.trace.v1 import trace_pb2

from evaluators.catalogue import EVALUATORS
from schemas.decode import decode
from schemas.expectation import TaskTruth, parse_expectation
from schemas.otlp import split
from schemas.registry import Registry, parse_registry
from schemas.span import RawSpan, Span

Shape = Literal["flat", "nested"]
PART = 6  # spans of one trace in one export, as the generator cuts a trace of 12-25 spans into 2-4 parts
EXPORT_EVERY_MS = 5_000
START_MS = 1_790_000_000_000
TASK = "t1"
SEED = 7
EVERY = {e.name for e in EVALUATORS}


class Arrival(NamedTuple):
    """The parts that arrive in one export interval, of all traces."""

    received_ms: int
    spans: list[tuple[Span, RawSpan]]


def generator(root: Path) -> ModuleType:
    """The shared generator as a module."""
    spec = importlib.util.spec_from_file_location("gen_traces", root / "tools/gen_traces.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exports(made: ModuleType, traces: int, spans: int | None, shape: Shape) -> list[tuple[int, list[bytes]]]:
    """(received time, export requests) of so many traces of so many spans (None: as generated, 12-25), side by side."""
    draw = random.Random(SEED)
    parts = [list(_parts(_trace(made, draw, spans, shape))) for _ in range(traces)]
    return [
        (START_MS + at * EXPORT_EVERY_MS, [made.export([part[at]]) for part in parts if at < len(part)])
        for at in range(max(map(len, parts)))
    ]


def arrivals(exported: list[tuple[int, list[bytes]]]) -> list[Arrival]:
    """The exports decoded anew: nothing that was read from a span before is kept."""
    return [
        Arrival(received_ms, [decode(raw, "default", received_ms) for request in requests for raw in split(request)])
        for received_ms, requests in exported
    ]


def _trace(made: ModuleType, draw: random.Random, spans: int | None, shape: Shape) -> tuple[str, list[Any]]:
    """(workflow, spans in the order of their ends, the root last)."""
    workflow, found = made.trace(draw, START_MS * 10**6, trace_pb2.Span)
    root = found.pop()
    if spans is not None:
        found = list(islice(_below(made, draw, workflow, root, found, shape), spans - 1))
        there = {root.span_id, *(span.span_id for span in found)}
        for span in found:  # the last run may have been cut before its container came
            if span.parent_span_id not in there:
                span.parent_span_id = root.span_id
        root.end_time_unix_nano = found[-1].end_time_unix_nano
    task = root.attributes.add()
    task.key, task.value.string_value = "stepwatch.task.id", TASK
    return workflow, [*found, root]


def _below(
    made: ModuleType, draw: random.Random, workflow: str, root: Any, first: list[Any], shape: Shape
) -> Iterator[Any]:
    """The spans of one generated run after the other, for ever, all below this root."""
    yield from first
    now = first[-1].end_time_unix_nano
    while True:
        other, run = made.trace(draw, now, trace_pb2.Span)
        if other != workflow:
            continue
        container = run[-1]
        now = container.end_time_unix_nano
        for span in run:
            span.trace_id = root.trace_id
            if span is container or shape == "flat":
                span.parent_span_id = root.span_id
        yield from run if shape == "nested" else run[:-1]


def _parts(trace: tuple[str, list[Any]]) -> Iterator[tuple[str, list[Any]]]:
    workflow, spans = trace
    for at in range(0, len(spans), PART):
        yield workflow, spans[at : at + PART]


def registry(made: ModuleType, evaluators_on: bool, *, hostile: bool = False) -> Registry:
    """The registry of `registry_text`, with every evaluator on or every one off, read."""
    chosen = frozenset(EVERY) if evaluators_on else frozenset[str]()
    return parse_registry(registry_text(made, chosen, hostile=hostile), "workflows.yaml")


def registry_text(made: ModuleType, chosen: frozenset[str], *, hostile: bool = False) -> str:
    """Tools, policy and budgets for the generated workflows; the chosen evaluators on, the others off.

    The generator draws every id and every word, so a `hostile` registry, which takes the id for the customer's and wants
    each write confirmed, makes nearly every call a fault: the dearest traces there are.
    """
    text = {"type": "string"}
    properties = {"id": text, "amount": {"type": "number"}, "active": {"type": "boolean"}, "note": text}
    schema = {"type": "object", "properties": properties, "required": ["id", "amount"]}
    entity = {"entity": {"customer": "$.id"}} if hostile else {}
    settings = {evaluator: {"enabled": False} for evaluator in EVERY if evaluator not in chosen}
    workflows = []
    for name, (_, tools) in made.WORKFLOWS.items():
        declared = [
            {"name": tool, "writes": at >= 3, "parameters": schema, "latency_budget_ms": 700, **entity}
            for at, tool in enumerate(tools)
        ]
        policy = {
            "max_steps": 1_000_000,
            "order": [{"before": tools[0], "tool": tools[3]}],
            "confirm_before_write": hostile,
            "latency_budget_ms": 60_000,
            "cost_budget_usd": 5.0,
        }
        workflows.append({"name": name, "tools": declared, "policy": policy, "evaluators": settings})
    return json.dumps({"workflows": workflows})


def truths(made: ModuleType) -> dict[tuple[str, str], TaskTruth]:
    """What is expected of the one task of each generated workflow."""
    found = {}
    for name, (_, tools) in made.WORKFLOWS.items():
        calls = [{"name": tool, "arguments": {"id": "0"}} for tool in tools[3:5]]
        line = {"workflow": name, "task_id": TASK, "expected_calls": calls, "required_outputs": ["order"]}
        found[name, TASK] = parse_expectation(json.dumps(line), "expectations", 1)
    return found


def count(arrived: Sequence[Arrival]) -> int:
    """Spans in all."""
    return sum(len(arrival.spans) for arrival in arrived)
