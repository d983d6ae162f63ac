"""The laptop stack's stores alone, for experiments: `python -m streams.local.run --data-dir DIR [--kafka-port N] ...`.

Starts the broker and ClickHouse in the foreground, says where they are, and stops both at Ctrl-C. The whole stack
with its command line is `stepwatch up`.
"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from streams.console.errors import UserError, complain
from streams.local.ports import PortsAsked
from streams.local.stack import STORES, LocalStack
from streams.local.supervise import State


def say(part: str, state: State, detail: str) -> None:
    """One line for each change."""
    sys.stdout.write(f"{part} {state} {detail}\n")
    sys.stdout.flush()


async def serve(stack: LocalStack) -> None:
    """Start, say where, stay until SIGTERM or Ctrl-C."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with stack:
        say("stack", "ready", str(stack.data_dir))
        await stack.wait()


def main() -> int:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m streams.local.run")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--kafka-port", type=int)
    parser.add_argument("--clickhouse-port", type=int)
    given = parser.parse_args()
    ports = PortsAsked(kafka=given.kafka_port, clickhouse=given.clickhouse_port)
    try:
        asyncio.run(serve(LocalStack(given.data_dir, parts=STORES, ports=ports, report=say)))
    except UserError as error:
        return complain(error)
    except asyncio.CancelledError:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
