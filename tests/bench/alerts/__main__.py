"""`make bench-alerts`: the tables of docs/rules.md with the shipped detector, and the speed of the fold.

False alarms a day and delays at 5, 50 and 500 outcomes a minute beside what people would use instead; what counting spans
costs; a budget shared by a fleet; outcomes folded a CPU second. Seeded: the same counts each time. Exit code 1 when the
measured false alarms of the e-detector exceed a stated budget beyond their interval.
"""

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.alerts import budget, fleet, latency, methods, rates, river_env, units
from tests.bench.alerts.rates import Counted, Late

DAYS = int(os.environ.get("STEPWATCH_BENCH_DAYS", "400"))  # a cell of false alarms
RUNS = max(5, DAYS // 3)  # a cell of delays
UNIT_DAYS = max(2, DAYS // 10)
FLEET_DAYS = max(3, DAYS // 10)
FOLDED = 300_000
FOLDED_GOAL = 50_000
RIVER = {5: (60, 30), 50: (20, 20), 500: (2, 4)}  # (days, runs) by volume: they take each outcome by itself
RIVER_METHODS = ("ADWIN (0.002)", "Page-Hinkley")
Found = dict[tuple[str, float, float], Any]


def main() -> int:
    """Measure, print, judge."""
    begun, missing = time.monotonic(), ""
    methods.check_wilson()
    units.check_counting()
    console = Console(width=150)
    try:
        river_env.python()
    except river_env.NoRiver as error:
        missing = str(error)
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        counting = [pool.submit(rates.false_alarms, v, p, DAYS) for v in rates.VOLUMES for p in rates.FALSE_RATES]
        delaying = [pool.submit(rates.delays, v, RUNS) for v in rates.VOLUMES]
        by_unit = [pool.submit(units.false_alarms, v, p, UNIT_DAYS) for v in units.TRACES_A_MINUTE for p in units.RATES]
        shared = pool.submit(fleet.shared_budget, FLEET_DAYS)
        others = [pool.submit(river_env.measured, v, *RIVER[v]) for v in rates.VOLUMES] if not missing else []
        counted = [cell for job in counting for cell in job.result()]
        late = [cell for job in delaying for cell in job.result()]
        unit_cells = [cell for job in by_unit for cell in job.result()]
        fleet_cell = shared.result()
        for job in others:
            more_counted, more_late = job.result()
            counted += more_counted
            late += more_late
    speed = fleet.folding(FOLDED)
    console.print(_rate_table(counted, late))
    if missing:
        console.print(f"ADWIN and Page-Hinkley are left out: {missing}")
    console.print(_unit_table(unit_cells))
    kept = _promises(counted, unit_cells, fleet_cell)
    console.print(_promise_table(kept))
    console.print(
        f"{speed.per_second:,.0f} outcomes folded a CPU second with {speed.series:,} live series (goal {FOLDED_GOAL:,})"
    )
    in_time = latency.report(console)
    console.print(f"took {time.monotonic() - begun:.0f} s; more days: STEPWATCH_BENCH_DAYS={10 * DAYS}")
    broken = [promise for promise in kept if not promise.is_kept]
    for promise in broken:
        console.print(f"[bold red]FAIL[/] {promise.what}: more false alarms than its budget allows")
    return 1 if broken or not in_time else 0


def _by_cell(cells: Sequence[Counted] | Sequence[Late]) -> Found:
    return {(cell.method, cell.per_minute, cell.rate): cell for cell in cells}


def _rate_table(counted: Sequence[Counted], late: Sequence[Late]) -> Table:
    table = Table(
        title=f"Line 5 %: false alarms a day ({DAYS} series-days a cell), minutes to the alarm (median / 90 %)"
    )
    table.add_column("a minute", justify="right")
    table.add_column("method")
    for rate in rates.FALSE_RATES:
        table.add_column(f"at {rate:.2f}", justify="right")
    for rate in rates.TRUE_RATES:
        table.add_column(f"to {rate:.2f}", justify="right")
    alarms, delays = _by_cell(counted), _by_cell(late)
    for volume in rates.VOLUMES:
        for method in [*rates.WINDOWS, *RIVER_METHODS, *rates.EVIDENCE_DAYS]:
            if (method, volume, rates.FALSE_RATES[0]) in alarms:
                false = [_short(alarms[method, volume, rate].per_day) for rate in rates.FALSE_RATES]
                true = [_minutes(delays[method, volume, rate]) for rate in rates.TRUE_RATES]
                table.add_row(str(volume), method, *false, *true)
        table.add_section()
    return table


def _unit_table(cells: Sequence[Counted]) -> Table:
    table = Table(
        title=f"Three attempts a trace that fail together (0.3), budget 1 in 30 d: false alarms a day ({UNIT_DAYS} d)"
    )
    table.add_column("traces a minute", justify="right")
    table.add_column("rate", justify="right")
    for unit in units.UNITS:
        table.add_column(unit, justify="right")
    found = _by_cell(cells)
    for volume in units.TRACES_A_MINUTE:
        for rate in units.RATES:
            cells_ = [_short(found[unit, volume, rate].per_day) for unit in units.UNITS]
            table.add_row(f"{volume:g}", f"{rate:.2f}", *cells_)
    return table


def _promises(counted: Sequence[Counted], unit_cells: Sequence[Counted], fleet_cell: Counted) -> list[budget.Held]:
    """Every stated budget, at and below the line."""
    found = [
        budget.held(f"{cell.method} at {cell.rate:.2f}, {cell.per_minute:g} a minute", days, cell)
        for cell in counted
        if (days := rates.EVIDENCE_DAYS.get(cell.method))
    ]
    found += [
        budget.held(
            f"by trace, {cell.method} at {cell.rate:.2f}, {cell.per_minute:g} a minute", units.BUDGET_DAYS, cell
        )
        for cell in unit_cells
        if cell.method in ("last_attempt", "mean")
    ]
    return [*found, budget.held(fleet_cell.method, 1, fleet_cell)]


def _promise_table(kept: Sequence[budget.Held]) -> Table:
    table = Table(title="Budgets: false alarms a day")
    for name in ("promise", "allowed", "measured", "at least (99 %)", "kept"):
        table.add_column(name, justify="left" if name == "promise" else "right")
    for p in kept:
        told = "yes" if p.is_kept else "NO"
        table.add_row(p.what, _short(p.allowed_per_day), _short(p.measured.per_day), _short(p.at_least_per_day), told)
    return table


def _short(value: float) -> str:
    return f"{value:.3g}"


def _minutes(cell: Late) -> str:
    return " / ".join("> 1d" if m == float("inf") else _short(m) for m in (cell.median, cell.p90))


if __name__ == "__main__":
    sys.exit(main())
