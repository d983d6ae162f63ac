"""A schedule: a log and what happens while it is read. A function of its seed alone."""

from random import Random
from typing import NamedTuple

from schemas.item import Item
from schemas.span import Span
from streams.core.engine import EnginePolicy
from streams.core.window import WindowPolicy
from tests.builders import EPOCH_MS, llm_span, log_record, root_span, tool_span, trace_id
from tests.properties.world import Record

WINDOW = WindowPolicy(settle_one_resource_ms=1_500, settle_many_resources_ms=8_000, abandon_after_ms=60_000)
# What may happen next, and how often. `rebalance`: the partition goes to another worker and comes back to this one.
ACTIONS = {
    "consume": 8, "step": 8, "flush": 2, "idle": 2, "crash": 1, "zombie": 1, "zombie acts": 3, "rebalance": 1, "config": 1,
}  # fmt: skip
GAPS_MS = (0, 0, 1, 500, 1_499, 1_500, 1_501, 5_000, 70_000)
ARGUMENTS = ({"id": "7"}, {"id": 7}, {}, None)


class Schedule(NamedTuple):
    """What is played."""

    seed: int
    log: list[Record]
    actions: list[str]
    policy: EnginePolicy


def schedule(seed: int) -> Schedule:
    """The schedule of a seed."""
    draw = Random(seed)
    policy = EnginePolicy(
        WINDOW,
        provisional_every_ms=draw.choice([0, 10_000]),
        spans_in_memory_max=draw.choice([1, 3, 1_000]),
        provisional_growth=draw.choice([0.1, 100.0]),
        provisional_small=draw.choice([0, 20]),
    )
    actions = draw.choices(list(ACTIONS), list(ACTIONS.values()), k=draw.randrange(8, 60))
    return Schedule(seed, _log(draw), actions, policy)


def _log(draw: Random) -> list[Record]:
    """Interleaved traces out of order: duplicates, twins of other content, missing roots, late spans, log records."""
    items = [item for n in range(1, draw.randint(1, 4) + 1) for item in _trace(draw, n)]
    items += draw.choices(items, k=draw.randint(0, 3))
    items += [_twin(item) for item in draw.sample(items, min(len(items), draw.randint(0, 2))) if isinstance(item, Span)]
    if draw.random() < 0.8:  # nearly in order: most traces end before what comes late
        items = [items[i] for i in sorted(range(len(items)), key=lambda i: i + draw.uniform(-4, 4))]
    else:
        draw.shuffle(items)
    log, clock = [], EPOCH_MS
    while items:
        size = draw.randint(1, 3)
        clock += draw.choice(GAPS_MS)
        log.append(Record(clock, [item._replace(received_ms=clock) for item in items[:size]]))
        items = items[size:]
    return log


def _trace(draw: Random, number: int) -> list[Item]:
    found: list[Item] = []
    for n in range(1, draw.randint(1, 6) + 1):
        common = {"at_ms": n * 100, "trace_id": trace_id(number), "resource_id": draw.randint(1, 2), "workflow": "shop"}
        if draw.random() < 0.6:
            found.append(tool_span(n, "pay", draw.choice(ARGUMENTS), **common))
        else:
            found.append(llm_span(n, "ok", **common))
        if draw.random() < 0.2:
            found.append(log_record(n, at_ms=n * 100, trace_id=trace_id(number), arguments={"id": "7"}))
    if draw.random() < 0.8:
        found.append(root_span(0, trace_id=trace_id(number), workflow="shop", resource_id=1))
    return found


def _twin(span: Span) -> Span:
    return span._replace(status=2, content_hash=span.content_hash ^ 1, end_ns=span.end_ns + 5)
