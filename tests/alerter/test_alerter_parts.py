"""The alerter's shell in its pure parts: rules by config record, seeing things once, lag, rows of the history."""

from collections.abc import Iterable
from types import SimpleNamespace

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from schemas.alert import AlertEvent, Pipeline
from schemas.cloud_event import to_cloud_event
from streams.alerter import patience
from streams.alerter.history import row_of
from streams.alerter.lag import Moments
from streams.alerter.rules_log import RulesLog
from streams.alerter.subscriber import Once, Received, _keep_newest
from streams.config_log import ConfigRecord
from tests.outcomes import RULES, alerts, new_fold, run, timeline

FIRING, RESOLVED, FIRING_AGAIN = alerts(run(new_fold(), timeline((100, 0), (30, 1), (300, 0), (30, 1))))
BROKEN = "rules: [{uid: 7}]"


class Records:
    """A config log that is read in portions."""

    def __init__(self, *portions: Iterable[ConfigRecord]) -> None:
        self._portions = [list(portion) for portion in portions]

    async def read_new(self) -> list[ConfigRecord]:
        return self._portions.pop(0) if self._portions else []


async def followed(*portions: Iterable[ConfigRecord]) -> RulesLog:
    rules = RulesLog(Records(*portions))  # type: ignore[arg-type]
    for _ in portions:
        await rules.follow()
    return rules


async def test_nothing_applied_is_config_zero() -> None:
    rules = await followed([])
    assert (rules.newest_seq, rules.at(1)) == (0, None)


async def test_rules_are_found_by_the_seq_of_their_config_or_by_the_next_one_that_survived() -> None:
    rules = await followed([ConfigRecord(3, "", RULES)], [ConfigRecord(7, "", "")])
    assert rules.newest_seq == 7
    lengths = [len(found.rules) for seq in (1, 3, 4, 7) if (found := rules.at(seq)) is not None]
    assert lengths == [1, 1, 0, 0]
    assert rules.at(8) is None


async def test_rules_that_cannot_be_read_keep_the_last_good_ones() -> None:
    rules = await followed([ConfigRecord(1, "", RULES), ConfigRecord(2, "", BROKEN)])
    assert rules.newest_seq == 2
    assert rules.at(2) == rules.at(1)


def test_an_older_state_behind_a_newer_one_is_not_the_state() -> None:
    found: dict[str, Received] = {}
    records = [state_record(event) for event in (FIRING, RESOLVED, FIRING)]
    for record in records:
        _keep_newest(found, record)
    assert [received.event for received in found.values()] == [RESOLVED]
    _keep_newest(found, state_record(FIRING_AGAIN))
    assert [received.event for received in found.values()] == [FIRING_AGAIN]
    _keep_newest(found, SimpleNamespace(key=FIRING.alert_key.encode(), headers=[], value=None))
    assert found == {}


def state_record(event: AlertEvent) -> SimpleNamespace:
    key, headers, value = to_cloud_event(event, Pipeline(event.time_ms, "1"))
    return SimpleNamespace(key=key, headers=headers, value=value)


@pytest.mark.parametrize(
    ("heard", "new"),
    [
        ([FIRING, RESOLVED, FIRING_AGAIN], [True, True, True]),
        ([FIRING, FIRING, RESOLVED, FIRING], [True, False, True, False]),
        ([FIRING_AGAIN, RESOLVED], [True, False]),
        ([FIRING, FIRING._replace(alert_key="other")], [True, True]),
    ],
)
def test_a_subscriber_hears_each_transition_once_and_never_an_older_one(
    heard: list[AlertEvent], new: list[bool]
) -> None:
    once = Once()
    assert [once.is_new(event) for event in heard] == new


def test_lag_is_the_age_of_the_newest_end_that_is_committed_as_a_whole() -> None:
    a, b = TopicPartition("spans", 0), TopicPartition("spans", 1)
    moments = Moments()
    seen = [
        (0.0, {a: 10, b: 5}, {a: 10, b: 5}, 0.0),
        (1.0, {a: 20, b: 5}, {a: 10, b: 5}, 1.0),
        (2.0, {a: 30, b: 9}, {a: 20, b: 5}, 1.0),
        (9.0, {a: 30, b: 9}, {a: 30, b: 8}, 8.0),
        (10.0, {a: 30, b: 9}, {a: 30, b: 9}, 0.0),
    ]
    assert [moments.lag_s(now, ends, committed) for now, ends, committed, _ in seen] == [lag for *_, lag in seen]


def test_a_row_has_the_labels_the_evidence_and_the_event_itself() -> None:
    row = row_of(FIRING)
    assert (row.workflow, row.step, row.evaluator) == ("refund", "executor/update_crm", "ToolCallSuccess")
    assert (row.id, row.n, row.fails, row.rate) == (FIRING.id, FIRING.evidence.n, 9, FIRING.evidence.rate)
    assert orjson.loads(row.payload)["alert_key"] == FIRING.alert_key
    assert row == row_of(FIRING), "equal events are equal rows"


async def test_work_is_tried_until_it_succeeds() -> None:
    waits: list[float] = []

    async def no_wait(seconds: float) -> None:
        waits.append(seconds)

    failures = iter([KafkaConnectionError("away")] * 9)

    async def work() -> str:
        for failure in failures:
            raise failure
        return "done"

    assert await patience.patiently("testing", work, no_wait) == "done"
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


async def test_a_bug_is_not_tried_again() -> None:
    async def work() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        await patience.patiently("testing", work)
