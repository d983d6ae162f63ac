"""Reading `rules.yaml`: strictly, with file, line and cure for everything that is wrong.

    defaults: {condition: {false_alarm_budget: "1 per 30d"}}     # inherited by every rule, mappings key by key
    rules:
      - uid: tools                                               # identity: never reused
        match: {workflow: "refund*", evaluator: ToolCallSuccess}
        condition: {fail_rate_above: {warning: 0.05, critical: 0.2}}
        thresholds: {refund_vip: {warning: 0.01}}                # other lines for some workflows, the rest inherited
    silences:
      - {rule: tools, match: {workflow: refund_old}, until: "2031-01-01T00:00:00Z"}

It reads text it is given, never a file. The law: what `parse_rules` returns can be used as it is; nothing is guessed.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from schemas import rule_words as words
from schemas.config import ConfigError, Declared, LineOf, Path, Problem, read_yaml, unknown, validate
from schemas.duration import budget_ms, duration_ms
from schemas.registry import EVALUATOR_NAMES, SPAN_LOCAL_NAMES
from schemas.rule import (
    NO_RULES,
    BaselineMethod,
    Counting,
    EvidenceMethod,
    GroupLabel,
    Ladder,
    Match,
    Method,
    NoData,
    Rule,
    RuleSet,
    Severity,
    Silence,
    Silent,
    Unit,
    When,
    WindowMethod,
    glob_fits,
)

RULES_MAX = 1_000
SERIES_MAX = 10_000
SILENCES_MAX = 1_000
GROUP_BY: tuple[GroupLabel, ...] = ("workflow", "step", "evaluator")
_GLOB_SIGNS = "*?["
# Words of `condition` and `resolve` that only some methods know.
_METHODS_OF = {
    ("condition", "false_alarm_budget"): ("evidence", "baseline"),
    ("condition", "window"): ("window",),
    ("condition", "for"): ("window",),
    ("condition", "confidence"): ("window",),
    ("condition", "min_events"): ("window", "baseline"),
    ("condition", "ratio"): ("baseline",),
    ("condition", "floor"): ("baseline",),
    ("condition", "reference"): ("baseline",),
    ("resolve", "evidence_below"): ("evidence", "baseline"),
    ("resolve", "fail_rate_below"): ("window",),
}
_MIN_EVENTS = {"window": 20, "baseline": 500}


class _Match(Declared):
    tenant: str = "*"
    workflow: str = "*"
    step: str = "*"
    evaluator: str = "*"
    step_kind: str = "*"


class _Condition(Declared):
    method: Literal["evidence", "window", "baseline"] = "evidence"
    fail_rate_above: words.Lines = None
    false_alarm_budget: words.Budget = "1 per 30d"
    window: words.Window = "5m"
    for_: Annotated[words.For, Field(alias="for")] = "0s"
    min_events: words.Count | None = None
    confidence: words.Confidence = 0.999
    ratio: Annotated[float, Field(gt=1, le=100)] = 1.5
    floor: words.Rate = 0.01
    reference: words.Reference = "7d"


class _Resolve(Declared):
    evidence_below: words.Evidence = 0.001
    fail_rate_below: words.Rate | None = None
    hold: words.Hold = "10m"


class _NoData(Declared):
    after: words.Silence = "30m"
    do: Silent = "keep"


class _Defaults(Declared):
    match: _Match = _Match()
    group_by: Annotated[list[GroupLabel], words.group_by_labels] = Field(default_factory=lambda: list(GROUP_BY))
    unit: Unit = "trace"
    design_effect: Annotated[float, Field(ge=1, le=1_000)] | None = None
    outcome: Counting = "last_attempt"
    when: When = "decided"
    condition: _Condition = _Condition()
    thresholds: dict[str, words.Lines] = Field(default_factory=dict)
    resolve: _Resolve = _Resolve()
    no_data: _NoData = _NoData()
    renotify: words.Renotify = "15m"
    severity: Severity = "warning"
    labels: words.Texts = Field(default_factory=dict)
    annotations: words.Texts = Field(default_factory=dict)
    runbook_url: Annotated[str, Field(max_length=words.TEXT_CHARS_MAX)] = ""
    max_series: Annotated[int, Field(ge=1, le=SERIES_MAX)] = 500


class _Rule(_Defaults):
    uid: words.Uid
    version: words.Count = 1
    name: Annotated[str, Field(max_length=200)] = ""


class _Silence(Declared):
    rule: str = "*"
    match: _Match = _Match()
    from_: Annotated[words.Moment, Field(alias="from")] = "1970-01-01T00:00:00Z"
    until: words.Moment
    comment: Annotated[str, Field(max_length=words.TEXT_CHARS_MAX)] = ""


class _File(Declared):
    defaults: _Defaults = _Defaults()
    rules: Annotated[list[_Rule], Field(max_length=RULES_MAX)]
    silences: Annotated[list[_Silence], Field(max_length=SILENCES_MAX)] = Field(default_factory=list)


def parse_rules(text: str, source: str) -> RuleSet:
    """The rules of a text; an empty text has none. Raises ConfigError with every problem, its line and cure."""
    data, line_of = read_yaml(text, source)
    if data is None:
        return NO_RULES
    file = validate(_File, data, source, line_of)
    rules = [_inherited(file.defaults, rule) for rule in file.rules]
    if problems := [Problem(source, line_of(path), said) for path, said in _problems(file, rules, line_of)]:
        raise ConfigError(problems)
    return RuleSet(text, tuple(_value(rule) for rule in rules), tuple(_silence(s) for s in file.silences))


def _problems(file: _File, rules: list[_Rule], line_of: LineOf) -> Iterator[tuple[Path, str]]:
    """What is wrong with rules that are right word by word."""
    first: dict[str, int] = {}
    for index, (own, rule) in enumerate(zip(file.rules, rules, strict=True)):
        path: Path = ("rules", index)
        if rule.uid in first:
            taken = line_of(("rules", first[rule.uid]))
            yield (*path, "uid"), f"uid {rule.uid!r} is taken by the rule in line {taken}; write another"
        first.setdefault(rule.uid, index)
        yield from _rule_problems(own, rule, path)
    if rules:
        yield from _unused_defaults(file.defaults, rules)
    for index, silence in enumerate(file.silences):
        if not any(glob_fits(silence.rule, rule.uid) for rule in rules):
            yield ("silences", index, "rule"), unknown(f"rule {silence.rule!r}", silence.rule, [r.uid for r in rules])
        if words.moment_ms(silence.until) <= words.moment_ms(silence.from_):
            yield ("silences", index, "until"), "ends before it begins; write a later moment"


def _unused_defaults(defaults: _Defaults, rules: list[_Rule]) -> Iterator[tuple[Path, str]]:
    said = defaults.model_dump(exclude_unset=True, by_alias=True)
    used = {rule.condition.method for rule in rules}
    for (block, word), methods in _METHODS_OF.items():
        if word in said.get(block, {}) and not used & set(methods):
            message = f"{word!r} means nothing to the method of any rule; remove it or write method: {methods[0]}"
            yield ("defaults", block, word), message


def _rule_problems(own: _Rule, rule: _Rule, path: Path) -> Iterator[tuple[Path, str]]:
    condition, uid = rule.condition, rule.uid
    said = own.model_dump(exclude_unset=True, by_alias=True)
    for (block, word), methods in _METHODS_OF.items():
        if word in said.get(block, {}) and condition.method not in methods:
            message = f"{word!r} means nothing to method {condition.method}; remove it or write method: {methods[0]}"
            yield (*path, block, word), message
    if condition.fail_rate_above is None and condition.method != "baseline":
        yield (
            (*path, "uid"),
            f"rule {uid!r} has no line; write condition: {{fail_rate_above: 0.05}} here or in defaults",
        )
        return
    if condition.method == "baseline" and (rule.thresholds or isinstance(condition.fail_rate_above, dict)):
        message = f"rule {uid!r}: a baseline is one line that each series finds; remove its ladder and thresholds"
        yield (*path, "condition"), message
    if rule.unit == "span" and rule.design_effect is None:
        message = (
            "attempts within a run fail together: write design_effect: 1 + (attempts a run - 1) * their correlation, "
            "such as 2, or unit: trace"
        )
        yield (*path, "unit"), message
    if rule.unit == "span" and "outcome" in said:
        yield (*path, "outcome"), "says how a run counts, and unit: span counts attempts; remove one of the two"
    if rule.unit == "trace" and "design_effect" in said:
        yield (*path, "design_effect"), "is of unit: span; remove it"
    if rule.when == "step_scored":
        yield from _early_problems(rule, said, path)
    yield from _ladder_problems(rule, path)


def _early_problems(rule: _Rule, said: dict[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
    """Before a run is decided only what a span tells by itself can count, and of a step only its first attempt."""
    name, where = rule.match.evaluator, (*path, "when")
    ours = ", ".join(SPAN_LOCAL_NAMES)
    if any(sign in name for sign in _GLOB_SIGNS):
        yield (
            where,
            f"step_scored needs one evaluator by name: write match: {{evaluator: ...}}, one of {ours} or your own",
        )
    elif name in EVALUATOR_NAMES and name not in SPAN_LOCAL_NAMES:
        yield (
            where,
            f"{name} judges a step in its run, so it has no outcome before the run is decided; one of {ours} has",
        )
    if rule.unit != "trace" or rule.outcome != "first":
        yield (
            where,
            "what a run's last attempt will be is not known yet: write outcome: first and unit: trace beside step_scored",
        )


def _ladder_problems(rule: _Rule, path: Path) -> Iterator[tuple[Path, str]]:
    own = rule.condition.fail_rate_above
    lowest = []
    for where, lines in [(("condition", "fail_rate_above"), own), *((("thresholds", g), t) for g, t in _lines(rule))]:
        if isinstance(own, dict) and not isinstance(lines, dict) and lines is not None:
            yield (*path, *where), f"the rule has a ladder: write a mapping too, such as {{warning: {lines:g}}}"
            continue
        try:
            lowest += [words.ladder(lines, rule.severity)[0].rate] if lines is not None else []
        except ValueError as error:
            yield (*path, *where), str(error)
    below = rule.resolve.fail_rate_below
    if below is not None and lowest and below > min(lowest):
        message = f"fail_rate_below {below:g} is above the line of {min(lowest):g}: it would resolve while in breach"
        yield (*path, "resolve", "fail_rate_below"), message


def _lines(rule: _Rule) -> list[tuple[str, Any]]:
    """The lines of each workflow glob, what a ladder leaves out inherited; exact names first, then in file order."""
    below = rule.condition.fail_rate_above
    found = [
        (glob, {**below, **lines} if isinstance(below, dict) and isinstance(lines, dict) else lines)
        for glob, lines in rule.thresholds.items()
    ]
    return sorted(found, key=lambda item: any(sign in item[0] for sign in _GLOB_SIGNS))


def _inherited(defaults: _Defaults, own: _Rule) -> _Rule:
    below, above = (said.model_dump(exclude_unset=True, by_alias=True) for said in (defaults, own))
    return _Rule.model_validate(_over(below, above))


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` over `below`, mappings key by key."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _value(rule: _Rule) -> Rule:
    condition = rule.condition
    return Rule(
        uid=rule.uid,
        version=rule.version,
        name=rule.name or rule.uid,
        match=Match(**rule.match.model_dump()),
        group_by=tuple(rule.group_by),
        unit=rule.unit,
        design_effect=rule.design_effect if rule.unit == "span" and rule.design_effect else 1.0,
        outcome=rule.outcome,
        when=rule.when,
        method=_method(rule),
        ladder=_ladder(condition.fail_rate_above, rule),
        thresholds=tuple((glob, _ladder(lines, rule)) for glob, lines in _lines(rule)),
        severity=rule.severity,
        false_alarm_budget="" if condition.method == "window" else condition.false_alarm_budget,
        budget_ms=budget_ms(condition.false_alarm_budget),
        evidence_below=rule.resolve.evidence_below,
        hold_ms=duration_ms(rule.resolve.hold),
        no_data=NoData(duration_ms(rule.no_data.after), rule.no_data.do),
        renotify_ms=duration_ms(rule.renotify),
        max_series=rule.max_series,
        labels=tuple(rule.labels.items()),
        annotations=tuple(rule.annotations.items()),
        runbook_url=rule.runbook_url,
    )


def _ladder(lines: Any, rule: _Rule) -> Ladder:
    return () if lines is None else words.ladder(lines, rule.severity)


def _method(rule: _Rule) -> Method:
    c = rule.condition
    min_events = c.min_events or _MIN_EVENTS.get(c.method, 0)
    if c.method == "window":
        below = rule.resolve.fail_rate_below
        return WindowMethod(duration_ms(c.window), duration_ms(c.for_), min_events, c.confidence, below)
    if c.method == "baseline":
        return BaselineMethod(c.ratio, c.floor, duration_ms(c.reference), min_events)
    return EvidenceMethod()


def _silence(silence: _Silence) -> Silence:
    return Silence(
        rule=silence.rule,
        match=Match(**silence.match.model_dump()),
        from_ms=words.moment_ms(silence.from_),
        until_ms=words.moment_ms(silence.until),
        comment=silence.comment,
    )
