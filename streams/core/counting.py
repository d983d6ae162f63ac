"""What the outcomes of one trace are worth in one series: how many they count as, and how many of them failed.

By trace: one, of which a share in [0, 1] failed, by the rule's way of counting. By span: every attempt, and attempts of
a run fail together, so the detector sees them divided by the design effect; people see the attempts.
"""

from collections.abc import Sequence

from schemas.outcome import Outcome
from schemas.rule import Rule


def worth(rule: Rule, outcomes: Sequence[Outcome]) -> tuple[int, float]:
    """(n, fails) of one trace, fails never above n. n is 0 where the log counts no attempt: such a trace says nothing."""
    if rule.unit == "span":
        return sum(o.attempts for o in outcomes), float(sum(min(o.failed, o.attempts) for o in outcomes))
    return 1, failed_share(rule.outcome, outcomes)


def failed_share(counting: str, outcomes: Sequence[Outcome]) -> float:
    """X of one trace, in [0, 1]; the mean over several steps."""
    if counting == "any":
        return float(any(o.failed for o in outcomes))
    return sum(_failed(counting, o) for o in outcomes) / len(outcomes)


def _failed(counting: str, outcome: Outcome) -> float:
    if counting == "mean":
        return min(1.0, outcome.failed / outcome.attempts) if outcome.attempts else 0.0
    return float((outcome.first if counting == "first" else outcome.last) == "fail")
