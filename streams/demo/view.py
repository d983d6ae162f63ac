"""What the demonstration shows while it plays: a live page in a terminal, plain lines in a pipe.

Pure: a snapshot goes in, something printable comes out. Nothing here asks Kafka, ClickHouse or the clock.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.demo.expected import AlertEvent
from streams.demo.script import Phase, Schedule

EVALUATORS = (
    "ParameterValidation",
    "ToolCallSuccess",
)  # the columns; every other evaluator is in the store all the same
ALERTS_SHOWN = 6
LINES_BESIDE_STEPS = 14  # of the page: frame, head, figures, headings and the gaps between; the alerts come on top
NEWS: Mapping[Phase, str] = {
    "healthy": "all three workflows do what they should",
    "broken": "refund sends update_crm wrong parameters; errors are swallowed",
    "repaired": "the executor is repaired; waiting for the alerts to resolve",
}
COLOURS: Mapping[Phase, str] = {"healthy": "green", "broken": "red", "repaired": "cyan"}


class Rate(NamedTuple):
    """Judged and failed results of one step under one evaluator, of late."""

    judged: int
    failed: int

    @property
    def share(self) -> float:
        """The fail rate; 0 without results."""
        return self.failed / self.judged if self.judged else 0.0


class Snapshot(NamedTuple):
    """What is known at one moment of the play."""

    at_s: float  # since the play began
    phase: Phase
    emitted: int  # spans handed to OpenTelemetry's SDK
    spans_per_s: float  # stored, over the last seconds
    stored: int  # distinct spans in ClickHouse
    decided: int  # trajectories with their final verdicts
    open_windows: int  # trajectories that are not decided yet
    lag: int | None  # records of the spans topic that the scorer has not committed; None unknown
    rates: Mapping[tuple[str, str], Mapping[str, Rate]]  # by workflow and step, then evaluator
    alerts: tuple[AlertEvent, ...]


def page(snapshot: Snapshot, schedule: Schedule, height: int | None = None) -> RenderableType:
    """The live page; in so many lines, when the terminal has no more: then only the worst steps are listed."""
    colour = COLOURS[snapshot.phase]
    head = Text.assemble(
        (f" {snapshot.phase.upper()} ", f"bold white on {colour}"),
        f"  {NEWS[snapshot.phase]}\n",
        _times(snapshot, schedule),
    )
    steps_max = None if height is None else max(1, height - LINES_BESIDE_STEPS - max(1, len(_shown(snapshot))))
    return Panel(
        Group(head, Text(), _figures(snapshot), Text(), _alerts(snapshot), Text(), _steps(snapshot, steps_max)),
        title="[bold]stepwatch demo[/]",
        border_style=colour,
        padding=(0, 1),
    )


def _times(snapshot: Snapshot, schedule: Schedule) -> Text:
    return Text(
        f"{clock(snapshot.at_s)} of the play; breaks at {clock(schedule.broken_at_s)}, "
        f"repaired at {clock(schedule.repaired_at_s)}",
        style="dim",
    )


def _figures(snapshot: Snapshot) -> Table:
    figures = Table.grid(padding=(0, 2))
    for _ in range(6):
        figures.add_column(justify="right")
    names = ("spans sent", "spans stored", "spans/s", "runs judged", "open windows", "lag (records)")
    lag = "?" if snapshot.lag is None else f"{snapshot.lag:,}"
    values = (snapshot.emitted, snapshot.stored, round(snapshot.spans_per_s), snapshot.decided, snapshot.open_windows)
    figures.add_row(*(Text(f"{value:,}", style="bold") for value in values), Text(lag, style="bold"))
    figures.add_row(*(Text(name, style="dim") for name in names))
    return figures


def _steps(snapshot: Snapshot, steps_max: int | None) -> RenderableType:
    worst = sorted(snapshot.rates, key=lambda step: -max((r.share for r in snapshot.rates[step].values()), default=0))
    listed = worst[:steps_max]
    which = f", the {len(listed)} worst of {len(worst)} steps" if len(listed) < len(worst) else ""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("\nworkflow", "\nstep"):
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    for name in ("\nruns", *map(_heading, EVALUATORS)):
        table.add_column(name, justify="right")
    for (workflow, step), rates in sorted((step, snapshot.rates[step]) for step in listed):
        runs = max((rate.judged for rate in rates.values()), default=0)
        table.add_row(workflow, step, f"{runs}", *(_rate(rates.get(name)) for name in EVALUATORS))
    return Group(Text(f"Fail rate, last 30 s{which}", style="bold"), table)


def _heading(evaluator: str) -> str:
    """The name on two lines, so that the column is no wider than it must be: its last word below."""
    *_, last = re.finditer("[A-Z]", evaluator)
    return f"{evaluator[: last.start()]}\n{evaluator[last.start() :]}"


def _rate(rate: Rate | None) -> Text:
    if rate is None:
        return Text("-", style="dim")
    style = "bold red" if rate.share > 0.05 else "yellow" if rate.failed else "green"
    return Text(f"{rate.share:6.1%}", style=style)


def _alerts(snapshot: Snapshot) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for event in _shown(snapshot):
        style = "bold red" if event.status == "firing" else "bold green" if event.status == "resolved" else "dim"
        series = f"{event.series.workflow} / {event.series.step} / {event.series.evaluator}"
        table.add_row(Text(event.status.upper(), style=style), Text(series), Text(moment(event), style="dim"))
    if not snapshot.alerts:
        table.add_row(Text("none", style="dim"))
    return Group(Text("Alerts", style="bold"), table)


def _shown(snapshot: Snapshot) -> tuple[AlertEvent, ...]:
    return snapshot.alerts[-ALERTS_SHOWN:]


def line(snapshot: Snapshot) -> str:
    """The same in one line, for a pipe."""
    bad = [
        f"{workflow} {step} {name} {rate.share:.0%}"
        for (workflow, step), rates in sorted(snapshot.rates.items())
        for name, rate in rates.items()
        if rate.share > 0.05
    ]
    return (
        f"{clock(snapshot.at_s)} {snapshot.phase}: {snapshot.emitted:,} spans sent, {snapshot.stored:,} stored, "
        f"{snapshot.spans_per_s:,.0f}/s, {snapshot.decided:,} runs judged, {snapshot.open_windows} open, "
        f"lag {'?' if snapshot.lag is None else snapshot.lag}; failing: {', '.join(bad) or 'nothing'}"
    )


def alert_line(event: AlertEvent) -> str:
    """One alert event in one line, for a pipe."""
    return f"ALERT {event.status} {event.series} {moment(event)}".rstrip()


def moment(event: AlertEvent) -> str:
    """When the transition was, as the event says; the time of day is enough on a page."""
    return event.headers.get("ce_time", "")[11:19]


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
