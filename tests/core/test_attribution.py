"""What changed at the onset: injected causes come first, chance is not named, and equal runs give equal answers."""

import random
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alert import AlertEvent
from schemas.attribution import ATTRIBUTES, SYMPTOMS, Attribution, Mark, Run, from_json, to_json
from schemas.outcome import Outcome, TraceOutcomes
from schemas.rules import parse_rules
from streams.core.attribution import CAUSES_MAX, attribute
from streams.core.compared import StoredRun, run_of, wanted_of
from tests.bench.attribution.draws import KINDS, ONSET_MS, draw, is_alert
from tests.outcomes import RULES, alerts, new_fold, run, timeline

FIRING, *_ = alerts(run(new_fold(), timeline((100, 0), (30, 1))))
(RULE,) = parse_rules(RULES, "rules.yaml").rules
ARGUMENT = '{"faults": [{"argument": "customer_id", "code": "missing_argument", "expected": "required, but missing"}]}'


@pytest.mark.parametrize("kind", KINDS)
def test_the_injected_cause_is_told_first(kind: str) -> None:
    cases = [case for seed in range(80) if is_alert(case := draw(kind, seed))][:15]
    assert len(cases) == 15
    found = [(case.injected, attribute(case.runs, ONSET_MS).causes) for case in cases]
    if kind == "nothing":
        assert [cause for _, causes in found for cause in causes if cause.feature in ATTRIBUTES] == []
        return
    first = [(causes[0].feature, causes[0].value) == injected[:2] for injected, causes in found if injected]
    assert first.count(True) >= 14, (
        "of few runs, chance may tell something else; make bench-attribution counts how often"
    )


@pytest.mark.parametrize(("passed_first", "is_new"), [(0, True), (1, True), (4, True), (12, False)])
def test_a_release_whose_first_runs_passed_by_chance_came_up_at_the_onset(passed_first: int, is_new: bool) -> None:
    """Half of its runs fail: that four pass before is chance, that twelve do is not."""
    old, new = Mark("release", "1"), Mark("release", "2")
    runs = [_run(n, is_since=False, failed=False, marks={old}) for n in range(100 - passed_first)]
    runs += [_run(n, is_since=False, failed=False, marks={new}) for n in range(100 - passed_first, 100)]
    runs += [_run(n, is_since=True, failed=n % 2 == 0, marks={new}) for n in range(100, 160)]
    told = [cause.value for cause in attribute(runs, ONSET_MS).causes if cause.feature == "release"]
    assert told == ["2"] * is_new


