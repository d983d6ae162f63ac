"""The Collector that we ship writes what we read, and keeps what its defaults would lose."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.settings import Settings
from streams.topics import specs

CONFIG: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "infra/collector/collector.yaml").read_text())
KAFKA: dict[str, Any] = CONFIG["exporters"]["kafka"]
DEFAULTS = Settings.model_construct()


@pytest.mark.parametrize(
    ("section", "setting", "value"),
    [
        ("producer", "required_acks", -1),
        ("producer", "allow_auto_topic_creation", False),
        ("retry_on_failure", "enabled", True),
        ("retry_on_failure", "max_elapsed_time", 0),
        ("sending_queue", "enabled", True),
        ("sending_queue", "storage", "file_storage"),
    ],
)
def test_the_settings_that_lose_spans_by_default_are_set(section: str, setting: str, value: object) -> None:
    assert KAFKA[section][setting] == value


def test_the_queue_is_on_disk_and_its_extension_runs() -> None:
    assert "file_storage" in CONFIG["service"]["extensions"]
    assert CONFIG["extensions"]["file_storage"]["fsync"] is True


def test_nothing_answers_a_sender_before_the_queue_on_disk_has_the_spans() -> None:
    assert CONFIG["service"]["pipelines"] == {
        "traces": {"receivers": ["otlp"], "processors": [], "exporters": ["kafka"]}
    }


def test_a_trace_is_placed_as_the_gateway_places_it() -> None:
    assert KAFKA["partition_traces_by_id"] is True
    assert (KAFKA["record_partitioner"]["sticky_key"]["hasher"], DEFAULTS.record_partitioner) == (
        "sarama_compat",
        "sarama",
    )


def test_it_writes_our_topic_within_what_the_topic_takes() -> None:
    topic = specs(DEFAULTS)[0]
    assert KAFKA["traces"] == {"topic": f"${{env:STEPWATCH_SPANS_TOPIC:-{topic.name}}}", "encoding": "otlp_proto"}
    assert 1_000_000 < KAFKA["producer"]["max_message_bytes"] < int(topic.config["max.message.bytes"])


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_it_is_reached_from_this_machine_only_until_somebody_says_otherwise(protocol: str) -> None:
    endpoint = CONFIG["receivers"]["otlp"]["protocols"][protocol]["endpoint"]
    assert endpoint.split(":-")[1].startswith("127.0.0.1:")
    assert not endpoint.endswith(f":{DEFAULTS.gateway_port}}}")
