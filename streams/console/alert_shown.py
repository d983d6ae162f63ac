"""The causes of an alert as a table: what each explains, and the runs that it rests on."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.alert import AlertEvent, spell_time
from schemas.alert_note import AlertNote
from schemas.attribution import Share
from streams.core.wording import percent


def shown(event: AlertEvent) -> RenderableType:
    """The attribution of an event, as a person reads it. Names of others are never markup."""
    found = event.attribution
    if found is None or not found.since.n:
        return Text("no decided runs of this series are stored: nothing to compare")
    head = Text(f"compared: {_of(found.since)} failing runs since the onset, {_of(found.before)} before")
    if not found.causes:
        return Group(head, Text("nothing tells failing runs from the others"))
    table = Table(box=None, pad_edge=False)
    for name in ("cause", "since", "before", "elsewhere", "explains", "confidence"):
        table.add_column(name, overflow="fold", justify="left" if name == "cause" else "right")
    for cause in found.causes:
        numbers = (cause.since, cause.before, cause.elsewhere)
        cells = [
            cause.sentence,
            *(_of(share) for share in numbers),
            percent(cause.explained),
            f"{cause.confidence:.2f}",
        ]
        table.add_row(*map(Text, cells))
    first = Text("first bad traces " + " ".join(found.causes[0].traces or found.traces))
    return Group(head, table, first)


def said_of(notes: Iterable[AlertNote]) -> Iterator[Text]:
    """What people said, a line each."""
    for note in notes:
        what = "acknowledged" if note.kind == "ack" else "note"
        yield Text(
            f"         {spell_time(note.at_ms)[:16]}Z {what} by {note.by}" + (f": {note.text}" if note.text else "")
        )


def _of(share: Share | None) -> str:
    return "" if share is None or not share.n else f"{share.k} of {share.n}"
