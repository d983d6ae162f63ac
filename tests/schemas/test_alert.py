"""Alert events on the wire: CloudEvents attributes, the JSON Schema, and the way back."""

import re
from pathlib import Path
from typing import get_args

import jsonschema_rs
import orjson
import pytest

from schemas.alert import AlertEvent, AlertType, Heartbeat, Pipeline, Reason, Status, alert_key, read_time, spell_time
from schemas.cloud_event import from_cloud_event, to_cloud_event
from tests.outcomes import RULES, new_fold, pauses, run, timeline

SCHEMA = Path(__file__).parents[2] / "infra" / "examples" / "alert-event.schema.json"
PIPELINE = Pipeline(emitted_ms=1_760_000_900_000, version="0.1.0")
LONG = timeline((100, 0), (700, 0.9), (400, 0))
LADDER = """
rules:
  - uid: ladder
    condition: {fail_rate_above: {warning: 0.05, critical: 0.4}}
    resolve: {hold: 1m}
    no_data: {after: 5m, do: alert}
silences: [{until: "2100-01-01T00:00:00Z"}]
"""
WINDOW = RULES.replace("fail_rate_above: 0.05", "method: window, for: 1m, fail_rate_above: 0.05")
EMITTED = [e for e in run(new_fold(RULES + "    labels: {team: ops}\n"), LONG) if isinstance(e, AlertEvent | Heartbeat)]
OTHERS = [
    event
    for rules in (LADDER, WINDOW)
    for event in run(new_fold(rules), pauses(timeline((100, 0), (200, 0.2), (60, 0.9), (200, 0.2), (300, 0)), 10))
    if isinstance(event, AlertEvent | Heartbeat)
]


def of_type(kind: str) -> AlertEvent:
    return next(e for e in EMITTED if isinstance(e, AlertEvent) and e.type == kind)


def test_every_emitted_event_fits_the_published_schema() -> None:
    validator = jsonschema_rs.validator_for(orjson.loads(SCHEMA.read_bytes()), validate_formats=True)
    assert {e.type for e in EMITTED if isinstance(e, AlertEvent)} == {"firing", "updated", "resolved"}
    for event in EMITTED:
        validator.validate(orjson.loads(to_cloud_event(event, PIPELINE).value))


def test_every_kind_of_event_fits_the_schema_and_comes_back_as_it_was() -> None:
    validator = jsonschema_rs.validator_for(orjson.loads(SCHEMA.read_bytes()), validate_formats=True)
    events = [e for e in OTHERS if isinstance(e, AlertEvent)]
    assert {e.type for e in events} == set(get_args(AlertType))
    assert {"severity_raised", "severity_lowered", "silent", "recovered"} <= {e.reason for e in events}
    assert {e.silenced for e in events} == {True, False}
    for event in OTHERS:
        _, headers, value = to_cloud_event(event, PIPELINE)
        validator.validate(orjson.loads(value))
        assert from_cloud_event(headers, value) == event


def test_the_schema_names_every_reason_and_status() -> None:
    said = orjson.loads(SCHEMA.read_bytes())["$defs"]["alert"]["properties"]
    assert set(said["reason"]["enum"]) == set(get_args(Reason))
    assert {*said["status"]["enum"], *said["previous_status"]["enum"]} == set(get_args(Status))


def test_a_heartbeat_of_another_version_is_read_by_what_is_known_of_it() -> None:
    beat = next(e for e in EMITTED if isinstance(e, Heartbeat))
    _, headers, value = to_cloud_event(beat, PIPELINE)
    fields = orjson.loads(value)
    fields["heartbeat"]["added"] = 1
    del fields["heartbeat"]["suppressed"]
    assert from_cloud_event(headers, orjson.dumps(fields)) == beat


@pytest.mark.parametrize("missing", ["alert_key", "evidence", "rule", "labels", "starts_at", "pipeline"])
def test_the_schema_refuses_an_event_without_a_field(missing: str) -> None:
    body = orjson.loads(to_cloud_event(of_type("firing"), PIPELINE).value)
    del body[missing]
    assert not jsonschema_rs.validator_for(orjson.loads(SCHEMA.read_bytes())).is_valid(body)


def test_every_event_comes_back_as_it_was() -> None:
    for event in EMITTED:
        _, headers, value = to_cloud_event(event, PIPELINE)
        assert from_cloud_event(headers, value) == event


def test_the_attributes_are_those_of_cloud_events_in_binary_mode() -> None:
    event = of_type("firing")
    key, headers, value = to_cloud_event(event, PIPELINE)
    said = {name: text.decode() for name, text in headers}
    assert key.decode() == said["ce_partitionkey"] == event.alert_key
    assert said["ce_specversion"] == "1.0"
    assert said["ce_type"] == "dev.stepwatch.alert.firing.v1"
    assert said["ce_id"] == f"{event.alert_key}:{event.episode}:1"
    assert said["ce_source"] == "/stepwatch/default/rules/tools"
    assert said["ce_subject"] == "refund/executor/update_crm"
    assert said["ce_time"] == spell_time(event.time_ms)
    assert said["ce_severitytext"] == "warning"
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", said["ce_traceparent"])
    assert said["content-type"] == "application/json"
    assert len(value) < 8_192


def test_sequences_of_an_alert_grow_as_text() -> None:
    alerts = [e for e in EMITTED if isinstance(e, AlertEvent)]
    sequences = [dict(to_cloud_event(e, PIPELINE).headers)["ce_sequence"] for e in alerts]
    assert sequences == sorted(set(sequences))


def test_a_copy_published_later_differs_in_its_pipeline_alone() -> None:
    event = of_type("resolved")
    first, again = (orjson.loads(to_cloud_event(event, Pipeline(ms, "x")).value) for ms in (1, 2))
    assert first.pop("pipeline") != again.pop("pipeline")
    assert first == again


def test_the_query_has_parameters_and_never_a_value_in_its_text() -> None:
    links = orjson.loads(to_cloud_event(of_type("firing"), PIPELINE).value)["links"]
    assert set(re.findall(r"{(\w+):String}", links["query_sql"])) == set(links["query_params"])
    assert "refund" not in links["query_sql"]


def test_a_key_depends_on_tenant_rule_and_labels_alone() -> None:
    labels = [("workflow", "refund"), ("step", "s")]
    key = alert_key("t", "r", labels)
    assert re.fullmatch("[0-9a-f]{32}", key)
    assert key == alert_key("t", "r", reversed(labels))
    assert len({key, alert_key("u", "r", labels), alert_key("t", "q", labels), alert_key("t", "r", labels[:1])}) == 4


def test_an_event_of_a_later_version_is_passed_over_and_unknown_fields_are_ignored() -> None:
    _, headers, value = to_cloud_event(of_type("firing"), PIPELINE)
    body = {**orjson.loads(value), "added": 1}
    assert from_cloud_event(headers, orjson.dumps(body)) == of_type("firing")
    renamed = [(n, b"dev.stepwatch.alert.silenced.v1" if n == "ce_type" else v) for n, v in headers]
    assert from_cloud_event(renamed, value) is None


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"null"])
def test_what_is_no_event_is_a_value_error(value: bytes) -> None:
    headers = to_cloud_event(of_type("firing"), PIPELINE).headers
    with pytest.raises(ValueError, match="not an alert event"):
        from_cloud_event(headers, value)


@pytest.mark.parametrize("ms", [0, 1, 999, 1_760_000_000_001, 4_102_444_800_000])
def test_times_survive_their_spelling(ms: int) -> None:
    assert read_time(spell_time(ms)) == ms
