"""Replays of stored outcomes: what fired, under which rules, beside each other."""

from schemas.rules import parse_rules
from streams.core.replay_rules import Beside, Stored, replay, side_by_side, volumes
from tests.builders import EPOCH_MS, TENANT
from tests.outcomes import RULES, alerts, new_fold, outcome, run, timeline, trace

HOUR_MS = 3_600_000


def stored(*failed: int, workflow: str = "refund", start_ms: int = EPOCH_MS) -> list[Stored]:
    """A trace every two seconds, as `timeline` has them."""
    return [
        Stored(start_ms + (i + 1) * 2_000, TENANT, workflow, trace(i + 1, outcome(f, event_ms=start_ms + i * 2_000)))
        for i, f in enumerate(failed)
    ]


BROKEN = stored(*[0] * 100, *[1] * 30, *[0] * 300)
RULE_SET = parse_rules(RULES, "rules.yaml")


def test_a_replay_fires_as_the_alerter_did() -> None:
    (alert,) = replay(RULE_SET, BROKEN, EPOCH_MS + HOUR_MS).alerts
    firing, resolved = alerts(run(new_fold(), timeline((100, 0), (30, 1), (300, 0))))
    assert alert.alert_key == firing.alert_key
    assert abs(alert.fired_ms - firing.fired_ms) <= 10_000
    assert alert.resolved_ms is not None
    assert abs(alert.resolved_ms - resolved.time_ms) <= 20_000
    assert alert.reason == "rate_above_line, recovered"
    assert alert.series == "refund / executor/update_crm / ToolCallSuccess"


def test_what_fires_at_the_end_is_open() -> None:
    (alert,) = replay(RULE_SET, stored(*[0] * 100, *[1] * 30), EPOCH_MS + 300_000).alerts
    assert alert.resolved_ms is None


def test_time_goes_on_to_the_end_and_not_beyond() -> None:
    log = stored(*[0] * 100, *[1] * 30)
    silent = parse_rules(RULES + "    no_data: {after: 10m, do: resolve}\n", "r")
    assert replay(silent, log, log[-1].at_ms + 5 * 60_000).alerts[0].resolved_ms is None
    assert replay(silent, log, log[-1].at_ms + 15 * 60_000).alerts[0].resolved_ms is not None


def test_an_empty_store_replays_to_nothing() -> None:
    assert replay(RULE_SET, [], EPOCH_MS).alerts == ()


def test_alerts_of_one_series_that_overlap_stand_in_one_row() -> None:
    later = stored(*[0] * 100, *[1] * 30, *[0] * 300, workflow="triage", start_ms=EPOCH_MS + 2 * HOUR_MS)
    only_refund = parse_rules(RULES.replace("{evaluator", "{workflow: refund, evaluator"), "r")
    strict = parse_rules(RULES.replace("0.05", "0.01"), "r")
    log, until_ms = [*BROKEN, *later], EPOCH_MS + 4 * HOUR_MS
    rows = side_by_side(replay(only_refund, log, until_ms), replay(strict, log, until_ms))
    assert [(row.today is None, row.changed is None) for row in rows] == [(False, False), (True, False)]
    assert all(isinstance(row, Beside) for row in rows)


def test_the_volume_of_a_series_is_its_runs_a_minute() -> None:
    (one,) = volumes(RULE_SET, BROKEN, span_ms=430 * 2_000)
    assert (one.rule_uid, one.workflow, one.runs) == ("tools", "refund", 430)
    assert one.per_minute == 30
    assert abs(one.fail_rate - 30 / 430) < 1e-9
