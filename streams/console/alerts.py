"""`stepwatch alerts tail|list|show|ack|note`: for a person on call."""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from getpass import getuser
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.alert import AlertEvent, Pipeline, spell_time
from schemas.alert_note import TEXT_MAX, AlertNote
from schemas.cloud_event import to_cloud_event
from schemas.config import ConfigError
from schemas.duration import spell_duration
from schemas.rules import parse_rules
from streams.console.errors import UserError
from streams.console.parts import Store, effective
from streams.core.wording import percent

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

alerts = typer.Typer(no_args_is_help=True)
NOBODY: Mapping[str, str] = {}
STYLES = {"firing": "bold red", "updated": "red", "no_data": "bold yellow", "resolved": "bold green", "expired": "dim"}
Alert = Annotated[str, typer.Argument(metavar="ALERT", help="The id of an event, or the beginning of an alert key.")]
By = Annotated[str | None, typer.Option(help="Who says so. Default: the name you are logged in with.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object an event, with its CloudEvents attributes.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(alerts, name="alerts", help="Alert events: follow them, list the open ones.")


@alerts.command()
def tail(
    from_start: Annotated[bool, typer.Option(help="Begin with the oldest event that is kept, not with now.")] = False,
    follow: Annotated[bool, typer.Option(help="Go on until Ctrl-C; else stop at the end of what is there.")] = True,
    as_json: AsJson = False,
) -> None:
    """Follow the alerts topic. Each transition is shown once."""
    from streams.alerter import subscriber

    console = Console(soft_wrap=True, highlight=False)

    async def show() -> None:
        async for received in subscriber.tail(effective(), from_start=from_start, follow=follow):
            if as_json:
                write_json(received.headers, received.value)
            else:
                console.print(told(received.event))

    with suppress(KeyboardInterrupt):
        asyncio.run(show())


@alerts.command("list")
def list_(as_json: AsJson = False) -> None:
    """The alerts that fire now, and those resolved within a day."""
    from streams.alerter import subscriber

    found = asyncio.run(subscriber.state(effective()))
    ordered = sorted(found.values(), key=lambda r: (r.event.status != "firing", -r.event.time_ms))
    if as_json:
        for received in ordered:
            write_json(received.headers, received.value)
        return
    console = Console(highlight=False)
    if ordered:
        events = tuple(r.event for r in ordered)
        console.print(table(events, int(time.time() * 1000), _acknowledged(events)))
    else:
        console.print("no alert fires, none was resolved within a day")


@alerts.command()
def show(alert: Alert, as_json: AsJson = False, clickhouse_url: Store = None) -> None:
    """One alert: what happened, what people said of it, and what changed at its onset, asked of ClickHouse anew.

    Every cause is told with the runs that it rests on. Asked again the answer is the same, but for late spans.
    """
    from streams.config_log import read_config
    from streams.console.alert_shown import said_of, shown
    from streams.store.alert_events import notes_of
    from streams.store.attribution import attribution_of

    with _alert_in_store(alert, clickhouse_url) as (client, event):
        rule = None
        with suppress(
            UserError, ConfigError
        ):  # Kafka may be away, the rule gone: then all outcomes of its labels are taken
            rules = asyncio.run(read_config(effective())).rules_text
            rule = parse_rules(rules, "eval.config").by_uid().get(event.rule.uid) if rules else None
        event = event._replace(attribution=attribution_of(client, event, rule))
        notes = [note for note in notes_of(client, [event.alert_key]) if note.episode == event.episode]
    if as_json:
        _, headers, value = to_cloud_event(event, Pipeline(event.time_ms, ""))
        write_json(tuple(headers), value)
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(told(event))
    for line in said_of(notes):
        console.print(line)
    console.print(shown(event))


@alerts.command()
def ack(
    alert: Alert,
    by: By = None,
    note: Annotated[str, typer.Option(help="And say something.")] = "",
    clickhouse_url: Store = None,
) -> None:
    """Say that somebody sees to an alert. Kept with the firing that is open or was the last; shown by list and show.

    Events and delivery go on as before: an acknowledgement is for people.
    """
    _say(alert, "ack", by, note, clickhouse_url)


@alerts.command("note")
def note_(
    alert: Alert,
    text: Annotated[str, typer.Argument(help="What you found, did or think.")],
    by: By = None,
    clickhouse_url: Store = None,
) -> None:
    """Write a note about an alert. It stays with this firing: in show, and in v1_alerts."""
    if not text.strip():
        raise UserError("the note is empty")
    _say(alert, "note", by, text, clickhouse_url)


def _say(alert: str, kind: Literal["ack", "note"], by: str | None, text: str, clickhouse_url: str | None) -> None:
    from streams.store.writer import Writer

    if len(text) > TEXT_MAX:
        raise UserError(f"the note has {len(text)} characters, more than {TEXT_MAX}")
    who = by or getuser()
    with _alert_in_store(alert, clickhouse_url) as (client, event):
        said = AlertNote(event.alert_key, event.episode, int(time.time() * 1000), kind, who, text)
        Writer(client).write_alert_notes([said])
    Console(highlight=False, soft_wrap=True).print(Text(f"{series_name(event)}: {kind} by {who}"))


@contextmanager
def _alert_in_store(alert: str, clickhouse_url: str | None) -> "Iterator[tuple[Client, AlertEvent]]":
    """A client, and the newest event of the one alert that is meant. Raises UserError."""
    from streams.store.alert_events import find
    from streams.store.client import connect
    from streams.store.errors import StoreError

    client = connect(effective(clickhouse_url=clickhouse_url))
    try:
        found = find(client, alert)
        if not found:
            raise UserError(f"no stored alert begins with {alert!r}: `stepwatch alerts list` shows those there are")
        if len(found) > 1:
            raise UserError(f"{alert!r} fits several: {', '.join(event.alert_key for event in found)}")
        yield client, found[0]
    except StoreError as error:
        raise UserError(str(error)) from error
    finally:
        client.close()


def write_json(headers: tuple[tuple[str, bytes], ...], value: bytes) -> None:
    """One event as a structured CloudEvent on standard output."""
    attributes = {name.removeprefix("ce_"): text.decode() for name, text in headers if name.startswith("ce_")}
    sys.stdout.write(orjson.dumps({**attributes, "data": orjson.loads(value)}).decode() + "\n")
    sys.stdout.flush()


def told(event: AlertEvent) -> Text:
    """An event as a person reads it: what, how sure, since when, where to look. Names of others are never markup."""
    text = Text()
    text.append(f"{spell_time(event.time_ms)[11:19]} ", style="dim")
    text.append(f"{event.type.upper().replace('_', ' '):<9}", style=STYLES[event.type])
    text.append(f" {event.rule.severity:<8} ")
    text.append(series_name(event), style="bold")
    for line in _details(event):
        text.append(f"\n         {line}")
    return text


def _details(event: AlertEvent) -> Iterator[str]:
    yield evidence_of(event)
    reason = "" if event.reason == "rate_above_line" else f", {event.reason.replace('_', ' ')}"
    reason += ", silenced" if event.silenced else ""
    since = f"since {spell_time(event.starts_ms)}, rule {event.rule.uid}{reason}"
    yield since if event.resolved_ms is None else f"{since} after {spell_duration(event.resolved_ms - event.fired_ms)}"
    if event.attribution is not None and event.attribution.causes:
        yield f"likely cause: {event.attribution.causes[0].sentence}"
    if event.exemplars and event.type != "resolved":
        yield "traces " + " ".join(exemplar.trace_id for exemplar in event.exemplars[:3])
    if event.rule.runbook_url:
        yield f"runbook {event.rule.runbook_url}"


def series_name(event: AlertEvent) -> str:
    """Workflow / step, evaluator and what else the series is grouped by."""
    labels = dict(event.labels)
    names = [labels[name] for name in ("step", "agent", "tool", "evaluator") if labels.get(name)]
    tenant = "" if event.tenant == "default" else f"{event.tenant}: "
    return f"{tenant}{labels['workflow']} / {' '.join(names) or 'all steps'}"


def evidence_of(event: AlertEvent) -> str:
    """The fail rate with its interval, beside the line."""
    e = event.evidence
    rate = f"{percent(e.rate)} of runs failed ({e.fails:.6g} of {e.n}; {percent(e.lo)} to {percent(e.hi)})"
    return f"{rate}, line {percent(event.rule.threshold)}"


def _acknowledged(events: tuple[AlertEvent, ...]) -> dict[str, str]:
    """Who has acknowledged which alert, by key; nobody where the store does not answer: the list is Kafka's."""
    from streams.store.alert_events import notes_of
    from streams.store.client import connect
    from streams.store.errors import StoreError

    episodes = {event.alert_key: event.episode for event in events}
    with suppress(UserError, StoreError):
        client = connect(effective())
        notes = notes_of(client, list(episodes))
        client.close()
        return {n.alert_key: n.by for n in reversed(notes) if n.kind == "ack" and n.episode == episodes[n.alert_key]}
    return {}


def table(events: tuple[AlertEvent, ...], now_ms: int, acknowledged: Mapping[str, str] = NOBODY) -> Table:
    """Alerts as a table; one that fires and was not heard of for too long is called expired."""
    shown = Table(box=None, pad_edge=False)
    for name in ("alert", "status", "severity", "series", "since", "fail rate", "line", "rule", "acknowledged"):
        shown.add_column(name, overflow="fold")
    for event in events:
        status = "expired" if event.status == "firing" and event.expires_ms < now_ms else event.status
        cells: list[Any] = [
            event.alert_key[:8],
            Text(status, style=STYLES[status]),
            event.rule.severity,
            series_name(event),
        ]
        cells += [spell_time(event.starts_ms)[:19], percent(event.evidence.rate), percent(event.rule.threshold)]
        shown.add_row(
            *(
                Text(c) if isinstance(c, str) else c
                for c in [*cells, event.rule.uid, acknowledged.get(event.alert_key, "")]
            )
        )
    return shown
