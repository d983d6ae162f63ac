"""`stepwatch up`, `down`, `status` and `doctor`: the laptop stack from the command line.

`up` owns the stack and stays in the foreground; the other three look at the data folder from outside. In a terminal the
lines are coloured; in a pipe they are plain.
"""

import asyncio
import shlex
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.settings import Settings

if TYPE_CHECKING:
    from streams.local.stack import LocalStack
    from streams.local.state import PartState

NOT_RUNNING_EXIT = 3
DEGRADED_EXIT = 1
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FETCH_LINE_EVERY = 15  # in a pipe, of some 45 jars
COLOURS = {
    **dict.fromkeys(("ready", "external", "ok"), "green"),
    **dict.fromkeys(("fetching", "starting", "stopping", "stopped"), "cyan"),
    **dict.fromkeys(("restarting", "warn"), "yellow"),
    **dict.fromkeys(("failed", "fail", "gone"), "bold red"),
}

DataDir = Annotated[
    Path | None,
    typer.Option(help="Where the stack keeps its state (STEPWATCH_DATA_DIR; .stepwatch).", show_default=False),
]
JavaPath = Annotated[Path | None, typer.Option("--java", help="A Java 17 or newer to use instead of the bundled one.")]
Port = Annotated[int | None, typer.Option(min=1, max=65_535, help="Use exactly this port, or fail.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(doctor)


def up(
    data_dir: DataDir = None,
    kafka_port: Port = None,
    clickhouse_port: Port = None,
    gateway_port: Port = None,
    scorers: Annotated[int, typer.Option(min=1, max=48, help="Scorer processes, one per core at most.")] = 1,
    java: JavaPath = None,
) -> None:
    """Start the local stack in the foreground; Ctrl-C stops it. State stays in the data folder."""
    from streams.local.ports import PortsAsked
    from streams.local.stack import LocalStack

    settings = Settings()
    stack = LocalStack(
        data_dir or settings.data_dir,
        settings,
        ports=PortsAsked(kafka_port, clickhouse_port, gateway_port),
        scorers=scorers,
        java=java,
        report=StatusLines(Console()),
    )
    asyncio.run(_serve(stack))


def down(data_dir: DataDir = None) -> None:
    """Stop the stack that runs on the data folder, and clear away what a killed one left."""
    from streams.local.down import take_down

    folder = data_dir or Settings().data_dir
    ran = take_down(folder)
    Console(soft_wrap=True).print(
        f"stopped the stack on {folder}" if ran else f"no stack runs on {folder}", highlight=False
    )


def status(data_dir: DataDir = None) -> None:
    """Show each part of the running stack. Exit code 0: all up, 1: some part is not, 3: no stack runs."""
    from streams.local.ready import reasons_against
    from streams.local.state import is_running, read_state

    folder = data_dir or Settings().data_dir
    if not is_running(folder):
        Console(soft_wrap=True).print(f"no stack runs on {folder}: start one with `stepwatch up`", highlight=False)
        raise typer.Exit(NOT_RUNNING_EXIT)
    rows = _status_rows(read_state(folder).parts)
    table = Table("part", "state", "pid", "address", "since", box=None, pad_edge=False)
    for name, state, pid, address, since in rows:
        table.add_row(name, Text(state, COLOURS.get(state, "")), pid, address, since)
    Console().print(table)
    unready = {name: reasons for name, _, _, address, _ in rows if (reasons := reasons_against(address))}
    for name, reasons in unready.items():
        Console(soft_wrap=True).print(f"{name} is not ready: {'; '.join(reasons)}", highlight=False)
    if unready or any(state not in ("ready", "external") for _, state, *_ in rows):
        raise typer.Exit(DEGRADED_EXIT)


def doctor(data_dir: DataDir = None, java: JavaPath = None) -> None:
    """Check what Stepwatch needs and say what to do about what is missing. Exit code 1 when something prevents work."""
    from streams.local.doctor import examine

    settings = Settings(data_dir=data_dir) if data_dir else Settings()
    console, failed = Console(soft_wrap=True), False
    for finding in examine(settings, java):
        console.print(
            Text(f"{finding.level:<5}", COLOURS[finding.level]), f"{finding.what}: {finding.detail}", highlight=False
        )
        failed = failed or finding.level == "fail"
    if failed:
        raise typer.Exit(1)


class StatusLines:
    """Prints one line for each change a person should know of."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._fetched = 0

    def __call__(self, part: str, state: str, detail: str) -> None:
        """The report of `LocalStack`."""
        if state == "starting" and not detail:
            return  # the line that counts is "ready"
        if state == "fetching" and not self._is_due():
            return
        line = Text.assemble(f"{part:<11} ", (f"{state:<11}", COLOURS.get(state, "")), f" {detail}")
        line.rstrip()
        self._console.print(line, soft_wrap=True)

    def _is_due(self) -> bool:
        self._fetched += 1
        return self._fetched % FETCH_LINE_EVERY == 1


async def _serve(stack: "LocalStack") -> None:
    """Start, say where, stay until a signal; a stop that was asked for is no error."""
    task = asyncio.current_task()
    assert task is not None
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        async with stack:
            _say_where(stack)
            await stack.wait()
    except asyncio.CancelledError:
        return


def _say_where(stack: "LocalStack") -> None:
    say, gateway = partial(Console(soft_wrap=True).print, highlight=False), stack.parts["gateway"].address
    say(f"\nSend traces (OTLP/HTTP) to {gateway}. State and logs: {stack.data_dir}. Ctrl-C stops the stack.")
    if stack.data_dir != Settings().data_dir.absolute():
        say(f"For other commands: export STEPWATCH_DATA_DIR={shlex.quote(str(stack.data_dir))}")


def _status_rows(parts: "dict[str, PartState]") -> list[tuple[str, str, str, str, str]]:
    from streams.local.process import is_alive

    rows = []
    for name, part in parts.items():
        gone = part.pid is not None and not is_alive(part.pid, part.created_at)
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(part.since)) if part.since else ""
        rows.append((name, "gone" if gone else part.state, str(part.pid or ""), part.address, since))
    return rows
