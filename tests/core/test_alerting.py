"""The alert fold: what fires, what resolves, when and with which evidence."""

import pytest

from schemas.alert import Heartbeat
from schemas.outcome import Tick
from schemas.rules import parse_rules
from streams.core import board, seen
from streams.core.alerting import Alerting, Forget
from streams.core.counting import failed_share
from tests.builders import EPOCH_MS
from tests.outcomes import (
    RULES,
    Entry,
    alerts,
    new_fold,
    outcome,
    pauses,
    record,
    run,
    tick,
    timeline,
    trace,
    types,
)

BROKEN_AND_REPAIRED = timeline((100, 0), (60, 0.9), (400, 0))


def test_a_failing_then_repaired_step_fires_and_resolves_exactly_once() -> None:
    firing, resolved = alerts(run(new_fold(), BROKEN_AND_REPAIRED))
    assert (firing.type, firing.status, firing.previous_status) == ("firing", "firing", "ok")
    assert (resolved.type, resolved.status, resolved.previous_status) == ("resolved", "resolved", "firing")
    assert (resolved.reason, resolved.alert_key, resolved.episode) == ("recovered", firing.alert_key, firing.episode)
    assert (firing.seq, resolved.seq) == (1, 2)


def test_a_firing_event_says_since_when_and_rests_on_what_came_since_then() -> None:
    firing, _ = alerts(run(new_fold(), BROKEN_AND_REPAIRED))
    broken_at_ms = BROKEN_AND_REPAIRED[0].append_ms + 100 * 2_000
    evidence = firing.evidence
    assert abs(firing.starts_ms - broken_at_ms) < 6_000
    assert firing.fired_ms - broken_at_ms < 30_000
    assert evidence.rate >= 0.8
    assert evidence.lo > firing.rule.threshold
    assert evidence.n == evidence.onset_n >= 7
    assert evidence.log_e >= 0
    assert dict(firing.labels)["step"] == "executor/update_crm"
    assert "update_crm ToolCallSuccess fails in" in dict(firing.annotations)["summary"]


def test_exemplars_are_failing_traces_of_the_episode_and_at_most_ten() -> None:
    _, resolved = alerts(run(new_fold(), BROKEN_AND_REPAIRED))
    numbers = [int(e.trace_id, 16) for e in resolved.exemplars]
    assert 7 <= len(numbers) == len(set(numbers)) <= 10
    assert all(100 < n <= 160 for n in numbers)
    assert numbers[:3] == sorted(numbers, reverse=True)[:3], "the latest come first"


def test_a_healthy_step_never_fires() -> None:
    assert alerts(run(new_fold(), timeline((2_000, 0.03)))) == []


def test_each_workflow_has_its_own_line() -> None:
    rules = RULES + '    thresholds: {refund: 0.5, "tri*": 0.01}\n'
    at_ten_percent = timeline((600, 0.1)), timeline((600, 0.1), workflow="triage")
    assert [types(run(new_fold(rules), log)) for log in at_ten_percent] == [[], ["firing", "updated"]]


def test_an_outcome_that_no_rule_matches_makes_no_series() -> None:
    alerting = new_fold()
    run(alerting, [Entry(tick(), EPOCH_MS), Entry(record(trace(1, outcome(1, evaluator="Other"))), EPOCH_MS)])
    assert not alerting.board.series


def test_before_the_first_tick_there_are_no_rules() -> None:
    alerting = new_fold()
    assert run(alerting, [e for e in BROKEN_AND_REPAIRED if not isinstance(e.record, Tick)]) == []
    assert not alerting.board.series


def test_a_trace_of_weight_zero_is_never_counted() -> None:
    silent = [
        Entry(r._replace(traces=tuple(t._replace(weight=0.0) for t in r.traces)), at)
        if not isinstance(r, Tick)
        else Entry(r, at)
        for r, at in BROKEN_AND_REPAIRED
    ]
    alerting = new_fold()
    assert alerts(run(alerting, silent)) == []
    assert not alerting.board.series


def test_a_trace_counts_once_however_often_it_comes() -> None:
    log = [
        copy for entry in BROKEN_AND_REPAIRED for copy in ([entry] if isinstance(entry.record, Tick) else [entry] * 3)
    ]
    plain, repeated = new_fold(), new_fold()
    once, thrice = alerts(run(plain, BROKEN_AND_REPAIRED)), alerts(run(repeated, log))
    assert [e._replace(offset=0) for e in once] == [e._replace(offset=0) for e in thrice]
    assert repeated.repeated == 2 * 560


