"""Reading tests of rules: timelines of outcomes as data, and the alert events that must follow from them.

    rules: ../../infra/examples/rules.yaml        # a file beside this one, or the text of rules itself
    tests:
      - name: a broken tool fires and is repaired
        every: 12s                                # each series has one run in that time, unless it says otherwise
        outcomes:
          - {workflow: refund, step: executor/crm, evaluator: ToolCallSuccess, runs: 0x100 1x20 _x50 0.1x300}
        lag: {from: 25m, to: 40m, seconds: 300}   # the scorers are behind meanwhile
        events:                                   # all of them, in order; sayings-again of a lasting alert left out
          - {type: firing, rule: failing-tools, severity: critical, between: [20m, 23m]}

`runs` is promtool's notation: what share fails, and how many runs of it; `_` is none at all. It reads text it is given,
never a file. The law: everything that is wrong is told with file, line and cure.
"""

import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from schemas.config import ConfigError, Declared, LineOf, Problem, read_yaml, validate
from schemas.duration import duration_ms

RUNS_MAX = 1_000_000  # of one test
_PHASE = re.compile(r"(_|[01](?:\.\d+)?|\.\d+)x(\d{1,7})")


class Phase(NamedTuple):
    """So many runs, of which this share fails, evenly spread; None: no runs at all for as long."""

    share: float | None
    runs: int


def _runs(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError('put it in quotes, such as "0x100": YAML reads it as a number')
    phases(text)
    return text


def phases(text: str) -> tuple[Phase, ...]:
    """The phases of `runs`. Raises ValueError with the cure."""
    found = []
    for word in text.split():
        phase = _PHASE.fullmatch(word)
        if phase is None or (phase[1] != "_" and float(phase[1]) > 1):
            raise ValueError(f"{word!r} is no phase; write a share that fails and a count, such as 0.05x200, or _x30")
        found.append(Phase(None if phase[1] == "_" else float(phase[1]), int(phase[2])))
    if not found:
        raise ValueError("no phase; write such as 0x100 1x20 0x100")
    return tuple(found)


def _duration(text: str) -> str:
    duration_ms(text)
    return text


def _positive(text: str) -> str:
    if duration_ms(text) < 1:
        raise ValueError("must be longer than nothing")
    return text


Duration = Annotated[str, AfterValidator(_duration)]
Every = Annotated[str, AfterValidator(_positive)]


class Series(Declared):
    """What one step of one workflow does over time."""

    workflow: str
    step: str = ""
    step_kind: str = "tool_call"
    evaluator: str
    agent: str = ""
    tool: str = ""
    tenant: str = "default"
    every: Every | None = None
    runs: Annotated[str, BeforeValidator(_runs)]


class Lag(Declared):
    """When the scorers are behind, and how far."""

    from_: Annotated[Duration, Field(alias="from")]
    to: Duration
    seconds: Annotated[float, Field(ge=0)]


class Expected(Declared):
    """One event. What is left out may be anything."""

    type: Literal["firing", "updated", "no_data", "resolved"]
    between: Annotated[list[Duration], Field(min_length=2, max_length=2)]
    rule: str | None = None
    reason: str | None = None
    severity: str | None = None
    workflow: str | None = None
    step: str | None = None
    evaluator: str | None = None
    tenant: str | None = None
    silenced: bool | None = None


class RuleTest(Declared):
    """One timeline and what must follow."""

    name: str
    every: Every = "10s"
    until: Duration = "0s"  # time goes on with ticks alone until then
    outcomes: Annotated[list[Series], Field(min_length=1)]
    lag: Lag | None = None
    events: list[Expected]


class RuleTests(Declared):
    """One file. `rules` of several lines is the text of rules itself."""

    rules: str
    tests: Annotated[list[RuleTest], Field(min_length=1)]


def parse_rule_tests(text: str, source: str) -> RuleTests:
    """The tests of a text. Raises ConfigError with every problem, its line and cure."""
    data, line_of = read_yaml(text, source)
    file = validate(RuleTests, data, source, line_of)
    if problems := [
        problem for index, test in enumerate(file.tests) for problem in _problems(test, index, source, line_of)
    ]:
        raise ConfigError(problems)
    return file


def _problems(test: RuleTest, index: int, source: str, line_of: LineOf) -> list[Problem]:
    path: tuple[str | int, ...] = ("tests", index)
    found = []
    if sum(phase.runs for series in test.outcomes for phase in phases(series.runs)) > RUNS_MAX:
        found.append(Problem(source, line_of(path), f"more than {RUNS_MAX} runs; take a longer `every`"))
    for place, event in enumerate(test.events):
        if duration_ms(event.between[0]) > duration_ms(event.between[1]):
            line = line_of((*path, "events", place, "between"))
            found.append(Problem(source, line, "between ends before it begins"))
    return found
