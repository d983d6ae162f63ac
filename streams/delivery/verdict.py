"""What an answer means, and when to ask again. Pure: the shell brings the answer, the time and a random number.

The law: an event is settled only by `delivered` or by a dead letter; whatever may pass by itself is tried again.
"""

from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple

from schemas.target import Kind, Retry

Failure = Literal[
    "connection",  # refused, reset, or its name cannot be resolved
    "tls",
    "timeout",  # no answer within the target's timeout
    "address_refused",  # the name leads where nothing may be sent
    "url_refused",  # the secret that holds the URL holds none that may be asked
    "storage",  # a file that cannot be written
]
Outcome = Literal[
    "delivered",
    "again",  # may pass by itself
    "busy",  # the target asks for a pause: it is alive
    "refused",  # will be refused for ever: a dead letter
    "gone",  # 410: nothing is ever wanted here again
]
GONE = 410
# What passes by itself. For others than a plain webhook, 4xx is our fault and stays.
PASSING = frozenset({408, 425, 429, 502, 503, 504})


class Answer(NamedTuple):
    """What came of a request: a status, or why there is none."""

    status: int | None = None
    failure: Failure | None = None
    detail: str = ""  # for a person; no secrets
    retry_after_s: float | None = None

    def __str__(self) -> str:
        code = f"status {self.status}" if self.failure is None else self.failure.replace("_", " ")
        return f"{code}: {self.detail}" if self.detail else code


OK = Answer(status=200)


def outcome_of(kind: Kind, answer: Answer) -> Outcome:
    """What to do with the event."""
    status = answer.status
    if answer.failure is not None or status is None:
        return "again"
    if 200 <= status < 300:
        return "delivered"
    if status == GONE:
        return "gone"
    if status == 429 or (status == 503 and answer.retry_after_s is not None):
        return "busy"
    if kind == "webhook" or status >= 500 or status in PASSING:  # Standard Webhooks: all but 2xx and 410 is tried again
        return "again"
    return "refused"


def pause_s(retry: Retry, attempts: int, retry_after_s: float | None, luck: float) -> float:
    """How long to wait after so many attempts. `luck` of [0, 1) spreads those who failed at the same moment.

    What the target asks for is honoured up to the longest pause; nobody may silence alerts for a year.
    """
    growing = min(retry.most_s, retry.first_s * 2.0 ** min(attempts - 1, 30))
    jittered = growing * (0.5 + 0.5 * luck)
    return max(jittered, min(retry_after_s or 0.0, retry.most_s))


def read_retry_after(text: str | None, now_s: float) -> float | None:
    """The seconds of a Retry-After header, which is a number or a date; None when it is neither."""
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text.strip()[:12])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        return None
