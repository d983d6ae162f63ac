"""Durations (`10s`, `15m`, `30d`) and false-alarm budgets (`1 per 30d`) as people write them, in milliseconds."""

import re
from typing import Final

_UNIT_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION: Final = re.compile(r"(\d{1,9})\s*(ms|s|m|h|d|w)")
_BUDGET: Final = re.compile(r"(\d{1,6})\s+per\s+(.+)")
DURATION_MS_MAX: Final = 3_660 * _UNIT_MS["d"]  # ten years


def duration_ms(text: str) -> int:
    """The milliseconds of one number with its unit. Raises ValueError with the cure."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a duration; write a whole number and a unit, such as 30s, 10m, 12h or 30d")
    ms = int(found[1]) * _UNIT_MS[found[2]]
    if ms > DURATION_MS_MAX:
        raise ValueError(f"{text!r} is longer than ten years")
    return ms


def budget_ms(text: str) -> float:
    """The wanted mean time between false alarms of `N per DURATION`. Raises ValueError with the cure."""
    found = _BUDGET.fullmatch(text.strip())
    if not found:
        raise ValueError(f'{text!r} is not a budget; write a count and a time, such as "1 per 30d"')
    count, ms = int(found[1]), duration_ms(found[2])
    if not count or not ms:
        raise ValueError(f"{text!r} allows no false alarm at all, which no test can promise; allow 1 per 3650d")
    return ms / count


def spell_duration(ms: float) -> str:
    """A duration in the largest unit that keeps it readable: 5400000 -> `1.5h`."""
    unit, size = "ms", 1
    for name, unit_ms in _UNIT_MS.items():
        if name != "w" and ms >= unit_ms:
            unit, size = name, unit_ms
    return f"{ms / size:.3g}{unit}"
