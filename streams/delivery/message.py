"""What is delivered, and what is sent for it: values that all rooms of delivery share. Pure."""

from typing import Any, NamedTuple

from schemas.alert import AlertEvent
from schemas.cloud_event import from_cloud_event
from schemas.structured_event import structured

Place = tuple[int, int]  # (episode, seq): grows over all events of one alert


class Message(NamedTuple):
    """One alert event as it lies on the topic."""

    event: AlertEvent
    headers: tuple[tuple[str, bytes], ...]
    value: bytes
    partition: int
    offset: int

    @property
    def alert_key(self) -> str:
        """Events of one alert go one after the other."""
        return self.event.alert_key

    @property
    def place(self) -> Place:
        """Where it stands among the events of its alert; a repetition has the same."""
        return self.event.episode, self.event.seq

    def document(self) -> bytes:
        """The whole event as one JSON document."""
        return structured(self.headers, self.value)


class Request:
    """A POST. Its text form shows neither URL nor headers: both may hold secrets."""

    __slots__ = ("body", "headers", "url")

    def __init__(self, url: str, headers: dict[str, str], body: bytes) -> None:
        self.url, self.headers, self.body = url, headers, body

    def __repr__(self) -> str:
        return f"Request({len(self.body)} bytes)"


def message_of(record: Any) -> Message | None:
    """The record's alert event; None for heartbeats and types of a later version. Raises ValueError on anything else."""
    event = from_cloud_event(record.headers, record.value or b"")
    if not isinstance(event, AlertEvent):
        return None
    return Message(event, tuple(record.headers), record.value, record.partition, record.offset)
