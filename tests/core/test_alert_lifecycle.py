"""The lives of an alert beyond one line: ladders, windows, baselines, silence, marks, and what a cap gives up."""

import random
from collections.abc import Sequence

import pytest

from schemas.alert import AlertEvent, Heartbeat
from schemas.outcome import Tick
from streams.core import board
from streams.core.alerting import Alerting
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
)

MINUTE_MS = 60_000
LADDER = RULES.replace("fail_rate_above: 0.05", "fail_rate_above: {warning: 0.05, critical: 0.4}")
WINDOW = RULES.replace("fail_rate_above: 0.05", "method: window, fail_rate_above: 0.05, window: 5m, confidence: 0.99")
BASELINE = RULES.replace("fail_rate_above: 0.05", "method: baseline, reference: 1h, ratio: 2")


def said(events: Sequence[AlertEvent]) -> list[tuple[str, str, str]]:
    return [(e.type, e.reason, e.rule.severity) for e in events]


def silence(policy: str, after: str = "5m") -> str:
    return RULES + f"    no_data: {{after: {after}, do: {policy}}}\n"


# --- ladders


def test_an_alert_has_the_severity_of_the_highest_line_that_holds_and_one_key_and_episode() -> None:
    log = timeline((100, 0), (200, 0.2), (60, 0.9), (150, 0.2), (400, 0))
    events = alerts(run(new_fold(LADDER), log))
    assert said(events) == [
        ("firing", "rate_above_line", "warning"),
        ("updated", "severity_raised", "critical"),
        ("updated", "severity_lowered", "warning"),
        ("resolved", "recovered", "warning"),
    ]
    assert [e.rule.threshold for e in events] == [0.05, 0.4, 0.05, 0.05]
    assert len({(e.alert_key, e.episode) for e in events}) == 1
    assert [e.seq for e in events] == [1, 2, 3, 4]


def test_a_total_outage_reaches_the_top_of_the_ladder_and_is_resolved_once() -> None:
    events = alerts(run(new_fold(LADDER), timeline((100, 0), (60, 1), (400, 0))))
    assert [e.type for e in events].count("resolved") == 1
    assert events[-1].type == "resolved"
    assert "critical" in {e.rule.severity for e in events}


def test_the_lines_of_a_ladder_share_the_budget() -> None:
    def evidence(rules: str) -> float:
        fold = new_fold(rules)
        run(fold, timeline((5, 1)))
        (series,) = fold.board.series.values()
        return float(series.gauge.log_e(0) or 0)

    assert evidence(RULES) - evidence(LADDER) == pytest.approx(0.693, abs=0.01)


# --- windows


def test_a_window_fires_when_its_lower_bound_is_above_the_line_and_resolves_when_its_rate_is_back() -> None:
    firing, resolved = alerts(run(new_fold(WINDOW), timeline((200, 0), (60, 0.5), (400, 0))))
    assert (firing.type, firing.previous_status, firing.rule.method) == ("firing", "ok", "window")
    assert firing.evidence.log_e is None
    assert firing.rule.false_alarm_budget == ""
    assert (resolved.type, resolved.reason) == ("resolved", "recovered")


def test_a_window_with_for_is_pending_until_it_was_in_breach_for_so_long() -> None:
    log = timeline((200, 0), (300, 0.5))
    (at_once,) = alerts(run(new_fold(WINDOW), log))
    (waited,) = alerts(run(new_fold(WINDOW.replace("window: 5m", "window: 5m, for: 3m")), log))
    assert waited.previous_status == "pending"
    assert waited.time_ms - at_once.time_ms == 3 * MINUTE_MS


def test_a_breach_that_ends_before_for_is_over_is_never_published() -> None:
    log = timeline((200, 0), (20, 1), (600, 0))
    assert [e.type for e in alerts(run(new_fold(WINDOW), log))] == ["firing", "resolved"]
    assert alerts(run(new_fold(WINDOW.replace("window: 5m", "window: 5m, for: 10m")), log)) == []


def test_a_window_with_too_few_outcomes_says_nothing() -> None:
    log = timeline((200, 0), (200, 1), every_s=30)
    assert alerts(run(new_fold(WINDOW), log)) == []
    assert alerts(run(new_fold(WINDOW.replace("window: 5m", "window: 5m, min_events: 5")), log))


