"""The sentences of an alert: what a person reads first. Pure text from the event's own values.

A rule's annotations may name values in braces (`{workflow}`, `{rate}`); a name that is not known stays as it is.
"""

import re

from schemas.alert import AlertEvent, spell_time
from schemas.duration import spell_duration
from schemas.rule import Rule

ANNOTATION_CHARS_MAX = 2_048
_UNITS = {"trace": "traces", "span": "attempts"}
_NUMBERS = "{rate} ({lo} to {hi}); the line is {threshold}."
_NAME = re.compile(r"\{(\w+)\}")


def annotate(event: AlertEvent, rule: Rule, evaluator_version: str) -> tuple[tuple[str, str], ...]:
    """`summary`, `description` and the rule's own annotations, filled in."""
    known = {**values(event), "silence": spell_duration(rule.no_data.after_ms)}
    ours = {
        "summary": _summary(event),
        "description": f"{{fails}} of {{n}} {_UNITS[rule.unit]} failed since {{since}}: {_NUMBERS}",
        "evaluator_version": evaluator_version,
    }
    texts = {**ours, **dict(rule.annotations)}
    return tuple((name, fill(text, known)) for name, text in texts.items())


def _summary(event: AlertEvent) -> str:
    said = {
        "rate_above_line": "fails in {rate} of traces, above its line of {threshold}",
        "severity_raised": "fails in {rate} of traces, now above its line of {threshold} too",
        "severity_lowered": "fails in {rate} of traces, still above its line of {threshold}",
        "silent": "has had no outcome for {silence}",
        "data_returned": "has outcomes again",
        "no_data": "has had no outcome for {silence}",
        "recovered": "is back below its line of {threshold}",
        "rule_changed": "is no longer watched under this version of the rule",
        "rule_deleted": "is no longer watched: the rule is gone",
        "series_expired": "has had no outcome for a day",
    }
    return f"{{workflow}} / {{where}} {said[event.reason]}"


def values(event: AlertEvent) -> dict[str, str]:
    """What the texts of a rule may name."""
    labels, evidence = dict(event.labels), event.evidence
    where = " ".join(labels[name] for name in ("step", "agent", "tool", "evaluator") if labels.get(name))
    return {
        **labels,
        "where": where or "all steps",
        "tenant": event.tenant,
        "rule": event.rule.name,
        "severity": event.rule.severity,
        "threshold": percent(event.rule.threshold),
        "rate": percent(evidence.rate),
        "lo": percent(evidence.lo),
        "hi": percent(evidence.hi),
        "n": str(evidence.n),
        "fails": f"{evidence.fails:.6g}",
        "since": spell_time(event.starts_ms),
    }


def fill(text: str, known: dict[str, str]) -> str:
    """The text with its names replaced, cut at the bound."""
    return _NAME.sub(lambda found: known.get(found[1], found[0]), text)[:ANNOTATION_CHARS_MAX]


def percent(share: float) -> str:
    """0.054 -> `5.4 %`."""
    return f"{100 * share:.3g} %"
