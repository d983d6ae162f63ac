"""`make demo DIALECT=langgraph`: a real framework's runs, through the gateway, as Stepwatch judges them.

DIALECT is a framework's page of docs/instrumentation, or a pair of pairs.yaml. The same refund desk is run a few times under that
framework's own instrumentation, with a scripted model; its exporter is pointed at the gateway of a stack of its own. Exit code 0:
every run was judged, and the error that the CRM's tool swallowed was found in each.
"""

import asyncio
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.local.ports import ANY, PortsAsked
from streams.local.stack import LocalStack
from streams.store.client import connect
from tests.instrumentors import environment
from tests.instrumentors.not_captured import Pair, pairs

RUNS = 3
JUDGED_S_MAX = 60.0
DECIDED = "SELECT count() FROM trajectories FINAL WHERE state = 'decided' AND n_steps > 0"
RUN = "SELECT trace_id, workflow FROM v1_trajectories WHERE n_steps > 0 ORDER BY n_steps DESC, start_time LIMIT 1"
STEPS = """
SELECT step, evaluator, verdict, reason_code, reason FROM v1_results
WHERE trace_id = '{trace}' AND final AND verdict IN ('pass', 'fail') ORDER BY span_id = '', event_time, evaluator
"""
FOUND = """
SELECT uniqExact(trace_id) FROM v1_results WHERE evaluator = 'ToolCallSuccess' AND verdict = 'fail' AND final
AND (step LIKE '%/update_crm')
"""
COLOURS = {"pass": "green", "fail": "bold red"}


def chosen(dialect: str) -> Pair:
    """The pair of this name, else the first one with this page. Exits with a sentence where there is none."""
    known = pairs()
    found = next((pair for pair in known if dialect in (pair.name, pair.page)), None)
    if found is None:
        names = ", ".join(sorted({name for pair in known for name in (pair.name, pair.page)}))
        sys.exit(f"error: DIALECT={dialect}: there are {names}")
    if not environment.is_built(found.name):
        sys.exit(f"error: the packages of {found.name} are not installed: make instrumentors PAIR={found.name}")
    return found


async def play(pair: Pair, screen: Console) -> int:
    """Run, wait, show."""
    with tempfile.TemporaryDirectory() as folder:
        screen.print("starting Kafka, ClickHouse, gateway and scorer ...")
        async with LocalStack(Path(folder) / "stack", ports=PortsAsked(ANY, ANY, ANY)) as stack:
            url = f"http://127.0.0.1:{stack.settings.gateway_port}"
            for n in range(RUNS):
                screen.print(f"run {n + 1} of {RUNS}: {pair.framework} under {pair.instrumentor} ...")
                await asyncio.to_thread(environment.run, pair.name, url)
            client = connect(stack.settings)
            n_traces = await _settled(client)
            if not n_traces:
                screen.print(f"no run was judged within {JUDGED_S_MAX:.0f} s", style="red")
                return 1
            _show(client, screen)
            found = client.query(FOUND).result_rows[0][0]
            screen.print(
                f"\n{n_traces} traces judged; the error that update_crm swallowed was found in {found} of {RUNS} runs"
            )
            return 0 if found == RUNS else 1


async def _settled(client: Any) -> int:
    """How many traces were judged, once no more come; an instrumentor may make several of a run."""
    seen, loop = -1, asyncio.get_running_loop()
    end = loop.time() + JUDGED_S_MAX
    while loop.time() < end:
        n = int(client.query(DECIDED).result_rows[0][0])
        if n >= RUNS and n == seen:
            return n
        seen = n
        await asyncio.sleep(3)
    return max(seen, 0)


def _show(client: Any, screen: Console) -> None:
    (trace, workflow), *_ = client.query(RUN).result_rows
    table = Table("step", "evaluator", "verdict", "why", title=f"one run, trace {trace}, workflow {workflow}", box=None)
    for step, evaluator, verdict, code, reason in client.query(STEPS.format(trace=trace)).result_rows:
        why = f"{code}: {reason}" if code else reason
        table.add_row(Text(step), evaluator, Text(verdict, style=COLOURS[verdict]), Text(why[:100]))
    screen.print(table)


def main() -> None:
    """Entry point."""
    logging.disable(logging.CRITICAL)
    if len(sys.argv) != 2:
        sys.exit("error: make demo DIALECT=langgraph")
    pair = chosen(sys.argv[1])
    sys.exit(asyncio.run(play(pair, Console(highlight=False))))


if __name__ == "__main__":
    main()