def test_a_window_may_have_a_line_of_its_own_to_recover_below() -> None:
    log = timeline((200, 0), (60, 0.5), (900, 0.04))
    plain, strict = WINDOW, WINDOW.replace("hold: 1m", "hold: 1m, fail_rate_below: 0.01")
    assert [[e.type for e in alerts(run(new_fold(r), log))][:2] for r in (plain, strict)] == [
        ["firing", "resolved"],
        ["firing", "updated"],
    ]


# --- baselines


def scattered(*phases: tuple[int, float]) -> list[Entry]:
    """As `timeline`, with fails at seeded random."""
    rng, log = random.Random(7), timeline(*[(n, 0.0) for n, _ in phases])
    shares = iter([share for n, share in phases for _ in range(n)])
    return [e if isinstance(e.record, Tick) else Entry(_spoilt(e, rng.random() < next(shares)), e[1]) for e in log]


def _spoilt(entry: Entry, failed: bool) -> object:
    (one,) = entry.record.traces  # type: ignore[union-attr]
    outcomes = (outcome(int(failed), event_ms=one.outcomes[0].event_ms),)
    return entry.record._replace(traces=(one._replace(outcomes=outcomes),))  # type: ignore[call-arg, union-attr]


def test_a_baseline_is_learnt_from_the_beginning_then_frozen_then_defended() -> None:
    fold = new_fold(BASELINE)
    (firing,) = [e for e in alerts(run(fold, scattered((2_500, 0.1), (600, 0.7)))) if e.type == "firing"]
    assert 0.2 < firing.rule.threshold < 0.3, "twice an upper bound of a tenth"
    assert firing.rule.method == "baseline"
    assert firing.time_ms > EPOCH_MS + 2_500 * 2_000


def test_before_it_is_frozen_a_baseline_has_no_line_but_the_one_of_its_rule() -> None:
    log = scattered((900, 0.5))
    assert alerts(run(new_fold(BASELINE), log)) == []
    own = BASELINE.replace("ratio: 2", "ratio: 2, fail_rate_above: 0.3")
    assert [e.rule.threshold for e in alerts(run(new_fold(own), log))][:1] == [0.3]


def test_a_short_past_is_not_frozen_however_old_it_is() -> None:
    fold = new_fold(BASELINE)
    run(fold, timeline((100, 0), every_s=300, tick_s=600))
    (series,) = fold.board.series.values()
    assert list(series.gauge.lines) == []


def test_the_line_of_a_spotless_past_is_the_floor() -> None:
    fold = new_fold(BASELINE.replace("ratio: 2", "ratio: 2, floor: 0.03"))
    run(fold, timeline((2_500, 0)))
    (series,) = fold.board.series.values()
    assert list(series.gauge.lines) == [0.03]


# --- units


def test_by_span_every_attempt_counts_and_is_worth_less_than_a_run() -> None:
    by_span = RULES + "    unit: span\n    design_effect: 2\n"
    fold = new_fold(by_span)
    retried = trace(1, outcome(2, attempts=3))
    run(fold, [Entry(tick(), EPOCH_MS), Entry(record(retried), EPOCH_MS)])
    (series,) = fold.board.series.values()
    assert (series.bucket.n, series.bucket.fails) == (3, 2)
    delays = [
        alerts(run(new_fold(rules), timeline((100, 0), (60, 1))))[0].evidence.n
        for rules in (by_span.replace("design_effect: 2", "design_effect: 1"), by_span)
    ]
    assert delays[1] > 1.5 * delays[0]


def test_a_log_that_counts_no_attempts_or_more_fails_than_attempts_stops_nothing() -> None:
    odd = [outcome(0, attempts=1)._replace(attempts=0), outcome(1)._replace(failed=9, attempts=3)]
    for unit in ("    unit: span\n    design_effect: 2\n", "    outcome: mean\n", ""):
        for one in odd:
            log = [Entry(tick(), EPOCH_MS + 20_000 * n) for n in range(6)]
            log[1:1] = [Entry(record(trace(n, one)), EPOCH_MS + n) for n in range(3)]
            run(new_fold(RULES + unit), log)


# --- silence


