"""`stepwatch demo`: the demonstration on a stack of its own, and its exit code.

Nothing of the user's takes part: STEPWATCH_* addresses are left aside, the data folder is the demonstration's own.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.settings import Settings

INTERRUPTED = 130
PIPE_WIDTH = 140  # characters
NOISY = ("opentelemetry", "aiokafka", "clickhouse_connect", "urllib3")


def register(app: typer.Typer) -> None:
    """Add `demo`."""
    app.command("demo")(demo)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack up at the end, until Ctrl-C.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed plays the same runs.")] = 1,
    rate: Annotated[float, typer.Option(min=50, max=5_000, help="Spans a second.")] = 300.0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the stack lives; emptied at the start. Default: .stepwatch/demo")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Leave an SVG of the live page here, as it is while refund is broken.")
    ] = None,
) -> None:
    """Play three customer-service workflows, break one, watch the alerts fire and resolve. About two minutes."""
    from streams.demo.evening import Wishes, demonstrate
    from streams.demo.script import Schedule

    _quiet()
    folder = data_dir or Settings().data_dir / "demo"
    settings = _settings()
    wishes = Wishes(folder, seed, rate, Schedule(), keep, picture)
    console = _console()
    try:
        code = asyncio.run(_interruptible(demonstrate(wishes, settings, console)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted; everything is stopped")
        code = INTERRUPTED
    raise typer.Exit(code)


async def _interruptible(work: Coroutine[None, None, int]) -> int:
    """Let SIGTERM and a closed terminal end the work as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await work


def _console() -> Console:
    """The terminal as it is; a pipe is as wide as the closing tables need."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, PIPE_WIDTH))


def _settings() -> Settings:
    """Default settings, whatever the environment says: here and in the parts that are started."""
    for name in [name for name in os.environ if name.startswith("STEPWATCH_")]:
        del os.environ[name]
    return Settings()


def _quiet() -> None:
    """Libraries that retry say so in their logs; on the live page that would be noise."""
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