@given(st.integers(0, 10_000), st.sampled_from(KINDS), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_the_question_changes_the_answer(
    seed: int, kind: str, rng: random.Random
) -> None:
    runs = draw(kind, seed).runs
    found = attribute(runs, ONSET_MS)
    shuffled = list(runs)
    rng.shuffle(shuffled)
    assert attribute(shuffled, ONSET_MS) == found
    assert len(found.causes) <= CAUSES_MAX
    assert from_json(orjson.loads(orjson.dumps(to_json(found)))) == found
    for cause in found.causes:
        assert 0 < cause.explained <= 1
        assert 0.5 <= cause.confidence <= 1.0001
        assert 0 <= cause.since.k <= cause.since.n
        assert (cause.elsewhere is None) == (cause.feature in SYMPTOMS)


def test_it_says_what_a_person_on_call_wants_to_read() -> None:
    mark = Mark("argument", "customer_id", "executor", "update_crm", "ParameterValidation", "missing_argument")
    runs = [_run(n, is_since=False, failed=n == 7, marks={mark} if n == 7 else set()) for n in range(250)]
    runs += [_run(n, is_since=True, failed=n % 14 > 0, marks={mark} if n % 14 else set()) for n in range(250, 350)]
    found = attribute(runs, ONSET_MS)
    assert found.causes[0].sentence == (
        "executor / update_crm: `customer_id` missing in 93 % of runs since 14:13, was 0.4 %"
    )
    bad = [run.trace_id for run in runs if run.is_since and run.failed]
    assert found.traces == found.causes[0].traces == tuple(bad[:3])


def test_what_was_seen_is_told_before_what_was_concluded_from_it_and_the_series_own_step_first() -> None:
    seen = Mark("reason_code", "swallowed", "executor", "update_crm", "ToolCallSuccess", "swallowed")
    wasted = Mark("reason_code", "wasted", "executor", "update_crm", "StepEfficiency", "wasted")
    missed = Mark("reason_code", "missed", "verifier", "", "VerifierPass", "missed")
    theirs = Mark("reason_code", "no_receipt", "executor", "update_crm", "TheirOwn", "no_receipt")
    runs = [_run(n, is_since=False, failed=False, marks=set()) for n in range(60)]
    runs += [_run(n, is_since=True, failed=True, marks={seen, wasted, missed}) for n in range(60, 90)]
    told = attribute(runs, ONSET_MS, "verifier").causes
    assert [cause.value for cause in told] == ["swallowed", "missed", "wasted"]

    runs[60:] = [_run(n, is_since=True, failed=True, marks={wasted, theirs}) for n in range(60, 90)]
    assert [cause.value for cause in attribute(runs, ONSET_MS).causes] == ["no_receipt", "wasted"]

    there, back = (Mark("reason_code", "ping_pong", who, "handoff", "HandoffQuality", "ping_pong") for who in "ab")
    runs[60:] = [_run(n, is_since=True, failed=True, marks={there, back}) for n in range(60, 90)]
    assert [cause.agent for cause in attribute(runs, ONSET_MS, "b/handoff").causes] == ["b", "a"]
    assert [cause.agent for cause in attribute(runs, ONSET_MS, "a/handoff").causes] == ["a", "b"]


def test_a_release_is_told_beside_the_others() -> None:
    runs = [_run(n, is_since=False, failed=False, marks={Mark("release", "1")}) for n in range(100)]
    runs += [
        _run(n, is_since=True, failed=n % 2 == 0, marks={Mark("release", "2" if n % 2 == 0 else "1")})
        for n in range(100, 160)
    ]
    cause, *_ = attribute(runs, ONSET_MS).causes
    assert cause.sentence == "release 2 (new since 14:13): 100 % of its runs fail since 14:13, 0 % of the others"
    assert (cause.since.k, cause.since.n, cause.elsewhere) == (30, 30, (0, 30))


def test_of_too_few_runs_nothing_is_said() -> None:
    runs = [_run(n, is_since=True, failed=True, marks={Mark("release", "2")}) for n in range(4)]
    assert attribute(runs, ONSET_MS).causes == ()
    assert attribute([], ONSET_MS) == Attribution((), (0, 0), (0, 0), ())  # type: ignore[arg-type]


def _run(n: int, *, is_since: bool, failed: bool, marks: set[Mark]) -> Run:
    return Run(f"{n:032x}", ONSET_MS + n, is_since, failed, frozenset(marks))


def outcome(step: str = "executor/update_crm", evaluator: str = "ToolCallSuccess", **fields: object) -> Outcome:
    plain = Outcome(
        step, "tool_call", evaluator, "2", "executor", "update_crm", 1, 0, "pass", "pass", 1.0, 5_000, "", ""
    )
    return plain._replace(**fields)


def stored(*outcomes: Outcome, failures: list[tuple[str, str, str, str, str]] | None = None) -> StoredRun:
    of_trace = TraceOutcomes("ab" * 16, 0, 3, "root_ended", 4, 1.0, "r7", outcomes)
    return StoredRun("ab" * 16, "r7", 4, of_trace, failures or [], [("model", "m1")])


def test_a_run_is_compared_where_it_has_an_outcome_of_the_series() -> None:
    wanted = wanted_of(FIRING, RULE)
    assert run_of(stored(outcome(step="planner/search")), wanted, 0) is None
    found = run_of(stored(outcome(last="fail", failed=1)), wanted, 6_000)
    assert found is not None
    assert (found.failed, found.is_since, found.at_ms) == (True, False, 5_000)
    assert found.marks == {
        Mark("release", "r7"),
        Mark("config", "4"),
        Mark("model", "m1"),
        Mark("evaluator_version", "2"),
    }


@pytest.mark.parametrize(
    ("counting", "failed"), [("last_attempt", False), ("first", True), ("any", True), ("mean", False)]
)
def test_it_fails_by_the_rules_way_of_counting(counting: str, failed: bool) -> None:
    rule = replace(RULE, outcome=counting)
    found = run_of(stored(outcome(attempts=3, failed=1, first="fail", last="pass")), wanted_of(FIRING, rule), 0)
    assert found is not None
    assert found.failed is failed


def test_failures_become_symptoms_with_their_place_and_their_arguments() -> None:
    failures = [
        ("executor/update_crm", "executor", "ParameterValidation", "missing_argument", ARGUMENT),
        ("(trajectory)", "", "TaskCompletion", "missing_write", ""),
        ("-/search", "", "EntityConsistency", "other_customer", '{"arguments": ["id"], "entity": ["customer"]}'),
    ]
    found = run_of(stored(outcome(), failures=failures), wanted_of(FIRING, None), 0)
    assert found is not None
    symptoms = {mark for mark in found.marks if mark.feature in SYMPTOMS}
    place = {"agent": "executor", "tool": "update_crm", "evaluator": "ParameterValidation"}
    other = {"agent": "", "tool": "search", "evaluator": "EntityConsistency", "reason_code": "other_customer"}
    assert symptoms == {
        Mark("reason_code", "missing_argument", reason_code="missing_argument", **place),
        Mark("argument", "customer_id", reason_code="missing_argument", **place),
        Mark("reason_code", "other_customer", **other),
        Mark("argument", "id", **other),
    }, "what is said of the whole run follows from its steps"


def test_an_event_carries_it_there_and_back() -> None:
    from schemas.alert import Pipeline
    from schemas.cloud_event import from_cloud_event, to_cloud_event

    case = draw("release_rolling", 3)
    event = FIRING._replace(attribution=attribute(case.runs, ONSET_MS))
    assert isinstance(event, AlertEvent)
    _, headers, value = to_cloud_event(event, Pipeline(event.time_ms, "1"))
    assert from_cloud_event(headers, value) == event
    assert len(value) < 16_384
