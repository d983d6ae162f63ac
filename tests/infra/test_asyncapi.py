"""The AsyncAPI document says what the code publishes: topics, types, headers and bodies.

It is valid AsyncAPI 3.0.0 by the specification's own JSON Schema, tried by hand when it was written; what is held here is that
it stays true.
"""

from collections.abc import Iterator
from typing import Any, get_args

import jsonschema_rs
import pytest

from schemas.alert import AlertEvent, AlertType, Pipeline
from schemas.cloud_event import TYPE_PREFIX, to_cloud_event
from streams.settings import Settings
from streams.topics import specs
from tests.documents import INFRA, asyncapi, check_event
from tests.schemas.test_alert import EMITTED, OTHERS

PIPELINE = Pipeline(emitted_ms=1_760_000_900_000, version="0.1.0")


def references(of: Any) -> Iterator[str]:
    if isinstance(of, dict):
        if isinstance(of.get("$ref"), str):
            yield of["$ref"]
        for value in of.values():
            yield from references(value)
    elif isinstance(of, list):
        for value in of:
            yield from references(value)


def test_every_reference_leads_somewhere() -> None:
    found = set(references(asyncapi()))
    assert len(found) > 10
    for reference in found:
        file, _, place = reference.partition("#/")
        if file:
            assert (INFRA / file).exists()
            continue
        at: Any = asyncapi()
        for name in place.split("/"):
            at = at[name]


def test_channels_are_the_topics_as_they_are_made() -> None:
    made = {spec.name: spec for spec in specs(Settings())}
    for channel in asyncapi()["channels"].values():
        binding, spec = channel["bindings"]["kafka"], made[channel["address"]]
        assert (binding["topic"], binding["partitions"]) == (spec.name, spec.partitions)
        for name, value in binding["topicConfiguration"].items():
            assert spec.config[name] == (",".join(value) if isinstance(value, list) else str(value))


def test_messages_are_the_types_of_events() -> None:
    names = {message["name"] for message in asyncapi()["components"]["messages"].values()}
    assert names == {f"{TYPE_PREFIX}{kind}.v1" for kind in (*get_args(AlertType), "heartbeat")}


def test_every_emitted_event_is_as_the_document_says() -> None:
    seen = set()
    for event in [*EMITTED, *OTHERS]:
        _, headers, value = to_cloud_event(event, PIPELINE)
        seen.add(check_event(headers, value))
    assert seen == {message["name"] for message in asyncapi()["components"]["messages"].values()}


@pytest.mark.parametrize("missing", ["ce_id", "ce_subject", "ce_sequence"])
def test_a_header_that_is_missing_is_told(missing: str) -> None:
    event = next(event for event in EMITTED if isinstance(event, AlertEvent))
    _, headers, value = to_cloud_event(event, PIPELINE)
    with pytest.raises(jsonschema_rs.ValidationError, match=missing):
        check_event([header for header in headers if header[0] != missing], value)