def test_a_series_that_falls_silent_is_an_alert_until_outcomes_come_again() -> None:
    log = pauses(timeline((100, 0)), minutes=12)
    back = [Entry(record(trace(10**6)), log[-1].append_ms + 1_000), *[Entry(tick(), log[-1].append_ms + 20_000)]]
    events = alerts(run(new_fold(silence("alert")), [*log, *back]))
    assert [(e.type, e.status, e.reason, e.seq) for e in events] == [
        ("no_data", "no_data", "silent", 1),
        ("resolved", "resolved", "data_returned", 2),
    ]
    assert events[0].time_ms - EPOCH_MS - 200_000 == pytest.approx(5 * MINUTE_MS, abs=10_000)
    assert events[0].evidence.n == 0


def test_an_alert_that_falls_silent_says_so_within_its_episode_and_goes_on() -> None:
    broken = timeline((100, 0), (30, 1))
    log = pauses(broken, minutes=12)
    later = timeline((10, 1), (400, 0), first_trace=10**6)
    shift = log[-1].append_ms - EPOCH_MS + 1_000
    events = alerts(run(new_fold(silence("alert")), [*log, *(Entry(r, at + shift) for r, at in later)]))
    assert [(e.type, e.reason, e.previous_status) for e in events] == [
        ("firing", "rate_above_line", "ok"),
        ("no_data", "silent", "firing"),
        ("updated", "data_returned", "no_data"),
        ("resolved", "recovered", "firing"),
    ]
    assert len({e.episode for e in events}) == 1


def test_a_rule_may_end_an_alert_whose_series_falls_silent() -> None:
    events = alerts(run(new_fold(silence("resolve")), pauses(timeline((100, 0), (30, 1)), minutes=60)))
    assert [(e.type, e.reason) for e in events] == [("firing", "rate_above_line"), ("resolved", "no_data")]


def test_by_default_silence_changes_nothing() -> None:
    assert alerts(run(new_fold(), pauses(timeline((100, 0)), minutes=600, tick_s=60))) == []


def test_a_silence_of_the_pipeline_is_no_silence_of_the_series_and_the_heartbeat_says_so() -> None:
    quiet = pauses(timeline((100, 0)), minutes=30)
    lagging = [Entry(Tick(1, 400.0), e.append_ms) if isinstance(e.record, Tick) else e for e in quiet]
    emitted = run(new_fold(silence("alert")), lagging)
    assert alerts(emitted) == []
    assert [e.suppressed for e in emitted if isinstance(e, Heartbeat)][-1] == 1


def test_an_outage_of_the_alerter_itself_is_not_counted_as_silence() -> None:
    log = timeline((100, 0))
    gap_ms = 6 * 3_600_000
    after = [Entry(tick(), log[-1].append_ms + gap_ms + s * 1_000) for s in range(0, 200, 10)]
    fold = new_fold(silence("alert", "10m"))
    assert alerts(run(fold, [*log, *after])) == []
    assert fold.board.series


def test_a_series_that_stays_silent_for_a_day_expires_once() -> None:
    events = alerts(run(new_fold(silence("alert")), pauses(timeline((100, 0)), minutes=26 * 60, tick_s=60)))
    assert [e.type for e in events].count("resolved") == 1
    assert events[-1].reason == "series_expired"


# --- marks


@pytest.mark.parametrize(
    ("silence", "marked"),
    [
        ("{until: '2099-01-01T00:00:00Z'}", True),
        ("{until: '2099-01-01T00:00:00Z', rule: 'too*'}", True),
        ("{until: '2099-01-01T00:00:00Z', match: {workflow: 'ref*', step: '*update_crm'}}", True),
        ("{until: '2099-01-01T00:00:00Z', match: {step: other}}", False),
        ("{until: '2020-01-01T00:00:00Z'}", False),
        ("{from: '2098-01-01T00:00:00Z', until: '2099-01-01T00:00:00Z'}", False),
    ],
)
def test_a_silence_marks_events_and_never_withholds_them(silence: str, marked: bool) -> None:
    (firing,) = alerts(run(new_fold(RULES + f"silences: [{silence}]\n"), timeline((100, 0), (30, 1))))
    assert firing.silenced is marked


