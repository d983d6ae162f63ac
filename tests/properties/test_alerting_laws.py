"""Laws of the alert fold: a replay, a restart anywhere, repetitions and other neighbours change no event."""

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.outcome import Tick
from schemas.rule import NO_RULES
from schemas.rules import parse_rules
from streams.core.alerting import Alerting, Emitted
from streams.core.checkpoint import restore, snapshot
from tests.builders import EPOCH_MS
from tests.outcomes import RULES, Entry, alerts, new_fold, outcome, record, run, tick, trace

OTHER_RULES = RULES.replace("0.05", "0.2")
EVERYTHING = """
rules:
  - uid: ladder
    match: {step: a}
    condition: {fail_rate_above: {warning: 0.05, critical: 0.5}}
    resolve: {hold: 1m}
    no_data: {after: 5m, do: alert}
    renotify: 2m
  - {uid: spans, unit: span, design_effect: 2, condition: {fail_rate_above: 0.1}, no_data: {after: 2m, do: resolve}}
  - uid: window
    condition: {method: window, fail_rate_above: {warning: 0.2, error: 0.6}, for: 1m, min_events: 5, confidence: 0.9}
    resolve: {hold: 30s}
    no_data: {after: 10m, do: alert}
  - {uid: baseline, condition: {method: baseline, reference: 1h, min_events: 20, ratio: 1.1}, max_series: 1}
silences: [{rule: window, until: "2100-01-01T00:00:00Z"}]
"""
LATER = EVERYTHING.replace("critical: 0.5", "critical: 0.7").replace("for: 1m", "for: 2m")
CHANGES = st.sampled_from([(RULES, OTHER_RULES), (EVERYTHING, LATER), (EVERYTHING, RULES)])
HOUR_MS = 3_600_000


@st.composite
def logs(draw: st.DrawFn) -> list[Entry]:
    """A log of up to some hours: phases of failing and passing traces of two steps, repetitions, ticks, a rule change."""
    entries = [Entry(tick(1), EPOCH_MS)]
    at_ms, numbers, failing = EPOCH_MS, st.integers(1, 4_000), False
    for _ in range(draw(st.integers(1, 6))):
        failing = not failing
        gap_ms = draw(st.sampled_from([0, 300, 4_000, 70_000, HOUR_MS]))
        seq = draw(st.sampled_from([1, 1, 1, 2]))
        for number in draw(st.lists(numbers, min_size=10, max_size=40)):
            at_ms += gap_ms
            outcomes = [
                outcome(int(failing and number % 9 > 0), step=step, event_ms=at_ms - 700) for step in ("a", "b")
            ]
            weight = float(number % 50 > 0)
            entries.append(Entry(record(trace(number, *outcomes, weight=weight), trace(number + 4_000)), at_ms))
            if number % 4 == 0:
                at_ms += draw(st.sampled_from([0, 10_000, 60_000]))
                entries.append(Entry(tick(seq), at_ms))
    return entries


def learnt(alerting: Alerting, texts: tuple[str, str] = (RULES, OTHER_RULES)) -> Alerting:
    for seq, text in enumerate(texts, 1):
        alerting.learn(seq, parse_rules(text, "rules.yaml"))
    return alerting


def folded(texts: tuple[str, str]) -> Alerting:
    return learnt(Alerting(partition=3), texts)


def restarted(alerting: Alerting, log: list[Entry], place: int, texts: tuple[str, str]) -> Alerting:
    """As after a crash: from the checkpoint's bytes, with the filter rebuilt from the log."""
    fold = restore(snapshot(alerting))
    for offset in range(fold.seen.since.offset, place):
        fold.remember(log[offset].record, log[offset].append_ms, offset)
    return learnt(fold, texts)


@given(logs(), CHANGES)
@settings(max_examples=20, deadline=None)
def test_the_fold_is_a_function_of_the_log(log: list[Entry], texts: tuple[str, str]) -> None:
    assert run(folded(texts), log) == run(folded(texts), log)


