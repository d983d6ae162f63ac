"""The whole fold: a budget that many series share, and how many outcomes a CPU second folds with ten thousand of them."""

import time
from typing import NamedTuple

from schemas.alert import AlertEvent
from schemas.outcome import OutcomeRecord, Tick
from schemas.rules import parse_rules
from streams.core.alerting import Alerting
from tests.bench.alerts.draws import generator
from tests.bench.alerts.rates import Counted
from tests.builders import EPOCH_MS
from tests.outcomes import outcome, record, trace

SHARED = 'rules: [{uid: shared, condition: {fail_rate_above: 0.05, false_alarm_budget: "1 per 1d"}}]'
MANY = "rules: [{uid: many, condition: {fail_rate_above: 0.05}, max_series: 10000}]"
FLEET = 20  # series that share the budget
TICK_MS = 10_000
SERIES, WORKFLOWS, OUTCOMES_A_TRACE, TRACES_A_RECORD = 10_000, 4, 5, 20
NAME = "every series of a workflow at the line, one budget of 1 a day"


def fold_of(rules: str) -> Alerting:
    """A fold under these rules."""
    fold = Alerting(partition=0)
    fold.learn(1, parse_rules(rules, "bench"))
    return fold


def shared_budget(days: int) -> Counted:
    """Firings of the fold, resolved and fired again as in life, of a fleet that stands exactly at its line."""
    rng, fold, alarms, offset = generator("fleet"), fold_of(SHARED), 0, 0
    steps = [[outcome(failed, step=f"s{i}") for failed in (0, 1)] for i in range(FLEET)]
    for minute in range(days * 1_440):
        at_ms = EPOCH_MS + minute * 60_000
        failed = rng.binomial(1, 0.05, (2, FLEET)).tolist()
        runs = [trace(2 * minute + i + 1, *(steps[k][x] for k, x in enumerate(row))) for i, row in enumerate(failed)]
        for late_ms, entry in ((0, record(*runs)), (5_000, Tick(1, 0.0)), (30_000, Tick(1, 0.0))):
            emitted = fold.handle(entry, at_ms + late_ms, offset)
            alarms += sum(isinstance(e, AlertEvent) and e.type == "firing" for e in emitted)
            offset += 1
    return Counted(NAME, 2 * FLEET, 0.05, alarms, days)


class Speed(NamedTuple):
    """Outcomes folded, and the CPU seconds that took."""

    outcomes: int
    seconds: float
    series: int

    @property
    def per_second(self) -> float:
        return self.outcomes / self.seconds


def folding(outcomes: int) -> Speed:
    """CPU time of `Alerting.handle` alone, ticks included, once all series are live; decoding is measured by `make bench`."""
    per_record = OUTCOMES_A_TRACE * TRACES_A_RECORD
    warm = 4 * SERIES // per_record
    log = _records(warm + outcomes // per_record)
    fold, offset, spent = fold_of(MANY), 0, 0.0
    for i, entry in enumerate(log):
        at_ms = EPOCH_MS + i * 100  # a thousand outcomes a second
        begun = time.process_time()
        if i % (TICK_MS // 100) == 0:
            fold.handle(Tick(1, 0.0), at_ms, offset)
            offset += 1
        fold.handle(entry, at_ms, offset)
        offset += 1
        spent += time.process_time() - begun if i >= warm else 0.0
    return Speed((len(log) - warm) * per_record, spent, len(fold.board.series))


def _records(count: int) -> list[OutcomeRecord]:
    rng, number, found = generator("speed"), 0, []
    places = [[outcome(failed, step=f"s{i}") for failed in (0, 1)] for i in range(SERIES // WORKFLOWS)]
    for i in range(count):
        shape = (TRACES_A_RECORD, OUTCOMES_A_TRACE)
        chosen, failed = rng.integers(0, len(places), shape).tolist(), rng.binomial(1, 0.03, shape).tolist()
        runs = []
        for steps, fails in zip(chosen, failed, strict=True):
            number += 1
            runs.append(trace(number, *(places[s][f] for s, f in zip(steps, fails, strict=True))))
        found.append(record(*runs, workflow=f"w{i % WORKFLOWS}"))
    return found
