"""`python -m tests.bench.matrix [--only load|beside|latency]`: see the package. Some minutes; figures, no gate."""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from schemas.compiled import IS_COMPILED
from tests.bench.__main__ import framed, shared_tool
from tests.bench.evaluators import long_traces
from tests.bench.matrix import beside, corpus, latency, load

SPANS = int(os.environ.get("STEPWATCH_BENCH_SPANS", "50000"))
KILLS = 5
PACE = 0.5  # of what a scorer worked off a second


async def main() -> int:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(prog="make bench", description="The scorer under other loads.")
    parser.add_argument("--only", action="append", choices=("load", "beside", "latency"), help="measure this alone")
    only = set(parser.parse_args().only or ("load", "beside", "latency"))
    screen = Console()
    screen.print("The hot path is " + ("compiled." if IS_COMPILED else "not compiled."))
    registry = long_traces.registry_text(long_traces.generator(shared_tool().parents[1]), load.every())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = [sys.executable, shared_tool(), folder / "corpus", str(SPANS)]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        parts = corpus.parts(framed((folder / "corpus/bytrace.rec").read_bytes()))
        spans = sum(count for _, _, count in parts)
        six, mean = corpus.packed(parts, 6)
        loads = [load.Load(f"{mean:.1f} spans a record", six, spans)]
        if "load" in only:
            for size in (1, 10, 100):
                records, mean = corpus.packed(parts, size)
                loads.append(load.Load(f"{mean:.1f} spans a record", records, spans))
            loads.append(load.Load(f"{loads[0].name}, 5 % judged", six, spans, sample=0.05))
            loads.append(load.Load(f"{loads[0].name}, two scorers", six, spans, scorers=2))
        rows = {}
        if only & {"load", "latency"}:
            for at, each in enumerate(loads):
                screen.print(f"{each.name}: {spans:,} spans in {len(each.records):,} records ...")
                rows[each.name] = await load.measured(each, folder / f"load{at}", registry)
            screen.print(load.table(rows))
        if "beside" in only:
            found = await beside.measured(six, spans, folder / "beside", registry, screen)
            shown = Table("who", "CPU us/span", "spans per CPU s", title="a part of the work, by others")
            for who, us in found.items():
                shown.add_row(who, f"{us:.1f}", f"{1e6 / us:,.0f}")
            screen.print(shown)
        if "latency" in only:
            pace = PACE * len(six) / rows[loads[0].name].wall_s
            screen.print(f"at {pace * spans / len(six):,.0f} spans a second, half of what was worked off ...")
            times = await latency.measured(six, pace, KILLS, folder / "latency", registry)
            screen.print(f"span in Kafka -> step row: {latency.quantiles(times.step_row)}")
            screen.print(f"root in Kafka -> final row: {latency.quantiles(times.final_row)}")
            screen.print(f"kill -9, new scorer at once -> first row: {latency.quantiles(times.after_kill)}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
