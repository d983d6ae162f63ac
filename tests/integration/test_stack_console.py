"""`stepwatch up`, `status`, `doctor` and `down` as a person uses them: lines to read and exit codes to rely on."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.local.state import read_state
from streams.telemetry.instruments import BY_NAME

STEPWATCH = (sys.executable, "-m", "streams.console")
NOT_RUNNING = 3


def stepwatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*STEPWATCH, *arguments], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A whole stack, started by the command, in a folder with a space in its name."""
    data_dir = tmp_path_factory.mktemp("data folder")
    command = [*STEPWATCH, "up", "--data-dir", str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as up:
        assert up.stdout is not None
        lines = []
        for line in up.stdout:
            lines.append(line)
            if "STEPWATCH_DATA_DIR" in line:
                break
        else:
            raise AssertionError("".join(lines))
        yield data_dir
        stepwatch("down", "--data-dir", str(data_dir))
        rest = up.communicate(timeout=120)[0]
    assert up.returncode == 0, rest
    order = [line.split()[0] for line in rest.splitlines() if line.endswith("stopped")]
    assert order == ["gateway", "scorer", "alerter", "clickhouse", "broker"]


def test_status_shows_each_part_and_says_zero(running: Path):
    shown = stepwatch("status", "--data-dir", str(running))
    deadline = time.monotonic() + 60
    while "is not ready" in shown.stdout and time.monotonic() < deadline:  # partitions are read back after a start
        shown = stepwatch("status", "--data-dir", str(running))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    parts = {line.split()[0]: line.split()[1] for line in shown.stdout.splitlines()[1:]}
    assert parts == dict.fromkeys(("broker", "clickhouse", "gateway", "scorer", "alerter"), "ready")


@pytest.mark.parametrize("part", ["scorer", "alerter"])
def test_a_worker_says_of_itself_what_it_does(running: Path, part: str):
    address = read_state(running).parts[part].address
    told = {path: urllib.request.urlopen(f"{address}/{path}", timeout=30).read() for path in ("livez", "metrics")}
    assert told["livez"] == b"ok\n"
    assert json.loads(urllib.request.urlopen(f"{address}/version", timeout=30).read())["part"] == part
    families = {family.name for family in text_string_to_metric_families(told["metrics"].decode())}
    ours = {name for name in families if name.startswith("stepwatch_")}
    assert {"stepwatch_build", "stepwatch_process_memory_bytes", "stepwatch_consumer_partitions"} <= ours
    assert not [name for name in ours if not any(name.startswith(i.replace(".", "_")) for i in BY_NAME)]


def test_doctor_finds_nothing_wrong_with_a_running_stack(running: Path):
    found = stepwatch("doctor", "--data-dir", str(running))
    assert found.returncode == 0, found.stdout + found.stderr
    assert {line.split()[0] for line in found.stdout.splitlines()} <= {"ok", "warn"}


def test_a_second_up_is_refused_with_one_sentence(running: Path):
    refused = stepwatch("up", "--data-dir", str(running))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: a stack runs on {running} already")
    assert "Traceback" not in refused.stderr


def test_a_port_asked_for_that_is_taken_is_refused_with_one_sentence(running: Path, tmp_path: Path):
    address = next(
        line for line in stepwatch("status", "--data-dir", str(running)).stdout.splitlines() if "broker" in line
    )
    port = address.split()[3].rsplit(":", 1)[1]
    refused = stepwatch("up", "--data-dir", str(tmp_path), "--kafka-port", port)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert (
        refused.stderr == f"error: port {port} is taken: end what listens there, or choose another with --kafka-port\n"
    )


def test_where_nothing_runs_status_says_three_and_down_is_content(tmp_path: Path):
    assert stepwatch("status", "--data-dir", str(tmp_path)).returncode == NOT_RUNNING
    assert stepwatch("down", "--data-dir", str(tmp_path)).returncode == 0


def test_a_wrong_java_is_refused_with_one_sentence(tmp_path: Path):
    refused = stepwatch("up", "--data-dir", str(tmp_path), "--java", "/bin/true")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: /bin/true does not answer `-version` as Java does")
