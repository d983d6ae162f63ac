"""What the commands of rules show: tables and sentences, from values that the core has made. Nothing is read here."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Group
from rich.table import Table
from rich.text import Text

from schemas.alert import spell_time
from schemas.duration import spell_duration
from schemas.rule import BaselineMethod, EvidenceMethod, Rule
from streams.core.explain import delay, lines_of, promise
from streams.core.replay_rules import Beside, Replay, Replayed, Volume
from streams.core.simulate import Chance, Delays, FalseAlarms, delays, false_alarms
from streams.core.wording import percent

SERIES_SHOWN_MAX = 20
BELOW = (0.6, 0.8, 1.0)  # shares of the line at which alarms are false
ABOVE = (1.4, 2.0, 4.0)  # and multiples of it that are to be seen
RATE_MAX = 0.99


def explained(rule: Rule, workflow: str, volumes: tuple[float, ...], series: int) -> Group:
    """When one rule would fire: for each of its lines a row a volume, a column a fail rate above it."""
    rungs = lines_of(rule, workflow)
    parts: list[Text | Table] = [Text(rule.uid, style="bold"), Text(promise(rule, workflow, series))]
    for rung in rungs:
        rates = _rates_above(rung.rate)
        table = _table(["runs a minute", *(f"at {percent(rate)}" for rate in rates)])
        for volume in volumes:
            cells = [_delay(rule, rung.rate, rate, volume, series, len(rungs)) for rate in rates]
            table.add_row(f"{volume:g}", *cells)
        parts += [Text(f"Above {percent(rung.rate)} it says {rung.severity} in about:"), table]
    return Group(*parts, Text())


def _rates_above(line: float) -> list[float]:
    middle = (1 + line) / 2
    return sorted({min(factor * line, middle) for factor in (1.5, 2)} | {middle, 1.0})


def _delay(rule: Rule, line: float, rate: float, volume: float, series: int, lines: int) -> str:
    found = delay(rule, line, rate, volume, series, lines)
    return "never" if found is None else f"{spell_duration(found.minutes * 60_000)} ({found.outcomes} runs)"


def explained_as_seen(rule: Rule, seen: Sequence[Volume], since: str) -> Group:
    """When one rule would fire at the volumes of its own series, the busiest first."""
    sharing: dict[str, int] = {}
    for volume in seen:
        sharing[volume.workflow] = sharing.get(volume.workflow, 0) + 1
    title = Text(rule.uid, style="bold")
    if not seen:
        return Group(title, Text(f"No run of the last {since} is the business of this rule.\n"))
    table = _table(["series", "runs a minute", "fail rate", "line", "twice the line in", "an outage in"])
    for volume in seen[:SERIES_SHOWN_MAX]:
        rungs = lines_of(rule, volume.workflow)
        line, series = rungs[0].rate, sharing[volume.workflow]
        twice = min(2 * line, (1 + line) / 2)
        cells = [_delay(rule, line, rate, volume.per_minute, series, len(rungs)) for rate in (twice, 1.0)]
        name = f"{volume.workflow} / {volume.series}"
        table.add_row(Text(name), f"{volume.per_minute:.3g}", percent(volume.fail_rate), percent(line), *cells)
    more = len(seen) - SERIES_SHOWN_MAX
    rest = [Text(f"and {more} series with fewer runs")] if more > 0 else []
    return Group(title, Text(promise(rule, seen[0].workflow, max(sharing.values()))), table, *rest, Text())


def beside(rows: Sequence[Beside], today: Replay, changed: Replay, since: str) -> Group:
    """What fires under today's rules and under the changed ones."""
    table = _table(["rule", "series", "today", "changed"], left=4)
    for row in rows:
        one = row.today or row.changed
        assert one is not None
        table.add_row(Text(one.rule_uid), Text(one.series), _episode(row.today), _episode(row.changed))
    only = sum(row.today is None for row in rows), sum(row.changed is None for row in rows)
    summary = (
        f"{today.traces} runs of the last {since}. Today's rules: {len(today.alerts)} alerts over {today.series.total()} "
        f"series. Changed: {len(changed.alerts)} over {changed.series.total()}, of which {only[0]} are new; "
        f"{only[1]} are gone."
    )
    notes = [
        f"{name} rules had no room for {found.dropped} outcomes: raise max_series or group by less."
        for name, found in (("Today's", today), ("The changed", changed))
        if found.dropped
    ]
    return Group(*([table] if rows else []), Text(summary), *(Text(note) for note in notes))


def _episode(alert: Replayed | None) -> Text:
    if alert is None:
        return Text("-", style="dim")
    ends = "fires still" if alert.resolved_ms is None else f"for {spell_duration(alert.resolved_ms - alert.fired_ms)}"
    rate = f", {percent(alert.rate)} of {alert.n}" if alert.n else ""
    return Text(f"{spell_time(alert.fired_ms)[:16]} {alert.severity} {ends}{rate}")


def simulated(
    rule: Rule, workflow: str, volumes: Sequence[float], series: int, days: int, runs: int, chance: Chance
) -> Group:
    """False alarms and delays of one rule at its lowest line."""
    line = lines_of(rule, workflow)[0].rate
    note = (
        f"Line {percent(line)}. False alarms a day over {days} days each; minutes to the alert, median / 90 %, of {runs} "
        "changes."
    )
    if isinstance(rule.method, BaselineMethod):
        rule = replace(rule, method=EvidenceMethod(), ladder=lines_of(rule, workflow))
        note += " A baseline finds its line itself: this is how it behaves at its floor."
    below = [share * line for share in BELOW]
    above = [min(RATE_MAX, factor * line) for factor in ABOVE]
    table = _table(["runs a minute", *(f"false at {percent(p)}" for p in below), *(f"to {percent(p)}" for p in above)])
    for volume in volumes:
        alarms = [false_alarms(chance, rule, workflow, volume, p, days, series) for p in below]
        late = [delays(chance, rule, workflow, volume, below[0], p, runs, series) for p in above]
        table.add_row(f"{volume:g}", *(_a_day(a) for a in alarms), *(_minutes(d) for d in late))
    return Group(Text(rule.uid, style="bold"), Text(note), table, Text())


def _a_day(found: FalseAlarms) -> str:
    return f"{found.per_day:.3g}"


def _minutes(found: Delays) -> str:
    return " / ".join("> 1d" if m == float("inf") else f"{m:.3g}" for m in (found.quantile(0.5), found.quantile(0.9)))


def _table(columns: Sequence[str], left: int = 1) -> Table:
    table = Table(box=None, pad_edge=False)
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index < left else "right", overflow="fold")
    return table
