"""A moment as a person writes it: `2026-11-20`, `2026-11-20T10:00Z`, or how long ago: `7d`, `90m`. UTC without a zone."""

from datetime import UTC, datetime

from schemas.duration import duration_ms


def read_moment(text: str, now_ms: int) -> int:
    """Milliseconds since the epoch. Raises ValueError with a sentence."""
    try:
        return now_ms - duration_ms(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is neither a time (2026-11-20T10:00Z) nor how long ago (7d, 90m)") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
