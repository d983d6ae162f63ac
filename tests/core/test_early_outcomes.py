"""Outcomes before the decision: the first attempt of a step counts once, for the rules that ask for it and for no other."""

from evaluators.catalogue import EVALUATORS
from evaluators.protocols import SpanLocal
from schemas.outcome import Outcome, StepOutcome, StepRecord, decode, encode, steps_of
from schemas.registry import SPAN_LOCAL_NAMES, parse_registry
from schemas.rules import parse_rules
from schemas.span import RawSpan
from streams.core.alerting import Alerting
from streams.core.checkpoint import restore, snapshot
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.worker.sink import early_records
from tests.builders import EPOCH_MS, root_span, tool_span
from tests.outcomes import RULES, Entry, alerts, new_fold, outcome, record, run, tick, trace

EARLY = """
rules:
  - uid: early
    match: {evaluator: ToolCallSuccess}
    when: step_scored
    outcome: first
    condition: {fail_rate_above: 0.05}
    resolve: {hold: 1m}
"""
BOTH = EARLY + RULES.partition("rules:\n")[2]
RAW = RawSpan(b"", b"", b"")


def step(n: int, *, failed: bool, span: int = 1) -> StepOutcome:
    said = outcome(int(failed), span_id=f"{span:016x}", event_ms=EPOCH_MS)
    return StepOutcome(f"{n:032x}", 1.0, said)


def log(*steps: StepOutcome) -> list[Entry]:
    told = [Entry(StepRecord("default", "refund", (s,)), EPOCH_MS + 11_000 * (n + 1)) for n, s in enumerate(steps)]
    return [Entry(tick(), EPOCH_MS), *told, Entry(tick(), EPOCH_MS + 11_000 * (len(steps) + 2))]


def counted(fold: Alerting) -> dict[str, int]:
    return {s.rule.uid: s.episode.n if s.episode else s.bucket.n for s in fold.board.series.values()}


def test_a_step_counts_once_whichever_attempt_of_it_comes_first() -> None:
    fold = new_fold(EARLY)
    first, again, repeated = step(1, failed=True), step(1, failed=False, span=2), step(1, failed=True)
    run(fold, log(first, again, repeated))
    assert fold.repeated == 2


def test_it_fires_before_anything_is_decided_and_only_the_rule_that_asks() -> None:
    fold = new_fold(BOTH)
    events = alerts(run(fold, log(*(step(n, failed=True) for n in range(30)))))
    assert [(e.type, e.rule.uid) for e in events][:1] == [("firing", "early")]
    assert {e.rule.uid for e in events} == {"early"}
    assert {s.rule.uid for s in fold.board.series.values()} == {"early"}


def test_what_a_decision_says_counts_for_the_others_alone() -> None:
    fold = new_fold(BOTH)
    run(fold, [Entry(tick(), EPOCH_MS), *(Entry(record(trace(n, outcome(1))), EPOCH_MS + n) for n in range(1, 30))])
    assert {s.rule.uid for s in fold.board.series.values()} == {"tools"}


def test_a_checkpoint_goes_on_with_it() -> None:
    entries = log(*(step(n, failed=n % 2 == 0) for n in range(40)))
    whole = alerts(run(new_fold(EARLY), entries))
    fold = new_fold(EARLY)
    before = alerts(run(fold, entries[:20]))
    again = restore(snapshot(fold))
    for offset, entry in enumerate(entries[:20]):
        again.remember(entry.record, entry.append_ms, offset)
    assert before + alerts(run(again, entries[20:], 20)) == whole


def test_the_record_comes_back_as_it_was() -> None:
    said = StepRecord("acme", "refund", (step(1, failed=True), step(2, failed=False)))
    assert decode(encode(said)) == said


def test_the_names_are_those_of_the_span_local_evaluators() -> None:
    assert {e.name for e in EVALUATORS if isinstance(e, SpanLocal)} == set(SPAN_LOCAL_NAMES)


def test_a_rule_is_read_and_its_change_of_when_is_a_change_of_detection() -> None:
    (early,) = parse_rules(EARLY, "rules.yaml").rules
    (later,) = parse_rules(EARLY.replace("step_scored", "decided"), "rules.yaml").rules
    assert early.when == "step_scored"
    assert early.detection("refund") != later.detection("refund")


def engine() -> TrajectoryEngine:
    made = TrajectoryEngine(0, EnginePolicy())
    made.configure(1, parse_registry("workflows: [{name: refund}]", "workflows.yaml"), frozenset({"ToolCallSuccess"}))
    return made


def test_a_step_is_told_when_it_is_judged_and_not_again_with_its_run() -> None:
    worker = engine()
    worker.tick(EPOCH_MS)
    for n, failed in ((1, True), (2, False)):  # an attempt and a retry, of one step
        worker.fold(tool_span(n, "pay", {}, agent="executor", workflow="refund", status=2 if failed else 1), RAW)
    worker.fold(tool_span(3, "look", {}, agent="executor", workflow=""), RAW)  # does not say whose it is
    (record_,) = early_records(worker.take({}).early)
    assert (record_.tenant, record_.workflow) == ("default", "refund")
    told = {(s.outcome.step, s.outcome.evaluator, s.outcome.first, s.outcome.attempts) for s in record_.steps}
    assert told == {("executor/pay", "ToolCallSuccess", "fail", 1)}
    worker.fold(root_span(workflow="refund"), RAW)
    worker.tick(EPOCH_MS + 60_000)
    last = worker.take({})
    assert last.early == []
    assert len(last.decided) == 1


def test_who_reads_a_run_back_tells_its_steps_again() -> None:
    worker = engine()
    span = tool_span(1, "pay", {}, agent="executor", workflow="refund")
    worker.tick(span.received_ms)
    worker.fold(span, RAW)
    first = worker.take({})
    heir = engine()
    key = first.touched[0].key
    heir.tick(span.received_ms)
    heir.read_back(key, None, [span])  # stored, and then its owner died before it could tell anybody
    assert heir.take({}).early == first.early
    late = engine()
    late.tick(span.received_ms + 3_600_000)
    late.read_back(key, None, [span])
    assert late.take({}).early == [], "the alerter may have forgotten by then"


def test_without_a_rule_nothing_is_told() -> None:
    worker = TrajectoryEngine(0, EnginePolicy())
    worker.tick(EPOCH_MS)
    worker.fold(tool_span(1, "pay", {}, workflow="refund"), RAW)
    assert worker.take({}).early == []


def test_decided_runs_stand_for_steps_where_rules_are_tried_out() -> None:
    retried: Outcome = outcome(1, attempts=3, first="fail", last="pass")
    said = steps_of(record(trace(1, retried)))
    assert [(s.outcome.attempts, s.outcome.failed, s.outcome.last) for s in said.steps] == [(1, 1, "fail")]
