"""`stepwatch alerts tail|list|show`: for a person on call."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.alert import AlertEvent, Pipeline, spell_time
from schemas.cloud_event import to_cloud_event
from schemas.config import ConfigError
from schemas.duration import spell_duration
from schemas.rules import parse_rules
from streams.console.errors import UserError
from streams.console.parts import Store, effective
from streams.core.wording import percent

alerts = typer.Typer(no_args_is_help=True)
STYLES = {"firing": "bold red", "updated": "red", "no_data": "bold yellow", "resolved": "bold green", "expired": "dim"}
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
        console.print(table(tuple(r.event for r in ordered), now_ms=int(time.time() * 1000)))
    else:
        console.print("no alert fires, none was resolved within a day")


@alerts.command()
def show(
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="The event's id, or the beginning of the alert key.")],
    as_json: AsJson = False,
    clickhouse_url: Store = None,
) -> None:
    """One alert: what happened, and what changed at its onset, asked of ClickHouse anew.

    Every cause is told with the runs that it rests on. Asked again the answer is the same, but for late spans.
    """
    from streams.config_log import read_config
    from streams.console.alert_shown import shown
    from streams.store.alert_events import find
    from streams.store.attribution import attribution_of
    from streams.store.client import connect
    from streams.store.errors import StoreError

    settings = effective(clickhouse_url=clickhouse_url)
    client = connect(settings)
    try:
        found = find(client, alert)
        if len(found) != 1:
            keys = ", ".join(event.alert_key for event in found)
            raise UserError(
                f"no alert begins with {alert!r}: `stepwatch alerts list`" if not found else f"which? {keys}"
            )
        (event,) = found
        rule = None
        with suppress(
            UserError, ConfigError
        ):  # Kafka may be away, the rule gone: then all outcomes of its labels are taken
            rules = asyncio.run(read_config(settings)).rules_text
            rule = parse_rules(rules, "eval.config").by_uid().get(event.rule.uid) if rules else None
        event = event._replace(attribution=attribution_of(client, event, rule))
    except StoreError as error:
        raise UserError(str(error)) from error
    if as_json:
        _, headers, value = to_cloud_event(event, Pipeline(event.time_ms, ""))
        write_json(tuple(headers), value)
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(told(event))
    console.print(shown(event))


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


def table(events: tuple[AlertEvent, ...], now_ms: int) -> Table:
    """Alerts as a table; one that fires and was not heard of for too long is called expired."""
    shown = Table(box=None, pad_edge=False)
    for name in ("status", "severity", "series", "since", "fail rate", "line", "rule"):
        shown.add_column(name, overflow="fold")
    for event in events:
        status = "expired" if event.status == "firing" and event.expires_ms < now_ms else event.status
        cells: list[Any] = [Text(status, style=STYLES[status]), event.rule.severity, series_name(event)]
        cells += [spell_time(event.starts_ms)[:19], percent(event.evidence.rate), percent(event.rule.threshold)]
        shown.add_row(*(Text(c) if isinstance(c, str) else c for c in [*cells, event.rule.uid]))
    return shown