def test_a_repetition_within_the_hour_is_seen_across_the_turn_of_the_filter() -> None:
    alerting = new_fold()
    hour_ms = EPOCH_MS - EPOCH_MS % seen.HALF_MS + seen.HALF_MS
    for offset, at_ms in enumerate((hour_ms - 1, hour_ms, hour_ms + seen.HALF_MS - 1, hour_ms + 3 * seen.HALF_MS)):
        alerting.handle(record(trace(1)), at_ms, offset)
    assert alerting.repeated == 2


def test_a_full_half_of_the_filter_turns_early_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "HALF_IDS_MAX", 10)
    alerting = new_fold()
    run(alerting, [Entry(record(trace(n)), EPOCH_MS) for n in range(35)])
    assert alerting.seen.rotated_early == 3


def test_a_lasting_alert_is_said_again_every_quarter_of_an_hour_and_expires_after_four() -> None:
    events = alerts(run(new_fold(), timeline((100, 0), (1_200, 0.9))))
    assert [e.type for e in events] == ["firing", "updated", "updated"]
    assert [e.seq for e in events] == [1, 2, 3]
    assert all(e.expires_ms - e.time_ms == 3_600_000 for e in events)
    assert 900_000 <= events[1].time_ms - events[0].time_ms < 915_000


def test_hold_is_counted_from_the_last_sign_of_trouble() -> None:
    log = timeline((100, 0), (30, 1), (80, 0), (6, 1), (200, 0))
    firing, resolved = alerts(run(new_fold(RULES.replace("hold: 1m", "hold: 3m")), log))
    last_trouble_ms = EPOCH_MS + 2_000 * (100 + 30 + 80 + 6)
    assert firing.type == "firing"
    assert resolved.time_ms > last_trouble_ms + 180_000


def test_an_alert_whose_series_falls_silent_fires_on_until_it_expires_after_a_day() -> None:
    log = timeline((100, 0), (30, 1))
    events = alerts(run(new_fold(), pauses(log, minutes=25 * 60, tick_s=60)))
    assert [e.type for e in events[:2]] == ["firing", "updated"]
    assert (events[-1].type, events[-1].reason) == ("resolved", "series_expired")
    assert sum(e.type == "resolved" for e in events) == 1


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ("rules: []", "rule_deleted"),
        (RULES.replace("0.05", "0.06"), "rule_changed"),
        (RULES + "    version: 2\n", "rule_changed"),
        (RULES.replace("ToolCallSuccess", '"Tool*"'), "rule_changed"),
        (RULES + "    severity: critical\n", None),
        (RULES + "    thresholds: {triage: 0.3}\n", None),
    ],
)
def test_a_rule_that_goes_or_judges_otherwise_ends_its_alerts(after: str, reason: str | None) -> None:
    alerting = new_fold()
    log = timeline((100, 0), (30, 1))
    assert types(run(alerting, log)) == ["firing"]
    alerting.learn(2, parse_rules(after, "rules.yaml"))
    events = alerts(run(alerting, [Entry(tick(2), log[-1].append_ms + 1_000)], len(log)))
    assert [(e.type, e.reason) for e in events] == ([("resolved", reason)] if reason else [])
    assert bool(alerting.board.series) == (reason is None)


def test_rules_change_only_at_ticks_and_the_greatest_seq_wins() -> None:
    alerting = new_fold()
    assert alerting.lacks(tick(4)) == 4
    alerting.learn(4, parse_rules("", "rules.yaml"))
    alerting.learn(5, parse_rules(RULES, "rules.yaml"))
    run(alerting, [Entry(record(trace(1)), EPOCH_MS), Entry(tick(5), EPOCH_MS), Entry(tick(4), EPOCH_MS)])
    assert (alerting.rules_seq, len(alerting.board.rules.rules)) == (5, 1)


def test_max_series_keeps_what_is_known_and_counts_what_it_refuses() -> None:
    alerting = new_fold(RULES + "    max_series: 2\n")
    steps = ["a", "b", "c", "a", "c"]
    traces = [trace(n, outcome(step=step)) for n, step in enumerate(steps)]
    run(alerting, [Entry(tick(), EPOCH_MS), Entry(record(*traces), EPOCH_MS)])
    assert [dict(s.labels)["step"] for s in alerting.board.series.values()] == ["a", "b"]
    assert alerting.board.dropped == {("tools", "default", "refund"): 2}


