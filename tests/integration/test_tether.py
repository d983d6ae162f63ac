"""A tethered command cannot outlive the process that started it, on Linux and on systems without a death signal."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from streams.local import tether

SCRIPT = Path(tether.__file__)
SLEEP = "import time; time.sleep(600)"
# Starts a tethered sleeper, prints the sleeper's pid (or its watcher's), and waits to be killed.
OWNER = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, *{start!r}, str(os.getpid()), sys.executable, "-c", {sleep!r}])
print(child.pid, flush=True)
time.sleep(600)
"""
ELSEWHERE = "import runpy, sys; sys.platform = 'darwin'; runpy.run_path(sys.argv.pop(1), run_name='__main__')"


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def until(holds, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("start", "processes"),
    [(["-I", "-S", str(SCRIPT)], 1), (["-c", ELSEWHERE, str(SCRIPT)], 2)],
    ids=["the kernel's death signal", "a watcher"],
)
def test_a_command_ends_with_its_owner_even_by_kill_9(start: list[str], processes: int):
    code = OWNER.format(start=start, sleep=SLEEP)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        until(lambda: len(family(pid)) == processes)
        tied = family(pid)
        owner.kill()
    until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in tied))
