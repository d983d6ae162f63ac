"""A scenario without any server: its runs judged by the engine, their outcomes folded, by a clock that is made up.

Not what is claimed of the running stack, but what says within seconds whether a description is right, and whether it holds
wherever the ten-second buckets happen to begin: a scenario that hangs on that would fail one day.
"""

from collections.abc import Iterator

import orjson

from schemas.alert import AlertEvent
from schemas.outcome import OutcomeRecord, Tick, TraceOutcomes
from schemas.registry import Registry, parse_registry
from schemas.rules import parse_rules
from schemas.span import ERROR, RawSpan, Span
from streams.core.alerting import Alerting
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.demo import example
from streams.demo.script import Run
from streams.offline import SkipList, read_items
from tests.scenarios.casting import Cast, runs
from tests.scenarios.evidence import Counts
from tests.scenarios.heard import Heard, Logged
from tests.scenarios.judge import Played, Verdict, judge
from tests.scenarios.scenario import RULES, Scenario
from tests.scenarios.stage import CLOSING_MS, registry_of

START_MS = 1_780_000_000_000
DECIDED_MS = 2_000  # after the end of a run: it settles, and is flushed
TICK_MS = 1_000
RAW = RawSpan(b"", b"", b"")


class Rehearsal:
    """One scenario, its runs judged once; `verdict` folds them at any alignment of the clock."""

    def __init__(self, name: str, scenario: Scenario) -> None:
        self._name, self._scenario = name, scenario
        registry = parse_registry(registry_of({name: scenario}), "registry")
        self._runs = [(run, outcomes_of(run, scenario, registry)) for run in runs(name, scenario)]

    def verdict(self, offset_ms: int, batch_ms: int = 1) -> Verdict:
        """What is to be said of it where the play begins so long after a bucket, and outcomes come in batches of so long, as
        from a scorer that is busy. Causes and the store are not asked."""
        fires = [fires.model_copy(update={"cause": {}}) for fires in self._scenario.fires]
        scenario = self._scenario.model_copy(update={"fires": fires, "stored": []})
        start_ms = START_MS + offset_ms
        played = [Played(run, start_ms + int(run.at_s * 1000)) for run, _ in self._runs]
        log = list(self._log(start_ms, batch_ms))
        return judge(self._name, scenario, played, _fold(log), Counts(log), {})

    def _log(self, start_ms: int, batch_ms: int) -> Iterator[Logged]:
        """The outcome log: runs as they are decided, ticks between."""
        tick_ms, offset = start_ms, 0
        last_ms = start_ms + int(self._scenario.seconds * 1000) + DECIDED_MS + CLOSING_MS
        entries: list[tuple[int, OutcomeRecord | Tick]] = []
        for run, outcomes in self._runs:
            moved = _moved(outcomes, start_ms + int(run.at_s * 1000) - int(run.length_ms))
            record = OutcomeRecord(run.tenant, self._name, (moved,))
            decided_ms = start_ms + int(run.at_s * 1000) + DECIDED_MS
            entries.append((-(-decided_ms // batch_ms) * batch_ms, record))
        entries += [(ms, Tick(1, 0.0)) for ms in range(tick_ms, last_ms, TICK_MS)]
        for at_ms, entry in sorted(entries, key=lambda e: (e[0], isinstance(e[1], Tick))):
            tenant = entry.tenant if isinstance(entry, OutcomeRecord) else None
            for partition in self._partitions(tenant):
                yield Logged(partition, offset, at_ms, entry)
                offset += 1

    def _partitions(self, tenant: str | None) -> list[int]:
        """Where a record goes; a tick to all that are used. Tenants are kept apart: no two in one partition."""
        return [i for i, t in enumerate(self._scenario.tenants) if tenant in (None, t)]


def outcomes_of(run: Cast, scenario: Scenario, registry: Registry) -> TraceOutcomes:
    """What the engine says of a run when it decides it: before late spans are there. Its times count from its start."""
    request = example.request(Run(0, 0.0, "healthy", run.scenario, run.trace_id, run.span_ids, run.spans))
    items = read_items([("", 1, orjson.dumps(request))], START_MS, SkipList())
    spans = [item for item in items if isinstance(item, Span)]
    late, failed = scenario.late, False
    engine = TrajectoryEngine(0, EnginePolicy(), registry=registry)
    engine.tick(START_MS)
    for span in sorted(spans, key=lambda span: span.end_ns):
        if late and span.tool == late.tool:
            is_late, failed = failed or not late.only_retries, failed or span.status == ERROR
            if is_late:
                continue
        engine.fold(span, RAW)
    engine.finish()
    (row,) = engine.take({}).trajectories
    assert isinstance(row.outcomes, TraceOutcomes)
    return row.outcomes


def _moved(outcomes: TraceOutcomes, start_ms: int) -> TraceOutcomes:
    by_ms = start_ms - example.START_NS // 1_000_000
    moved = tuple(o._replace(event_ms=o.event_ms + by_ms) for o in outcomes.outcomes)
    return outcomes._replace(outcomes=moved)


def _fold(log: list[Logged]) -> list[Heard]:
    folds: dict[int, Alerting] = {}
    found = []
    for partition, offset, append_ms, record in log:
        if partition not in folds:
            folds[partition] = Alerting(partition)
            folds[partition].learn(1, parse_rules(RULES.read_text(), "rules.yaml"))
        events = [e for e in folds[partition].handle(record, append_ms, offset) if isinstance(e, AlertEvent)]
        found += [Heard(event.source, event.id, event, {}, event.time_ms) for event in events]
    return found
