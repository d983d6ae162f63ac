"""The delivery log as values: what was settled for a target, and since when something is tried. Pure.

A record's key names target and alert, so that the compacted topic keeps the last word on each. The law: `read_entry` is
the inverse of `Entry.record`.
"""

from typing import Literal, NamedTuple

import orjson

from schemas.alert import AlertEvent
from streams.delivery.message import Place

Word = Literal[
    "delivered",
    "dead",  # a dead letter tells why
    "trying",  # failed at least once; not settled
]


class Entry(NamedTuple):
    """One word on one event."""

    word: Word
    target: str
    alert_key: str
    episode: int
    seq: int
    at_ms: int  # for `trying`: since when
    attempts: int = 0

    @property
    def place(self) -> Place:
        """The event, among those of its alert."""
        return self.episode, self.seq

    def record(self) -> tuple[bytes, bytes]:
        """Key and value. What is tried has a key of its own: it must not hide what is settled."""
        about = "trying" if self.word == "trying" else "settled"
        return orjson.dumps([self.target, self.alert_key, about]), orjson.dumps(self._asdict())


def read_entry(value: bytes) -> Entry:
    """An entry of the log; fields of later versions are ignored. Raises ValueError on anything else."""
    try:
        fields = orjson.loads(value)
        return Entry(**{name: fields[name] for name in Entry._fields if name in fields})
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"not an entry of the delivery log: {error!r}") from error


class Known(NamedTuple):
    """What the log says of one partition and one target, by alert key."""

    settled: dict[str, Place]
    delivered: dict[str, Place]  # those of `settled` that the target really has
    trying: dict[str, tuple[Place, int]]  # the event, and since when in ms

    def learn(self, entry: Entry) -> None:
        """The greater place stays: an owner of the past may write late."""
        if entry.word == "trying":
            self.trying[entry.alert_key] = entry.place, entry.at_ms
            return
        self.settled[entry.alert_key] = max(entry.place, self.settled.get(entry.alert_key, (0, 0)))
        if entry.word == "delivered":
            self.delivered[entry.alert_key] = max(entry.place, self.delivered.get(entry.alert_key, (0, 0)))

    def copy(self) -> "Known":
        """As it is now: what is learned later does not change it."""
        return Known(dict(self.settled), dict(self.delivered), dict(self.trying))

    def has(self, event: AlertEvent) -> bool:
        """Whether the target was told of this event, or of a later one of its alert."""
        return (event.episode, event.seq) <= self.delivered.get(event.alert_key, (0, 0))

    def since_s(self, alert_key: str, place: Place) -> float | None:
        """Since when this event waits, if it failed before a restart."""
        tried, at_ms = self.trying.get(alert_key, ((0, 0), 0))
        return at_ms / 1000 if tried == place else None


def nothing_known() -> Known:
    """Of a target that is new."""
    return Known({}, {}, {})
