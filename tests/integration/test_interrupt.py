"""Ctrl-C of `stepwatch up`: it stops all it started, in order and in bounded time, and ends by itself with exit code 0."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from streams.local.process import is_alive
from streams.local.state import is_running

STEPWATCH = (sys.executable, "-m", "streams.console")
PARTS = ["gateway", "scorer", "alerter", "clickhouse", "broker"]
STOPS_WITHIN_S = 60.0


@pytest.mark.parametrize(
    ("when", "stopped"),
    [
        ("STEPWATCH_DATA_DIR", PARTS),  # the last line of a start: all parts serve
        ("broker      ready", None),  # in the middle of it
    ],
)
def test_ctrl_c_stops_all_parts_and_leaves_no_process(tmp_path: Path, when: str, stopped: list[str] | None):
    data_dir = tmp_path / "data folder"
    with subprocess.Popen(
        [*STEPWATCH, "up", "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as up:  # fmt: skip
        assert up.stdout is not None
        lines = []
        for line in up.stdout:
            lines.append(line)
            if when in line:
                break
        else:
            raise AssertionError("".join(lines))
        started = [(child.pid, child.create_time()) for child in psutil.Process(up.pid).children(recursive=True)]
        os.killpg(up.pid, signal.SIGINT)  # what a terminal does: the whole foreground group hears it
        began = time.monotonic()
        rest = up.communicate(timeout=2 * STOPS_WITHIN_S)[0]
    assert time.monotonic() - began < STOPS_WITHIN_S
    assert up.returncode == 0, rest
    assert "Traceback" not in rest
    order = [line.split()[0] for line in rest.splitlines() if line.endswith("stopped")]
    if stopped is not None:
        assert order == stopped
        assert len(started) >= len(PARTS)
    assert started and [pid for pid, created in started if is_alive(pid, created)] == []
    assert not is_running(data_dir)
