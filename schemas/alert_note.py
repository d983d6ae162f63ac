"""What a person says of an alert: an acknowledgement, or a note. A row of `alert_notes`. Pure value."""

from typing import Literal, NamedTuple

TEXT_MAX = 10_000  # characters


class AlertNote(NamedTuple):
    """Said of one firing of an alert; never changed afterwards."""

    alert_key: str
    episode: int
    at_ms: int
    kind: Literal["ack", "note"]
    by: str
    text: str  # "" with a bare acknowledgement
