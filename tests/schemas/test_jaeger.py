"""Jaeger's JSON is read as the OTLP that it was made from."""

from typing import Any

import orjson
import pytest

from schemas.otlp_json import spans_of_json
from tests.schemas.jaeger import as_jaeger, span_of

TAGS: list[Any] = [
    {"key": "gen_ai.operation.name", "type": "string", "value": "execute_tool"},
    {"key": "n", "type": "int64", "value": 7},
    {"key": "big", "type": "int64", "value": "9007199254740993"},
    {"key": "share", "type": "float64", "value": 0.5},
    {"key": "ok", "type": "bool", "value": True},
    {"key": "raw", "type": "binary", "value": "AAE="},
    {"key": "otel.scope.name", "type": "string", "value": "a scope"},
    {"key": "span.kind", "type": "string", "value": "client"},
]


def jaeger(**said: Any) -> dict[str, Any]:
    span = {
        "traceID": "1f", "spanID": "2", "operationName": "pay", "startTime": 1_700_000_000_000_001, "duration": 5,
        "tags": TAGS, "processID": "p1", **said,
    }  # fmt: skip
    process = {"serviceName": "shop", "tags": [{"key": "service.version", "type": "string", "value": "2"}]}
    return {"data": [{"traceID": "1f", "spans": [span], "processes": {"p1": process}}], "errors": None, "total": 0}


def read(document: Any) -> Any:
    (raw,), refused = spans_of_json(orjson.dumps(document))
    assert refused == []
    return span_of(raw)


def test_every_field_has_its_place() -> None:
    resource, scope, span = read(jaeger())
    assert (span.trace_id.hex(), span.span_id.hex()) == ("1f".rjust(32, "0"), "2".rjust(16, "0"))
    assert (span.name, span.kind, span.start_time_unix_nano) == ("pay", 3, 1_700_000_000_000_001_000)
    assert span.end_time_unix_nano - span.start_time_unix_nano == 5_000
    assert scope.name == "a scope"
    values = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}
    assert values == {
        "gen_ai.operation.name": "execute_tool", "n": 7, "big": 9007199254740993, "share": 0.5, "ok": True, "raw": b"\0\1"
    }  # fmt: skip
    assert {a.key: a.value.string_value for a in resource.attributes} == {
        "service.name": "shop",
        "service.version": "2",
    }


@pytest.mark.parametrize(
    ("references", "parent", "links"),
    [
        ([("CHILD_OF", "1f", "9")], "9", []),
        ([("FOLLOWS_FROM", "1f", "8"), ("CHILD_OF", "1f", "9")], "9", ["8"]),
        ([("FOLLOWS_FROM", "1f", "8")], "8", []),
        ([("CHILD_OF", "ee", "8")], "", ["8"]),
        ([], "", []),
    ],
)
def test_the_parent_is_a_child_of_reference_in_the_same_trace(references: Any, parent: str, links: list[str]) -> None:
    given = [{"refType": kind, "traceID": trace, "spanID": span} for kind, trace, span in references]
    _, _, span = read(jaeger(references=given))
    assert span.parent_span_id.hex() == (parent.rjust(16, "0") if parent else "")
    assert [link.span_id.hex().lstrip("0") for link in span.links] == links


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([("error", "bool", True)], 2),
        ([("error", "string", "true")], 2),
        ([("error", "bool", False)], 0),
        ([("otel.status_code", "string", "OK"), ("error", "bool", True)], 1),
        ([("otel.status_code", "string", "ERROR")], 2),
        ([], 0),
    ],
)
def test_the_status_is_a_tag(tags: list[tuple[str, str, Any]], code: int) -> None:
    given = [{"key": key, "type": kind, "value": value} for key, kind, value in tags]
    _, _, span = read(jaeger(tags=[*given, {"key": "otel.status_description", "type": "string", "value": "why"}]))
    assert (span.status.code, span.status.message) == (code, "why")


def test_logs_are_events() -> None:
    fields = [
        {"key": "event", "type": "string", "value": "exception"},
        {"key": "exception.type", "type": "string", "value": "E"},
    ]
    _, _, span = read(jaeger(logs=[{"timestamp": 3, "fields": fields}]))
    (event,) = span.events
    assert (event.name, event.time_unix_nano, event.attributes[0].key) == ("exception", 3_000, "exception.type")


@pytest.mark.parametrize("odd", [{"spans": None}, {"spans": [None, 3, {}]}, {"processes": 3}, {"spans": [{"tags": 3}]}])
def test_what_is_odd_is_refused_span_by_span_and_never_an_exception(odd: dict[str, Any]) -> None:
    document = jaeger()
    document["data"][0] |= odd
    try:
        spans, refused = spans_of_json(orjson.dumps(document))
    except ValueError:
        return
    assert len(spans) + len(refused) <= 3


def test_otlp_made_into_jaeger_and_read_again_is_the_same() -> None:
    first = read(jaeger(references=[{"refType": "CHILD_OF", "traceID": "1f", "spanID": "9"}]))
    assert read(as_jaeger([first])) == first