def test_a_rule_says_how_often_a_lasting_alert_is_told_again() -> None:
    events = alerts(run(new_fold(RULES + "    renotify: 5m\n"), timeline((100, 0), (600, 0.9))))
    assert 300_000 <= events[1].time_ms - events[0].time_ms < 315_000
    assert {e.expires_ms - e.time_ms for e in events} == {20 * MINUTE_MS}


# --- caps


def crowded(minutes: int) -> Alerting:
    """Two series at a cap of two, one of them firing; a third step comes after some minutes."""
    fold = new_fold(RULES + "    max_series: 2\n")
    junk = Entry(record(trace(10**6, outcome(step="junk"))), EPOCH_MS)
    log = [Entry(tick(), EPOCH_MS), junk, *timeline((30, 1))]
    newcomers = [
        Entry(entry, log[-1].append_ms + minutes * MINUTE_MS + 20_000 * n)
        for n in range(3)
        for entry in (record(trace(2 * 10**6 + n, outcome(step="new"))), tick())
    ]
    run(fold, [*log, *newcomers])
    return fold


@pytest.mark.parametrize(
    ("minutes", "steps"), [(10, ["executor/update_crm", "junk"]), (70, ["executor/update_crm", "new"])]
)
def test_at_a_cap_a_stale_series_makes_room_and_one_that_fires_never(minutes: int, steps: list[str]) -> None:
    fold = crowded(minutes)
    assert sorted(dict(s.labels)["step"] for s in fold.board.series.values()) == steps
    assert len(fold.firing()) == 1
    assert fold.board.dropped.total() == (3 if minutes == 10 else 1)


def test_room_is_made_only_where_it_was_wanted() -> None:
    fold = new_fold(RULES + "    max_series: 2\n")
    old = [record(trace(n, outcome(step=f"s{n % 2}")), workflow=w) for n, w in enumerate(["a", "a", "b", "b"])]
    late = EPOCH_MS + 90 * MINUTE_MS
    new = [Entry(record(trace(10 + n, outcome(step=f"new{n}")), workflow="a"), late) for n in range(4)]
    run(fold, [Entry(tick(), EPOCH_MS), *(Entry(r, EPOCH_MS) for r in old), *new, Entry(tick(), late)])
    assert sorted(s.workflow for s in fold.board.series.values()) == ["b", "b"]


def test_a_partition_that_is_full_of_alerts_gives_none_of_them_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "SERIES_MAX", 2)
    fold = new_fold()
    log = [e for w in ("a", "b") for e in timeline((30, 1), workflow=w, first_trace=10 ** (3 + ord(w) - 97))]
    late = log[-1].append_ms + 90 * MINUTE_MS
    run(fold, [*log, Entry(record(trace(9), workflow="c"), late), Entry(tick(), late), Entry(tick(), late + 10_000)])
    assert sorted(s.workflow for s in fold.firing()) == ["a", "b"]


def test_a_tenant_that_invents_workflows_takes_nobody_elses_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "WORKFLOWS_MAX", 3)
    fold = new_fold()
    log = [Entry(record(trace(n), workflow=f"w{n}", tenant="hostile"), EPOCH_MS) for n in range(50)]
    log += [Entry(record(trace(100), workflow="refund", tenant="other"), EPOCH_MS)]
    late = (
        EPOCH_MS + 90 * MINUTE_MS
    )  # by then they are stale: a tick makes as much room as was wanted since the last one
    wanted = [Entry(record(trace(200), workflow="new", tenant="hostile"), late), Entry(tick(), late)]
    again = Entry(record(trace(201), workflow="new", tenant="hostile"), late + 10_000)
    run(fold, [Entry(tick(), EPOCH_MS), *log])
    held = sorted((s.tenant, s.workflow) for s in fold.board.series.values())
    assert held == [("hostile", "w0"), ("hostile", "w1"), ("hostile", "w2"), ("other", "refund")]
    assert fold.board.dropped.total() == 47
    fold = new_fold()
    run(fold, [Entry(tick(), EPOCH_MS), *log, Entry(tick(), EPOCH_MS + 10_000), *wanted, again])
    held = sorted((s.tenant, s.workflow) for s in fold.board.series.values())
    assert ("hostile", "new") in held and ("other", "refund") in held
