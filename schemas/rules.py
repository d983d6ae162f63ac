"""Reading `rules.yaml`: strictly, with file, line and cure for everything that is wrong.

    defaults: {condition: {false_alarm_budget: "1 per 30d"}}     # inherited by every rule, mappings key by key
    rules:
      - uid: tools                                               # identity: never reused
        match: {workflow: "refund*", evaluator: ToolCallSuccess}
        condition: {fail_rate_above: 0.05}
        thresholds: {refund_vip: 0.01, "refund_test*": 0.2}      # other lines for some workflows

It reads text it is given, never a file. The law: what `parse_rules` returns can be used as it is; nothing is guessed.
"""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field

from schemas.config import ConfigError, Declared, LineOf, Problem, read_yaml, validate
from schemas.duration import budget_ms, duration_ms
from schemas.rule import NO_RULES, Counting, GroupLabel, Match, Rule, RuleSet, Severity

RULES_MAX = 1_000
TEXTS_MAX = 10  # labels, and annotations, of one rule: an event carries them all
TEXT_CHARS_MAX = 1_024
SERIES_MAX = 10_000
GROUP_BY: tuple[GroupLabel, ...] = ("workflow", "step", "evaluator")
T = TypeVar("T")


def _rate(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{value:g} is no fail rate; write a share between 0 and 1, such as 0.05 for 5 %")
    return value


def _evidence(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{value:g} must lie between 0 and 1: an alert fires at evidence 1 and resolves below this")
    return value


def _duration(text: str) -> str:
    duration_ms(text)
    return text


def _budget(text: str) -> str:
    budget_ms(text)
    return text


def _uid(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise ValueError(f"{text!r} may hold letters, digits, '.', '_' and '-' only, at most 100 of them")
    return text


def _group_by(labels: list[T]) -> list[T]:
    if "workflow" not in labels:
        raise ValueError("must contain workflow: all outcomes of a series live in the partition of their workflow")
    if len(set(labels)) != len(labels):
        raise ValueError("names a label twice; keep one")
    return labels


def _texts(texts: dict[str, str]) -> dict[str, str]:
    if len(texts) > TEXTS_MAX:
        raise ValueError(f"{len(texts)} entries; an event carries at most {TEXTS_MAX}")
    for key, text in texts.items():
        if len(key) > TEXT_CHARS_MAX or len(text) > TEXT_CHARS_MAX:
            raise ValueError(f"{key[:40]!r} is longer than {TEXT_CHARS_MAX} characters; shorten it")
    return texts


Rate = Annotated[float, AfterValidator(_rate)]
Duration = Annotated[str, AfterValidator(_duration)]
Texts = Annotated[dict[str, str], AfterValidator(_texts)]


class _Match(Declared):
    tenant: str = "*"
    workflow: str = "*"
    step: str = "*"
    evaluator: str = "*"
    step_kind: str = "*"


class _Condition(Declared):
    method: Literal["evidence"] = "evidence"
    fail_rate_above: Rate | None = None
    false_alarm_budget: Annotated[str, AfterValidator(_budget)] = "1 per 30d"


class _Resolve(Declared):
    evidence_below: Annotated[float, AfterValidator(_evidence)] = 0.001
    hold: Duration = "10m"


class _Defaults(Declared):
    match: _Match = _Match()
    group_by: Annotated[list[GroupLabel], AfterValidator(_group_by)] = Field(default_factory=lambda: list(GROUP_BY))
    unit: Literal["trace"] = "trace"
    outcome: Counting = "last_attempt"
    condition: _Condition = _Condition()
    thresholds: dict[str, Rate] = Field(default_factory=dict)
    resolve: _Resolve = _Resolve()
    severity: Severity = "warning"
    labels: Texts = Field(default_factory=dict)
    annotations: Texts = Field(default_factory=dict)
    runbook_url: Annotated[str, Field(max_length=TEXT_CHARS_MAX)] = ""
    max_series: Annotated[int, Field(ge=1, le=SERIES_MAX)] = 500


class _Rule(_Defaults):
    uid: Annotated[str, AfterValidator(_uid)]
    version: Annotated[int, Field(ge=1)] = 1
    name: Annotated[str, Field(max_length=200)] = ""


class _File(Declared):
    defaults: _Defaults = _Defaults()
    rules: Annotated[list[_Rule], Field(max_length=RULES_MAX)]


def parse_rules(text: str, source: str) -> RuleSet:
    """The rules of a text; an empty text has none. Raises ConfigError with every problem, its line and cure."""
    data, line_of = read_yaml(text, source)
    if data is None:
        return NO_RULES
    file = validate(_File, data, source, line_of)
    if problems := _problems(file, source, line_of):
        raise ConfigError(problems)
    return RuleSet(text, tuple(_value(_inherited(file.defaults, rule)) for rule in file.rules))


def _problems(file: _File, source: str, line_of: LineOf) -> list[Problem]:
    """What is wrong with rules that are right one by one."""
    found: list[Problem] = []
    first: dict[str, int] = {}
    for index, rule in enumerate(file.rules):
        path = ("rules", index, "uid")
        if rule.uid in first:
            message = (
                f"uid {rule.uid!r} is taken by the rule in line {line_of(('rules', first[rule.uid]))}; write another"
            )
            found.append(Problem(source, line_of(path), message))
        first.setdefault(rule.uid, index)
        if _inherited(file.defaults, rule).condition.fail_rate_above is None:
            message = f"rule {rule.uid!r} has no line; write condition: {{fail_rate_above: 0.05}} here or in defaults"
            found.append(Problem(source, line_of(path), message))
    return found


def _inherited(defaults: _Defaults, own: _Rule) -> _Rule:
    said = _over(defaults.model_dump(exclude_unset=True), own.model_dump(exclude_unset=True))
    return _Rule.model_validate(said)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` over `below`, mappings key by key."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _value(rule: _Rule) -> Rule:
    condition = rule.condition
    assert condition.fail_rate_above is not None
    return Rule(
        uid=rule.uid,
        version=rule.version,
        name=rule.name or rule.uid,
        match=Match(**rule.match.model_dump()),
        group_by=tuple(rule.group_by),
        outcome=rule.outcome,
        fail_rate_above=condition.fail_rate_above,
        thresholds=tuple(sorted(rule.thresholds.items(), key=lambda item: any(sign in item[0] for sign in "*?["))),
        false_alarm_budget=condition.false_alarm_budget,
        budget_ms=budget_ms(condition.false_alarm_budget),
        evidence_below=rule.resolve.evidence_below,
        hold_ms=duration_ms(rule.resolve.hold),
        max_series=rule.max_series,
        severity=rule.severity,
        labels=tuple(rule.labels.items()),
        annotations=tuple(rule.annotations.items()),
        runbook_url=rule.runbook_url,
    )
