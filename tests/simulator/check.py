"""What must hold at the end of every schedule. The oracle is the batch: all items of a trace, judged at once."""

from collections.abc import Iterator

from schemas.item import Item
from schemas.outcome import TraceOutcomes
from schemas.trajectory import TraceKey
from streams.core.window import window_of
from tests.properties.test_engine import NO_CAP, final_results, stored_once
from tests.properties.world import World
from tests.simulator.schedule import WINDOW, Schedule


def violations(schedule: Schedule, world: World, zombies: bool) -> Iterator[str]:
    """Sentences; none where all is well. `zombies`: whether one acted, which may decide under a config that others have left."""
    expected = stored_once(schedule.log)
    stored = {key: len(world.store.items(key)) for key in expected}
    if stored != {key: len(items) for key, items in expected.items()}:
        yield "a span is lost"
    for key, distinct in expected.items():
        yield from (f"trace {key.trace_id[-1]}: {said}" for said in _of_trace(world, key, list(distinct.values())))
    configs: dict[TraceKey, set[int]] = {}
    for key, told in world.outcomes:
        configs.setdefault(key, set()).add(told.config_seq)
    if not zombies and any(len(seqs) > 1 for seqs in configs.values()):
        yield "a trace is decided twice, under different configs"
    if world.committed != len(schedule.log):
        yield "the log is not done"


def _of_trace(world: World, key: TraceKey, items: list[Item]) -> Iterator[str]:
    row = world.store.rows.get(key)
    if row is None:
        yield "no row"
        return
    if row.state != "decided":
        yield "never decided"
        return
    if row.n_items != len(items):
        yield f"the row holds {row.n_items} of {len(items)} items"
    elif row.results != final_results(key, items, row, world.under(row.config_seq), NO_CAP):
        yield "the row is not what the batch says"
    if row.anchor_ms != min(item.received_ms for item in items):
        yield "the anchor is not the first append time"
    yield from _of_outcomes(key, items, [told for owner, told in world.outcomes if owner == key])
    if key not in world.store.published:
        yield "never marked as published"


def _of_outcomes(key: TraceKey, items: list[Item], told: list[TraceOutcomes]) -> Iterator[str]:
    if not told:
        yield "never published"
        return
    window = window_of(items, WINDOW)
    n_before = sum(item.received_ms < window.deadline_ms(WINDOW) for item in items)
    if {(one.n_items, one.close_reason) for one in told} != {(n_before, window.reason)}:
        yield "outcomes are not those of the items before the deadline"
    if len(set(told)) != len({one.config_seq for one in told}):
        yield "published twice, and not the same"
