"""The environment in which other people's detectors run: made once below `.bench`, never the project's own."""

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.alerts.rates import Counted, Late

HERE = Path(__file__).parent
FOLDER = HERE.parents[2] / ".bench" / "river"
REQUIREMENTS = HERE / "river.txt"


class NoRiver(Exception):
    """It cannot be installed here; the sentence says why. The rest of the bench goes on."""


def python() -> Path:
    """The interpreter of the environment, made where it is not there. Raises NoRiver."""
    interpreter, stamp = FOLDER / "bin" / "python", FOLDER / "installed"
    if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
        return interpreter
    pip = [str(interpreter), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(REQUIREMENTS)]
    for command in ([sys.executable, "-m", "venv", "--clear", str(FOLDER)], pip):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise NoRiver((done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1])
    stamp.write_text(REQUIREMENTS.read_text())
    return interpreter


def measured(per_minute: float, days: int, runs: int) -> tuple[list[Counted], list[Late]]:
    """Both methods at one volume. Raises NoRiver."""
    command = [str(python()), str(HERE / "river_side.py"), str(per_minute), str(days), str(runs)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NoRiver(done.stderr.strip().splitlines()[-1])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [Counted(**r) for r in rows if "alarms" in r], [Late(**r) for r in rows if "median" in r]
