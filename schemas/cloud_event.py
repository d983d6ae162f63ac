"""Alert events on Kafka: CloudEvents 1.0 in binary mode, attributes in the headers and JSON data in the value.

The law: `from_cloud_event` is the inverse of `to_cloud_event`. The body's JSON Schema is
infra/examples/alert-event.schema.json.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, get_args

import orjson

from schemas import attribution
from schemas.alert import (
    CONFIDENCE,
    AlertEvent,
    AlertType,
    Evidence,
    Exemplar,
    Heartbeat,
    Pipeline,
    RuleInfo,
    read_time,
    spell_time,
)

TYPE_PREFIX = "dev.stepwatch.alert."
DATA_SCHEMA = "urn:stepwatch:alert-event:v1"
_TYPES: dict[str, AlertType] = {kind: kind for kind in get_args(AlertType)}
_BEATS = ("partition", "series", "firing", "dropped", "rules_seq", "scorer_lag_s", "suppressed")


class CloudEvent(NamedTuple):
    """A Kafka record in binary mode: attributes in the headers, data in the value."""

    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes


def to_cloud_event(event: AlertEvent | Heartbeat, pipeline: Pipeline) -> CloudEvent:
    """The record to publish. Its key is the alert key, so that order holds per alert."""
    if isinstance(event, Heartbeat):
        key = f"heartbeat:{event.partition}"
        headers = _headers("heartbeat", event.id, "/stepwatch/alerter", event.time_ms, key, f"{event.time_ms:013d}")
        return CloudEvent(key.encode(), headers, orjson.dumps(_heartbeat_body(event, pipeline)))
    sequence = f"{event.episode:013d}.{event.seq:06d}"
    headers = _headers(event.type, event.id, event.source, event.time_ms, event.alert_key, sequence)
    labels = dict(event.labels)
    subject = "/".join(labels[name] for name in ("workflow", "step") if labels.get(name))
    headers += [("ce_subject", subject.encode()), ("ce_severitytext", event.rule.severity.encode())]
    if event.exemplars and event.exemplars[0].span_id:
        newest = event.exemplars[0]
        headers.append(("ce_traceparent", f"00-{newest.trace_id}-{newest.span_id}-01".encode()))
    return CloudEvent(event.alert_key.encode(), headers, orjson.dumps(body(event, pipeline)))


def _headers(kind: str, id_: str, source: str, time_ms: int, key: str, sequence: str) -> list[tuple[str, bytes]]:
    attributes = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_type": f"{TYPE_PREFIX}{kind}.v1",
        "ce_id": id_,
        "ce_source": source,
        "ce_time": spell_time(time_ms),
        "ce_dataschema": DATA_SCHEMA,
        "ce_partitionkey": key,
        "ce_sequence": sequence,  # compares as text, over episodes: apply an event only if it is greater
    }
    return [(name, value.encode()) for name, value in attributes.items()]


def body(event: AlertEvent, pipeline: Pipeline) -> dict[str, Any]:
    """The event as JSON data."""
    evidence = event.evidence
    return {
        "alert_key": event.alert_key,
        "episode": event.episode,
        "seq": event.seq,
        "status": event.status,
        "previous_status": event.previous_status,
        "reason": event.reason,
        "silenced": event.silenced,
        "tenant": event.tenant,
        "rule": event.rule._asdict(),
        "labels": dict(event.labels),
        "annotations": dict(event.annotations),
        "starts_at": spell_time(event.starts_ms),
        "fired_at": spell_time(event.fired_ms),
        "resolved_at": None if event.resolved_ms is None else spell_time(event.resolved_ms),
        "expires_at": spell_time(event.expires_ms),
        "evidence": {
            "n": evidence.n,
            "fails": evidence.fails,
            "rate": evidence.rate,
            "interval": [evidence.lo, evidence.hi],
            "confidence": CONFIDENCE,
            "window": [spell_time(evidence.since_ms), spell_time(evidence.until_ms)],
            "log_e": evidence.log_e,
            "onset_n": evidence.onset_n,
        },
        "exemplars": [
            {
                "trace_id": e.trace_id,
                "span_id": e.span_id,
                "at": spell_time(e.at_ms),
                "score": e.score,
                "reason_code": e.reason_code,
            }
            for e in event.exemplars
        ],
        "attribution": None if event.attribution is None else attribution.to_json(event.attribution),
        "links": _links(event),
        "pipeline": _pipeline(event, pipeline),
    }


def _links(event: AlertEvent) -> dict[str, Any]:
    """SQL text with ClickHouse parameters and their values: nobody has to paste names into SQL."""
    labels = {name: value for name, value in event.labels if name in ("workflow", "step", "evaluator", "agent")}
    where = "".join(f" AND {name} = {{{name}:String}}" for name in labels)
    sql = (  # names from a closed list; values travel as parameters
        "SELECT trace_id, span_id, step, evaluator, reason_code, reason, event_time FROM v1_results "  # noqa: S608
        f"WHERE tenant = {{tenant:String}}{where} AND verdict = 'fail' AND final "
        "AND anchor >= parseDateTime64BestEffort({since:String}, 3, 'UTC') ORDER BY event_time LIMIT 100"
    )
    return {"query_sql": sql, "query_params": {"tenant": event.tenant, **labels, "since": spell_time(event.starts_ms)}}


def _heartbeat_body(event: Heartbeat, pipeline: Pipeline) -> dict[str, Any]:
    return {"heartbeat": {name: getattr(event, name) for name in _BEATS}, "pipeline": _pipeline(event, pipeline)}


def _pipeline(event: AlertEvent | Heartbeat, pipeline: Pipeline) -> dict[str, Any]:
    return {
        "emitted_at": spell_time(pipeline.emitted_ms),
        "lag_s": max(0, pipeline.emitted_ms - event.time_ms) / 1000,
        "partition": event.partition,
        "offset": event.offset,
        "version": pipeline.version,
    }


def from_cloud_event(headers: Iterable[tuple[str, bytes]], value: bytes) -> AlertEvent | Heartbeat | None:
    """The inverse of `to_cloud_event`; None for a type of event that this version does not know.

    Unknown fields are ignored. Raises ValueError on a record that is no such event.
    """
    attributes = {name: text.decode() for name, text in headers}
    try:
        kind = attributes["ce_type"].removeprefix(TYPE_PREFIX).removesuffix(".v1")
        time_ms, fields = read_time(attributes["ce_time"]), orjson.loads(value)
        if kind == "heartbeat":
            state = {name: fields["heartbeat"][name] for name in _BEATS if name in fields["heartbeat"]}
            return Heartbeat(**state, offset=fields["pipeline"]["offset"], time_ms=time_ms)
        known = _TYPES.get(kind)
        return _event(known, time_ms, fields) if known else None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not an alert event: {error!r}") from error


def from_body(kind: AlertType, time_ms: int, value: str | bytes) -> AlertEvent:
    """The event of a stored body. Raises ValueError on what is none."""
    try:
        return _event(kind, time_ms, orjson.loads(value))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not an alert event: {error!r}") from error


def _event(kind: AlertType, time_ms: int, fields: Mapping[str, Any]) -> AlertEvent:
    rule = {name: fields["rule"][name] for name in RuleInfo._fields}
    return AlertEvent(
        type=kind,
        alert_key=fields["alert_key"],
        episode=fields["episode"],
        seq=fields["seq"],
        previous_status=fields["previous_status"],
        reason=fields["reason"],
        tenant=fields["tenant"],
        rule=RuleInfo(**rule),
        labels=tuple(fields["labels"].items()),
        annotations=tuple(fields["annotations"].items()),
        starts_ms=read_time(fields["starts_at"]),
        fired_ms=read_time(fields["fired_at"]),
        resolved_ms=read_time(fields["resolved_at"]) if fields["resolved_at"] else None,
        expires_ms=read_time(fields["expires_at"]),
        time_ms=time_ms,
        evidence=_evidence(fields["evidence"]),
        exemplars=tuple(_exemplar(e) for e in fields["exemplars"]),
        partition=fields["pipeline"]["partition"],
        offset=fields["pipeline"]["offset"],
        silenced=fields.get("silenced", False),
        attribution=attribution.from_json(fields["attribution"]) if fields.get("attribution") else None,
    )


def _evidence(fields: Mapping[str, Any]) -> Evidence:
    (lo, hi), (since, until) = fields["interval"], fields["window"]
    return Evidence(
        n=fields["n"],
        fails=fields["fails"],
        lo=lo,
        hi=hi,
        since_ms=read_time(since),
        until_ms=read_time(until),
        log_e=fields["log_e"],
        onset_n=fields["onset_n"],
    )


def _exemplar(fields: Mapping[str, Any]) -> Exemplar:
    return Exemplar(
        fields["trace_id"], fields["span_id"], read_time(fields["at"]), fields["score"], fields["reason_code"]
    )
