"""The words of `rules.yaml` one by one: what each may be, and the sentence for what it may not be.

Validators for pydantic: they take a value, give it back, or raise ValueError with the cure. They know nothing of rules.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field

from schemas.duration import budget_ms, duration_ms, spell_duration
from schemas.rule import SEVERITIES, Ladder, Rung, Severity

TEXTS_MAX = 10  # labels, and annotations, of one rule: an event carries them all
TEXT_CHARS_MAX = 1_024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T")


def _rate(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{value:g} is no fail rate; write a share between 0 and 1, such as 0.05 for 5 %")
    return value


def _lines(value: Any) -> Any:
    """One line, or a line for each severity, growing."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _rate(float(value))
    if not isinstance(value, dict) or not value:
        raise ValueError(f"a share such as 0.05 or a ladder such as {{warning: 0.05, critical: 0.2}}, not {value!r}")
    for severity, rate in value.items():
        if severity not in SEVERITIES:
            raise ValueError(f"unknown severity {severity!r}; write {', '.join(SEVERITIES)}")
        if isinstance(rate, bool) or not isinstance(rate, int | float):
            raise ValueError(f"{severity}: a share such as 0.05 is needed, not {rate!r}")
        _rate(float(rate))
    return value


def ladder(lines: Any, severity: Severity) -> Ladder:
    """The rungs of `Lines`, from the lowest; `severity` is that of a single line. Raises ValueError when they do not grow."""
    if not isinstance(lines, dict):
        return (Rung(severity, float(lines)),)
    rungs = tuple(Rung(name, float(lines[name])) for name in SEVERITIES if name in lines)
    for below, above in pairwise(rungs):
        if below.rate >= above.rate:
            raise ValueError(
                f"{above.severity} begins at {above.rate:g}, which is not above {below.severity}'s {below.rate:g}"
            )
    return rungs


def _evidence(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{value:g} must lie between 0 and 1: an alert fires at evidence 1 and resolves below this")
    return value


def _confidence(value: float) -> float:
    if not 0.5 <= value < 1:
        raise ValueError(f"{value:g} is no confidence; write a share from 0.5 to below 1, such as 0.999")
    return value


def _duration(least: str, most: str) -> Callable[[str], str]:
    least_ms, most_ms = duration_ms(least), duration_ms(most)

    def check(text: str) -> str:
        if not least_ms <= (ms := duration_ms(text)) <= most_ms:
            raise ValueError(f"{spell_duration(ms)} is not within {least} to {most}")
        return text

    return check


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


def moment_ms(text: str) -> int:
    """A moment with its zone in milliseconds. Raises ValueError with the cure."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{text!r} is no moment with a zone; write such as 2031-05-01T12:00:00Z")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _moment(text: str) -> str:
    moment_ms(text)
    return text


Rate = Annotated[float, AfterValidator(_rate)]
Lines = Annotated[Any, AfterValidator(_lines)]
Evidence = Annotated[float, AfterValidator(_evidence)]
Confidence = Annotated[float, AfterValidator(_confidence)]
Hold = Annotated[str, AfterValidator(_duration("0s", "7d"))]
For = Annotated[str, AfterValidator(_duration("0s", "24h"))]
Window = Annotated[str, AfterValidator(_duration("1m", "24h"))]
Reference = Annotated[str, AfterValidator(_duration("1h", "90d"))]
Silence = Annotated[str, AfterValidator(_duration("1m", "23h"))]  # a series without outcomes is forgotten after a day
Renotify = Annotated[str, AfterValidator(_duration("1m", "24h"))]
Budget = Annotated[str, AfterValidator(_budget)]
Uid = Annotated[str, AfterValidator(_uid)]
Texts = Annotated[dict[str, str], AfterValidator(_texts)]
Moment = Annotated[str, AfterValidator(_moment)]
Count = Annotated[int, Field(ge=1)]
group_by_labels = AfterValidator(_group_by)
