"""The private hooks of Faust and aiokafka that `streams/worker/ledger.py` leans on. A new version that moves one fails here."""

import inspect

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from faust import App
from faust.tables.manager import TableManager
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.utils.queues import FlowControlQueue, ThrowableQueue

from streams.worker.ledger import LedgerConsumer

HOOKS = [
    (Consumer, "getmany"),
    (Consumer, "_wait_next_records"),
    (Consumer, "_new_offset"),
    (Consumer, "perform_seek"),
    (Consumer, "on_partitions_revoked"),
    (Consumer, "commit"),
    (Consumer, "verify_event_path"),
    (driver.Consumer, "_new_consumer_thread"),
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer"),
    (driver.AIOKafkaConsumerThread, "_fetch_records"),
    (driver.AIOKafkaConsumerThread, "seek_to_committed"),
    (driver.AIOKafkaConsumerThread, "_ensure_consumer"),
    (GroupCoordinator, "fetch_committed_offsets"),
    (AIOKafkaClient, "get_random_node"),
    (AIOKafkaClient, "send"),
    (App, "_new_transport"),
    (App, "_create_directories"),
    (App, "FlowControlQueue"),
    (TableManager, "_update_channels"),
]


@pytest.mark.parametrize(("owner", "name"), HOOKS, ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_the_method_that_is_overridden_or_called_is_there(owner: type, name: str) -> None:
    assert callable(getattr(owner, name, None))


@pytest.mark.parametrize("name", ["_acked", "_read_offset", "_committed_offset", "_buffered_partitions", "flow_active"])
def test_the_consumer_keeps_its_offsets_under_these_names(name: str) -> None:
    # Annotated on the class or assigned on the way to a running consumer: instances need a broker.
    sources = [inspect.getsource(c) for c in driver.Consumer.__mro__ if c.__module__.startswith("faust")]
    assert any(name in source for source in sources)


def test_commits_go_through_the_consumers_own_commit_and_seeks_through_its_threads() -> None:
    source = inspect.getsource(driver.AIOKafkaConsumerThread._commit)
    assert "await consumer.commit(aiokafka_offsets)" in source
    assert "self._thread.seek_to_committed()" in inspect.getsource(driver.Consumer.seek_to_committed)
    assert "self._client = " in inspect.getsource(AIOKafkaConsumer.__init__)


def test_commits_visit_the_partitions_of_acked() -> None:
    assert "self._acked" in inspect.getsource(Consumer._filter_tps_with_pending_acks)


def test_the_fetch_wait_and_the_poll_time_of_aiokafka_can_be_set() -> None:
    assert "self._fetch_max_wait_ms" in inspect.getsource(AIOKafkaConsumer.__init__)
    assert "_last_fetch_ended" in inspect.getsource(SubscriptionState.fetcher_idle_time.fget)


def test_a_poll_asks_for_as_many_records_as_the_consumer_says_and_empties_its_fetches_in_their_order() -> None:
    assert "max_records=_consumer._max_poll_records" in inspect.getsource(driver.AIOKafkaConsumerThread.getmany)
    assert "for tp in list(self._records.keys())" in inspect.getsource(Fetcher.fetched_records)


def test_a_start_with_tables_sleeps_and_does_no_more_than_ours() -> None:
    _, does = inspect.getsource(TableManager.on_start).split("self.sleep(1.0)")
    assert [line.strip() for line in does.splitlines() if "await" in line] == [
        "await self._update_channels()",
        "await self.recovery.start()",
    ]


def test_a_full_buffer_resumes_what_it_has_paused_one_by_one() -> None:
    source = inspect.getsource(FlowControlQueue)
    assert "pending.pop()" in source and "pending.add(callback)" in source
    assert "pending = self._pending_pressure_drop_callbacks" in source
    assert issubclass(ThrowableQueue, FlowControlQueue)


def test_the_fetch_state_of_a_partition_has_its_highwater_and_time() -> None:
    source = inspect.getsource(TopicPartitionState.__init__)
    assert "self.highwater" in source
    assert "self.timestamp" in source


def test_a_partition_without_a_position_crashes_no_worker() -> None:
    """Found by chaos: a topic that was made anew is assigned, Faust's detector of livelocks looks before it is sought."""
    assert "assert self._position is not None" in inspect.getsource(TopicPartitionState.position.fget)
    assert "tp_state.position" in inspect.getsource(driver.AIOKafkaConsumerThread.verify_event_path)
    consumer = object.__new__(LedgerConsumer)  # it has no thread to ask
    consumer.verify_event_path(0.0, TP("otlp_spans", 0))
