"""Replays: a script of arrivals and of time, and what each flush says. A bug first becomes a file here.

A file holds `why`, a `registry` and a `policy` where they matter, the evaluators that it is about (`shown`), and `events` in
log order: `span` (fields of the builders, times in ms), `tick` (the log clock, ms) and `flush` with the lines that it must say.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from schemas.registry import parse_registry
from schemas.trajectory import TraceKey
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.core.flush import Flush
from tests.builders import EPOCH_MS, TENANT, llm_span, root_span, tool_span, trace_id
from tests.properties.world import Store

CASES = sorted(Path(__file__).parent.glob("*.yaml"))
KEY = TraceKey(TENANT, trace_id())


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_replay(case: Path):
    script = yaml.safe_load(case.read_text(encoding="utf-8"))
    expected = [event["flush"] for event in script["events"] if "flush" in event]
    assert expected and list(replay(script)) == expected


def replay(script: dict[str, Any]) -> Iterator[list[str]]:
    """What each flush says, when the engine is driven as the shell drives it, on the simulator's store."""
    declared = orjson.dumps(script.get("registry", {"workflows": []})).decode()
    registry = parse_registry(declared, "registry")
    engine, store = TrajectoryEngine(0, EnginePolicy(**script.get("policy", {})), registry=registry), Store()
    for event in script["events"]:
        match event:
            case {"span": fields}:
                span = _span(**fields)
                for key in engine.unknown([(KEY, span.start_ns // 1_000_000, span.received_ms)]):
                    engine.read_back(key, store.head(key), store.items(key))
                engine.tick(span.received_ms)
                engine.fold(span, span)  # the simulator's store keeps whole items for their bytes
            case {"tick": ms}:
                engine.tick(EPOCH_MS + ms)
            case {"flush": _}:
                flush = engine.take({})
                store.insert_spans(flush)
                store.insert_rows(flush)
                engine.acknowledged(flush)
                yield list(_lines(flush, script["shown"]))


def _span(n: int, received: int, tool: str = "", at: int = 0, **fields: Any) -> Any:
    made = {"at_ms": at, "received_ms": EPOCH_MS + received, **fields}
    if tool:
        return tool_span(n, tool, made.pop("arguments", {}), made.pop("result", "done"), **made)
    return root_span(n, **made) if n == 0 else llm_span(n, made.pop("said", ""), **made)


def _lines(flush: Flush, shown: list[str]) -> Iterator[str]:
    for row in flush.trajectories:
        yield f"{row.state} {row.close_reason or '-'}, {row.n_items} items"
        for r in row.results:
            if r.evaluator in shown:
                yield f"{r.step}: {r.evaluator} {r.verdict} {r.reason_code}".rstrip()
    for decided in flush.decided:
        yield f"published {len(decided.outcomes.outcomes)} outcomes of {decided.outcomes.n_items} items"
    for change in (c for c in flush.changes if c.evaluator in shown):
        yield f"changed {change.step}: {change.evaluator} {change.before or '-'} -> {change.after or '-'}"