@given(logs(), st.lists(st.integers(0, 200), max_size=5), CHANGES)
@settings(max_examples=80, deadline=None)
def test_restarts_at_any_places_change_no_event(log: list[Entry], places: list[int], texts: tuple[str, str]) -> None:
    undisturbed = run(folded(texts), log)
    fold, emitted, cuts = folded(texts), list[Emitted](), sorted({p % len(log) for p in places})
    for start, end in zip([0, *cuts], [*cuts, len(log)], strict=True):
        emitted += run(fold, log[start:end], start)
        fold = restarted(fold, log, end, texts)
    assert emitted == undisturbed


@given(logs(), st.integers(0, 200), CHANGES)
@settings(max_examples=40, deadline=None)
def test_an_older_checkpoint_only_says_again_what_was_said(
    log: list[Entry], place: int, texts: tuple[str, str]
) -> None:
    """As when the checkpoint of a fenced alerter lands last."""
    cut = place % len(log)
    fold = folded(texts)
    said = run(fold, log[:cut])
    older = restarted(fold, log, cut, texts)
    said += run(fold, log[cut:], cut)
    again = run(older, log[cut:], cut)
    assert said[len(said) - len(again) :] == again
    assert len({e.id for e in alerts(said)}) == len(alerts(said))


@given(logs(), CHANGES)
@settings(max_examples=40, deadline=None)
def test_each_episode_has_one_resolve_once_its_rules_are_gone_and_nothing_follows_it(
    log: list[Entry], texts: tuple[str, str]
) -> None:
    fold = folded(texts)
    fold.learn(3, NO_RULES)
    open_episodes: dict[str, tuple[int, int]] = {}
    for event in alerts(run(fold, [*log, Entry(tick(3), log[-1].append_ms)])):
        if event.seq == 1:
            assert event.type in ("firing", "no_data")
            assert event.alert_key not in open_episodes
        else:
            assert open_episodes[event.alert_key] == (event.episode, event.seq - 1)
        open_episodes[event.alert_key] = event.episode, event.seq
        if event.type == "resolved":
            del open_episodes[event.alert_key]
    assert not open_episodes


@given(logs(), st.data(), CHANGES)
@settings(max_examples=40, deadline=None)
def test_outcome_records_that_come_twice_change_no_event(
    log: list[Entry], data: st.DataObject, texts: tuple[str, str]
) -> None:
    copies = [data.draw(st.integers(1, 2)) if not isinstance(entry.record, Tick) else 1 for entry in log]
    doubled = [entry for entry, n in zip(log, copies, strict=True) for _ in range(n)]
    offset_of = dict(zip(accumulate(copies, initial=0), range(len(log)), strict=False))
    events = [e._replace(offset=offset_of[e.offset]) for e in alerts(run(folded(texts), doubled))]
    assert events == alerts(run(folded(texts), log))


@given(logs(), st.data(), CHANGES)
@settings(max_examples=20, deadline=None)
def test_copies_may_come_in_any_order_among_what_follows(
    log: list[Entry], data: st.DataObject, texts: tuple[str, str]
) -> None:
    """After a crash a flush is published again: some of its records, in any order, behind the first time.

    Within the hour that the filter of seen traces promises.
    """
    cut = data.draw(st.integers(1, len(log)))
    late_ms = log[cut - 1].append_ms
    recent = [e.record for e in log[max(0, cut - 10) : cut] if e.append_ms > late_ms - HOUR_MS]
    flush = [r for r in recent if not isinstance(r, Tick)]
    order = data.draw(st.permutations(range(len(flush))))
    again = [Entry(flush[i], late_ms) for i in order]
    repeated = [*log[:cut], *again, *log[cut:]]
    events = alerts(run(folded(texts), repeated))
    assert [e._replace(offset=0) for e in events] == [e._replace(offset=0) for e in alerts(run(folded(texts), log))]


@given(logs())
@settings(max_examples=20, deadline=None)
def test_events_of_a_series_do_not_depend_on_other_workflows_of_its_partition(log: list[Entry]) -> None:
    """But for the places in the log: each entry is doubled by one of another workflow."""
    doubled = []
    for entry in log:
        doubled.append(entry)
        if not isinstance(entry.record, Tick):
            doubled.append(Entry(entry.record._replace(workflow="triage", tenant="other"), entry.append_ms))
    own = [e._replace(offset=0) for e in alerts(run(learnt(new_fold()), doubled)) if e.tenant == "default"]
    assert own == [e._replace(offset=0) for e in alerts(run(learnt(new_fold()), log))]
