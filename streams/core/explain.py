"""When would a rule fire? The rule of thumb of the e-detector in outcomes and time, and what each method promises.

Outcomes needed ~ ln(T * rate * D) / D with D = KL(p1 || p0): how much one outcome at fail rate p1 says against p0.
"""

from math import ceil, log
from typing import NamedTuple

from schemas.duration import spell_duration
from schemas.rule import BaselineMethod, Rule, Rung, WindowMethod
from streams.core.rate_window import wilson_lower, z_of
from streams.core.wording import percent

MONTH_MS = 30 * 86_400_000
_WINDOW_N_MAX = 10_000_000


class Delay(NamedTuple):
    """How long a series at fail rate `rate` takes to fire at a volume."""

    per_minute: float
    rate: float
    outcomes: int
    minutes: float


def divergence(p1: float, p0: float) -> float:
    """KL(p1 || p0) of one outcome, in nats."""
    return sum(p * log(p / q) for p, q in ((p1, p0), (1 - p1, 1 - p0)) if p > 0)


def delay(rule: Rule, line: float, rate: float, per_minute: float, series: int = 1, lines: int = 1) -> Delay | None:
    """The expected delay when one of `series` series of a workflow goes to fail rate `rate`, above `line`.

    None: at this volume it never fires (a window that holds too few outcomes).
    """
    assert line < rate <= 1, (line, rate)
    assert per_minute > 0, per_minute
    if isinstance(rule.method, WindowMethod):
        return _window_delay(rule.method, line, rate, per_minute)
    information = divergence(rate, line) / rule.design_effect
    budget_minutes = rule.budget_ms * series * lines / 60_000
    outcomes = max(1, ceil(log(max(2.0, budget_minutes * per_minute * information)) / information))
    return Delay(per_minute, rate, outcomes, outcomes / per_minute)


def _window_delay(method: WindowMethod, line: float, rate: float, per_minute: float) -> Delay | None:
    """A window that held nothing but good outcomes fills with bad ones until its bound passes the line."""
    held = per_minute * method.window_ms / 60_000
    if held < method.min_events:
        return None
    z = z_of(method.confidence)
    needed = next((n for n in _counts(held) if wilson_lower(held, n * rate, z) > line), None)
    return None if needed is None else Delay(per_minute, rate, needed, needed / per_minute + method.for_ms / 60_000)


def _counts(held: float) -> range:
    step = max(1, int(held) // 1_000)
    return range(1, min(_WINDOW_N_MAX, int(held)) + 1, step)


def false_alarms_a_month(rule: Rule) -> float | None:
    """How often the rule may be wrong in 30 days, over all series of one workflow; None: its method promises nothing."""
    return None if isinstance(rule.method, WindowMethod) else MONTH_MS / rule.budget_ms


def lines_of(rule: Rule, workflow: str) -> tuple[Rung, ...]:
    """The lines that can be explained beforehand: of a baseline without one, its floor."""
    return rule.ladder_of(workflow) or (Rung(rule.severity, rule.threshold(workflow)),)


def promise(rule: Rule, workflow: str, series: int) -> str:
    """What the rule promises, in words."""
    return f"{_lines(rule, workflow)} {_alarms(rule, series)} {_over(rule)} {_silent(rule)}"


def _lines(rule: Rule, workflow: str) -> str:
    method, rungs = rule.method, lines_of(rule, workflow)
    said = ", ".join(f"{percent(rung.rate)} ({rung.severity})" for rung in rungs)
    if not isinstance(method, BaselineMethod):
        return f"The line is {percent(rungs[0].rate)}." if len(rungs) == 1 else f"The lines are {said}."
    before = f"until then it is {said}" if rule.ladder_of(workflow) else "until then nothing fires"
    return (
        f"The line is {method.ratio:g} times an upper bound of what a series does in its first "
        f"{spell_duration(method.reference_ms)} (at least {method.min_events} runs), never below {percent(method.floor)}; "
        f"{before}."
    )


def _alarms(rule: Rule, series: int) -> str:
    sharing = "one series" if series == 1 else f"{series} series"
    month = false_alarms_a_month(rule)
    if month is not None:
        return (
            f"While no fail rate is above that, {sharing} of a workflow fire at most once in "
            f"{spell_duration(rule.budget_ms)} on average ({month:.3g} in 30 days), at any volume."
        )
    assert isinstance(rule.method, WindowMethod)
    waiting = f", and was for {spell_duration(rule.method.for_ms)}" if rule.method.for_ms else ""
    return (
        f"It fires when the {spell_duration(rule.method.window_ms)} window holds {rule.method.min_events} runs and is above "
        f"that with {percent(rule.method.confidence)} confidence{waiting}. It promises nothing about false alarms: it looks "
        "again and again. `stepwatch rules simulate` counts them."
    )


def _over(rule: Rule) -> str:
    hold = spell_duration(rule.hold_ms)
    if not isinstance(rule.method, WindowMethod):
        return f"It resolves once the evidence has been gone for {hold}."
    below = rule.method.recover_below
    where = "the line" if below is None else percent(below)
    return f"It resolves once the window's rate has been at or below {where} for {hold}."


def _silent(rule: Rule) -> str:
    after = spell_duration(rule.no_data.after_ms)
    return {
        "keep": "Silence changes nothing.",
        "resolve": f"Silence for {after} ends an alert.",
        "alert": f"Silence for {after} is an alert of its own.",
    }[rule.no_data.do]
