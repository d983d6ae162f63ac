"""Laws of the alert fold: a replay, a restart anywhere, repetitions and other neighbours change no event."""

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.outcome import Tick
from schemas.rules import parse_rules
from streams.core.alerting import Alerting, Emitted
from streams.core.checkpoint import restore, snapshot
from tests.builders import EPOCH_MS
from tests.outcomes import RULES, Entry, alerts, new_fold, outcome, record, run, tick, trace

OTHER_RULES = RULES.replace("0.05", "0.2")
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


def learnt(alerting: Alerting) -> Alerting:
    for seq, text in enumerate((RULES, OTHER_RULES), 1):
        alerting.learn(seq, parse_rules(text, "rules.yaml"))
    return alerting


def restarted(alerting: Alerting, log: list[Entry], place: int) -> Alerting:
    """As after a crash: from the checkpoint's bytes, with the filter rebuilt from the log."""
    fold = restore(snapshot(alerting))
    for offset in range(fold.seen.since.offset, place):
        fold.remember(log[offset].record, log[offset].append_ms, offset)
    return learnt(fold)


@given(logs(), st.lists(st.integers(0, 200), max_size=5))
@settings(max_examples=60, deadline=None)
def test_restarts_at_any_places_change_no_event(log: list[Entry], places: list[int]) -> None:
    undisturbed = run(learnt(new_fold()), log)
    fold, emitted, cuts = learnt(new_fold()), list[Emitted](), sorted({p % len(log) for p in places})
    for start, end in zip([0, *cuts], [*cuts, len(log)], strict=True):
        emitted += run(fold, log[start:end], start)
        fold = restarted(fold, log, end)
    assert emitted == undisturbed


@given(logs())
@settings(max_examples=40, deadline=None)
def test_each_firing_has_at_most_one_resolve_and_nothing_follows_it(log: list[Entry]) -> None:
    fold = learnt(new_fold())
    open_episodes: dict[str, tuple[int, int]] = {}
    for event in alerts(run(fold, log)):
        if event.type == "firing":
            assert event.alert_key not in open_episodes
            assert event.seq == 1
        else:
            assert open_episodes[event.alert_key] == (event.episode, event.seq - 1)
        open_episodes[event.alert_key] = event.episode, event.seq
        if event.type == "resolved":
            del open_episodes[event.alert_key]
    assert open_episodes.keys() == {series.key for series in fold.firing()}


@given(logs(), st.data())
@settings(max_examples=40, deadline=None)
def test_outcome_records_that_come_twice_change_no_event(log: list[Entry], data: st.DataObject) -> None:
    copies = [data.draw(st.integers(1, 2)) if not isinstance(entry.record, Tick) else 1 for entry in log]
    doubled = [entry for entry, n in zip(log, copies, strict=True) for _ in range(n)]
    offset_of = dict(zip(accumulate(copies, initial=0), range(len(log)), strict=False))
    events = [e._replace(offset=offset_of[e.offset]) for e in alerts(run(learnt(new_fold()), doubled))]
    assert events == alerts(run(learnt(new_fold()), log))


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
