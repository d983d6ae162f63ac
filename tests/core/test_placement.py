"""A sender that places traces otherwise is seen, and what it does wrong is named."""

import random

import pytest

from schemas.partition import Partitioner, partition_of_trace
from streams.core.placement import TELL_FROM, Placement

PARTITIONS = 12
TRACES = [random.Random(7).randbytes(16) for _ in range(200)]


def test_a_sender_that_keeps_to_it_is_never_named() -> None:
    placement = Placement("sarama")
    for trace in TRACES:
        assert not placement.look(trace, partition_of_trace(trace, PARTITIONS, "sarama"), PARTITIONS)
    assert (placement.misplaced, placement.news()) == (0, "")


@pytest.mark.parametrize(("ours", "theirs"), [("sarama", "murmur2"), ("murmur2", "sarama")])
def test_the_other_hasher_is_named_once(ours: Partitioner, theirs: Partitioner) -> None:
    placement = Placement(ours)
    for trace in TRACES:
        placement.look(trace, partition_of_trace(trace, PARTITIONS, theirs), PARTITIONS)
    assert placement.misplaced > 150
    assert f"STEPWATCH_RECORD_PARTITIONER={theirs}" in placement.news()
    assert placement.news() == ""


def test_spans_that_are_not_placed_by_trace_are_named() -> None:
    placement, draw = Placement("sarama"), random.Random(8)
    for trace in TRACES:
        placement.look(trace, draw.randrange(PARTITIONS), PARTITIONS)
    assert "partition_traces_by_id: true" in placement.news()


def test_a_trial_or_two_is_no_news() -> None:
    placement, n = Placement("sarama"), 0
    for trace in TRACES:
        wrong = (partition_of_trace(trace, PARTITIONS, "sarama") + 1) % PARTITIONS
        n += placement.look(trace, wrong, PARTITIONS)
        assert bool(placement.news()) == (n == TELL_FROM)
        if n == TELL_FROM:
            return
