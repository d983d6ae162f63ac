"""The load of the hostile benchmark against the engine alone, small: resident memory stays under the bound of memory."""

import json
import subprocess
import sys

import pytest

OPEN, LONG, BOUND = 40_000, 15_000, 24 << 20
SLACK = 40 << 20  # a flush, the caches of names, and what the allocator keeps
MEASURE = f"""
import json, sys
from schemas.item import items_of
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.telemetry.metrics import resident_bytes
from tests.bench.hostile import never_ending, very_long

def run(engine, records, bound):
    for n, (_, value) in enumerate(records):
        engine.tick(n)
        for item, raw in items_of(value, "default", n).items:
            engine.fold(item, raw)
        if n % 10 == 9:
            engine.acknowledged(engine.take({{}}))
            if engine.bytes_held > bound:
                engine.evict(bound // 2)

run(TrajectoryEngine(0, EnginePolicy()), never_ending(2_000), 1 << 40)
before, engine = resident_bytes(), TrajectoryEngine(0, EnginePolicy())
run(engine, never_ending({OPEN}), int(sys.argv[1]))
opened, traces = resident_bytes(), engine.open_traces
run(engine, very_long({LONG}), int(sys.argv[1]))
print(json.dumps([opened - before, resident_bytes() - before, traces, engine.bytes_held]))
"""


@pytest.mark.parametrize("bound", [BOUND, 1 << 40], ids=["bounded", "without a bound"])
def test_resident_memory_stays_under_the_bound(bound: int) -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE, str(bound)], capture_output=True, text=True, check=True)
    opened, all_in_all, traces, counted = json.loads(done.stdout)
    assert traces == OPEN, "none is lost, wherever it is"
    if bound == BOUND:
        assert counted <= BOUND
        assert all_in_all <= BOUND + SLACK, f"{opened >> 20}, {all_in_all >> 20} MB"
    else:
        assert all_in_all > BOUND + SLACK, "else this measures nothing"
        assert 0.6 * all_in_all <= counted <= 1.4 * all_in_all, "what is counted is about what is taken"