def test_a_partition_has_a_bound_on_its_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "SERIES_MAX", 3)
    alerting = new_fold()
    log = [Entry(record(trace(n), workflow=f"w{n}"), EPOCH_MS) for n in range(5)]
    run(alerting, [Entry(tick(), EPOCH_MS), *log])
    assert (len(alerting.board.series), alerting.board.dropped.total()) == (3, 2)


def test_the_budget_is_shared_by_the_series_of_a_rule_and_workflow() -> None:
    alone, crowded = new_fold(), new_fold()
    log = timeline((5, 1))
    bystanders = [Entry(record(*(trace(10**6 + n, outcome(step=f"s{n}")) for n in range(400))), EPOCH_MS)]
    run(alone, log)
    run(crowded, [log[0], *bystanders, *log[1:]])
    key = next(s.key for s in alone.board.series.values())
    evidence = [next(s for s in f.board.series.values() if s.key == key).gauge.log_e(0) for f in (alone, crowded)]
    assert evidence[1] < evidence[0] - 4


def test_a_series_without_outcomes_for_a_day_is_forgotten() -> None:
    alerting = new_fold()
    run(alerting, pauses(timeline((10, 0)), minutes=25 * 60, tick_s=600))
    assert not alerting.board.series


def test_a_day_after_its_resolve_an_alert_leaves_the_compacted_state_unless_it_fires_again() -> None:
    emitted = run(new_fold(), pauses(BROKEN_AND_REPAIRED, minutes=25 * 60, tick_s=600))
    key = alerts(emitted)[0].alert_key
    assert [e for e in emitted if isinstance(e, Forget)] == [Forget(key)]


def test_an_alert_may_fire_again_as_another_episode_with_a_greater_sequence() -> None:
    events = alerts(run(new_fold(), timeline((100, 0), (30, 1), (300, 0), (30, 1), (300, 0))))
    assert [e.type for e in events] == ["firing", "resolved"] * 2
    assert len({e.alert_key for e in events}) == 1
    assert events[0].episode < events[2].episode
    assert len({e.id for e in events}) == 4


def test_each_minute_of_the_log_has_a_heartbeat() -> None:
    beats = [e for e in run(new_fold(), timeline((300, 0))) if isinstance(e, Heartbeat)]
    assert len(beats) == 11
    assert (beats[-1].partition, beats[-1].series, beats[-1].firing, beats[-1].rules_seq) == (3, 1, 0, 1)


def test_a_client_clock_in_another_century_neither_moves_the_onset_nor_stops_the_fold() -> None:
    odd = [
        Entry(
            r._replace(
                traces=tuple(
                    t._replace(outcomes=(t.outcomes[0]._replace(event_ms=9_214_646_400_000),)) for t in r.traces
                )
            ),
            at,
        )
        if not isinstance(r, Tick)
        else Entry(r, at)
        for r, at in BROKEN_AND_REPAIRED
    ]
    firing, resolved = alerts(run(new_fold(), odd))
    assert EPOCH_MS < firing.starts_ms <= firing.fired_ms < resolved.time_ms


def test_append_times_that_step_back_do_not_turn_the_log_clock_back() -> None:
    alerting = new_fold()
    run(alerting, [Entry(tick(), EPOCH_MS + 50_000), Entry(record(trace(1)), EPOCH_MS)])
    assert alerting.clock_ms == EPOCH_MS + 50_000


@pytest.mark.parametrize(
    ("counting", "share"),
    [("last_attempt", 0.0), ("first", 1.0), ("mean", 2 / 3), ("any", 1.0)],
)
def test_retries_count_as_the_rule_says(counting: str, share: float) -> None:
    retried = outcome(failed=2, attempts=3, first="fail", last="pass")
    assert failed_share(counting, [retried]) == pytest.approx(share)


def test_steps_that_share_a_series_make_one_outcome_of_a_trace() -> None:
    alerting = new_fold(RULES + "    group_by: [workflow]\n")
    two_steps = trace(1, outcome(1, step="a"), outcome(0, step="b"))
    run(alerting, [Entry(tick(), EPOCH_MS), Entry(record(two_steps), EPOCH_MS)])
    (series,) = alerting.board.series.values()
    assert (series.bucket.n, series.bucket.fails) == (1, 0.5)


def test_offsets_must_grow() -> None:
    alerting = Alerting(0)
    alerting.handle(tick(0), EPOCH_MS, 5)
    with pytest.raises(AssertionError):
        alerting.handle(tick(0), EPOCH_MS, 5)
