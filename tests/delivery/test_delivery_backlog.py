"""The backlog's laws: order within an alert, independence between alerts, repetitions, and what may be committed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.delivery.backlog import Backlog
from streams.delivery.message import Message, Place
from tests.delivery.events import series

EPISODE = series("a").event.episode


def keys(backlog: Backlog, now_s: float = 0.0) -> list[tuple[str, int]]:
    return [(w.message.alert_key, w.message.event.seq) for w in backlog.ready(now_s)]


def filled(*messages: Message, settled: dict[str, Place] | None = None) -> Backlog:
    backlog = Backlog(0, settled or {})
    for message in messages:
        backlog.admit(message, 0.0)
    return backlog


def test_events_of_one_alert_go_one_after_the_other_and_alerts_side_by_side() -> None:
    backlog = filled(series("a", 1, 0), series("b", 1, 1), series("a", 2, 2))
    assert keys(backlog) == [("a", 1), ("b", 1)]
    first = backlog.ready(0.0)[0]
    backlog.hand_out(first)
    assert keys(backlog) == [("b", 1)]
    backlog.settle(first)
    assert keys(backlog) == [("b", 1), ("a", 2)]


def test_one_that_is_tried_again_holds_up_its_own_alert_only_and_the_offset() -> None:
    backlog = filled(series("a", 1, 0), series("b", 1, 1), series("a", 2, 2))
    a, b = backlog.ready(0.0)
    for each in (a, b):
        backlog.hand_out(each)
    backlog.try_again(a, 60.0)
    backlog.settle(b)
    assert keys(backlog) == []
    assert [w.due_s for w in backlog.next_up()] == [60.0]
    assert backlog.committable == 0
    assert keys(backlog, 60.0) == [("a", 1)]


def test_offsets_are_committable_up_to_the_first_that_is_not_settled() -> None:
    backlog = Backlog(5, {})
    assert backlog.committable == 5
    backlog.pass_over(5)
    backlog.admit(series("a", 1, 6), 0.0)
    backlog.pass_over(9)  # offsets may have gaps
    assert (backlog.committable, backlog.ahead) == (6, 2)
    (a,) = backlog.ready(0.0)
    backlog.hand_out(a)
    backlog.settle(a)
    assert (backlog.committable, backlog.ahead, backlog.waiting) == (10, 0, 0)


@pytest.mark.parametrize(
    ("settled", "seq", "new"),
    [({}, 1, True), ({"a": (EPISODE, 1)}, 1, False), ({"a": (EPISODE, 1)}, 2, True), ({"b": (EPISODE, 9)}, 1, True)],
)
def test_what_the_log_has_as_settled_is_a_repetition(settled: dict[str, Place], seq: int, new: bool) -> None:
    backlog = Backlog(0, settled)
    assert backlog.admit(series("a", seq), 0.0) == new
    assert backlog.committable == (0 if new else 1)


def test_a_repetition_of_one_that_waits_is_passed_over_and_cannot_be_committed_past_it() -> None:
    backlog = filled(series("a", 1, 0), series("a", 1, 1))
    assert backlog.waiting == 1
    assert backlog.committable == 0


Script = list[tuple[str, int]]
SCRIPTS = st.lists(st.tuples(st.sampled_from(["read", "deliver", "fail", "restart"]), st.integers(0, 2)), max_size=40)
PUBLISHED = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1)), max_size=12)


@given(PUBLISHED, SCRIPTS)
def test_however_attempts_end_all_is_delivered_once_in_order_and_all_is_committable(
    published: list[tuple[str, int]], script: Script
) -> None:
    """Events come as they are published, some twice; attempts fail and overtake each other; sometimes all restarts."""
    log: list[Message] = []
    for key, repeated in published:
        seq = 1 + max((m.event.seq for m in log if m.alert_key == key), default=0) - repeated
        log.append(series(key, max(1, seq), len(log)))
    delivered: list[Message] = []
    settled: dict[str, Place] = {}
    backlog, position, now = Backlog(0, settled), 0, 0.0
    for action, choice in [*script, *[("read", 0), ("deliver", 0)] * 2 * (len(log) + len(script))]:
        now += 1
        if action == "read" and position < len(log):
            backlog.admit(log[position], now)
            position += 1
        elif action == "restart":
            position = backlog.committable
            backlog = Backlog(position, settled)
        elif action in ("deliver", "fail") and (ready := backlog.ready(now)):
            waiting = ready[choice % len(ready)]
            backlog.hand_out(waiting)
            if action == "fail":
                backlog.try_again(waiting, now + 2)
                continue
            delivered.append(waiting.message)
            settled[waiting.message.alert_key] = waiting.message.place
            backlog.settle(waiting)
    assert (backlog.committable, backlog.waiting) == (len(log), 0)
    for key in "abc":
        theirs = [m.place for m in delivered if m.alert_key == key]
        assert theirs == sorted({m.place for m in log if m.alert_key == key})
