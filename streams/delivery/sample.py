"""A pair of made-up events, to see whether a target can be reached: an alert that fires, and its end."""

from schemas.alert import AlertEvent, Evidence, Exemplar, Pipeline, RuleInfo, alert_key
from schemas.cloud_event import to_cloud_event
from streams.delivery.message import Message

_LABELS = (("evaluator", "ToolCallSuccess"), ("step", "executor/example_tool"), ("workflow", "stepwatch-test"))
_RULE = RuleInfo("stepwatch-test", 1, "A test of the delivery", "info", "evidence", 0.05, "1 per 30d", "")


def sample(now_ms: int, version: str) -> tuple[Message, Message]:
    """Firing and resolved, of one alert, with ids that no other test has."""
    resolved = _event(now_ms)
    firing = resolved._replace(type="firing", seq=1, previous_status="ok", reason="rate_above_line", resolved_ms=None)
    pipeline = Pipeline(now_ms, version)
    return _message(firing, pipeline), _message(resolved, pipeline)


def _message(event: AlertEvent, pipeline: Pipeline) -> Message:
    _, headers, value = to_cloud_event(event, pipeline)
    return Message(event, tuple(headers), value, event.partition, event.offset)


def _event(now_ms: int) -> AlertEvent:
    return AlertEvent(
        type="resolved",
        alert_key=alert_key("default", _RULE.uid, _LABELS),
        episode=now_ms,
        seq=2,
        previous_status="firing",
        reason="recovered",
        tenant="default",
        rule=_RULE,
        labels=_LABELS,
        annotations=(
            ("description", "Stepwatch can reach this place. No run failed."),
            ("summary", "This is a test of Stepwatch's delivery"),
        ),
        starts_ms=now_ms - 60_000,
        fired_ms=now_ms,
        resolved_ms=now_ms,
        expires_ms=now_ms + 3_600_000,
        time_ms=now_ms,
        evidence=Evidence(20, 19.0, 0.7, 1.0, now_ms - 60_000, now_ms, 0.0, 20),
        exemplars=(Exemplar("0" * 31 + "1", "0" * 15 + "1", now_ms, 0.0, "test"),),
        partition=0,
        offset=0,
    )
