"""What others spend on a part of the work, on the same records: consume, decode and group by trace, nothing judged or written."""

import asyncio
import subprocess
import sys
import venv
from pathlib import Path

from rich.console import Console

from tests.bench.matrix.load import Records
from tests.bench.matrix.running import producer_of, send, stack_of

FOLDER = Path(__file__).parents[3] / ".bench" / "confluent-kafka"
PACKAGES = ("confluent-kafka==2.11.1", "opentelemetry-proto>=1.40", "protobuf>=6.33.5")
HERE = Path(__file__).parent


def environment(screen: Console) -> Path:
    """The python of an environment with confluent-kafka, made at the first asking: it is no dependency."""
    python, stamp = FOLDER / "bin" / "python", FOLDER / ".installed"
    if not stamp.exists():
        with screen.status(f"Installing confluent-kafka into {FOLDER} ..."):
            venv.create(FOLDER, clear=True, with_pip=True)
            command = [python, "-I", "-m", "pip", "install", "--disable-pip-version-check", "-q", *PACKAGES]
            subprocess.run(command, check=True)
        stamp.touch()
    return python


async def measured(records: Records, spans: int, folder: Path, registry: str, screen: Console) -> dict[str, float]:
    """CPU microseconds a span of each."""
    workers = {
        "stock Faust: consume, decode, group": [sys.executable, HERE / "stock_faust.py"],
        "confluent-kafka and a dict: the same": [environment(screen), "-I", HERE / "plain_confluent.py"],
    }
    found: dict[str, float] = {}
    async with stack_of(folder, registry) as stack, producer_of(stack) as producer:
        await send(producer, stack.settings.spans_topic, records)
        for name, command in workers.items():
            given = [str(spans), stack.settings.bootstrap_servers, stack.settings.spans_topic, str(folder / "faust")]
            process = await asyncio.create_subprocess_exec(
                *map(str, command), *given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder
            )
            try:
                said, errors = await asyncio.wait_for(process.communicate(), 240)
            except TimeoutError:
                process.kill()
                await process.wait()
                raise SystemExit(f"{name}: not all spans seen in 240 s") from None
            spent = [line.split()[1] for line in said.decode().splitlines() if line.startswith("SPENT ")]
            if not spent:
                raise SystemExit(f"{name}: {errors.decode()[-1000:] or 'ended without a word'}")
            found[name] = float(spent[0]) / spans * 1e6
    return found
