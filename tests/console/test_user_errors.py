"""What a person does wrong at the command line ends in one sentence and a non-zero exit, never in a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def stepwatch(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STEPWATCH_")}
    return subprocess.run(
        [sys.executable, "-m", "streams.console", *arguments],
        cwd=ROOT,
        env={**kept, "STEPWATCH_DATA_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


NOBODY = {"STEPWATCH_BOOTSTRAP_SERVERS": "127.0.0.1:1", "STEPWATCH_CLICKHOUSE_URL": "http://127.0.0.1:1"}
CASES = [
    (["status"], {"STEPWATCH_GATEWAY_PORT": "abc"}, "STEPWATCH_GATEWAY_PORT=abc: should be a valid integer"),
    (["topics", "check"], {"STEPWATCH_BOOTSTRAP_SERVERS": "a b:x"}, "must be of the form host:port,host:port"),
    (["topics", "check"], {"STEPWATCH_SECURITY_PROTOCOL": "SSL", "STEPWATCH_SSL_CAFILE": "no.pem"}, "certificates"),
    (["topics", "check"], NOBODY, "no Kafka broker answers at 127.0.0.1:1 ("),
    (["alerts", "tail"], NOBODY, "no Kafka broker answers at 127.0.0.1:1 ("),
    (["config", "apply", "infra/examples/rules.yaml"], NOBODY, "no Kafka broker answers at 127.0.0.1:1 ("),
    (["gateway"], NOBODY, "no Kafka broker answers at 127.0.0.1:1 ("),
    (["scorer"], NOBODY, "no Kafka broker answers at 127.0.0.1:1 ("),
    (["alerter"], NOBODY, "no Kafka broker answers at 127.0.0.1:1 ("),
    (["sql", " "], {}, "the SQL is empty"),
    (["sql", "SELECT 1"], NOBODY, "no ClickHouse answers at http://127.0.0.1:1"),
    (["up", "--java", "/nowhere"], {}, "/nowhere cannot be run as Java (No such file or directory)"),
    (["score", "infra/examples/demo-traces.jsonl", "--out", "/nowhere/x"], {}, "/nowhere/x: No such file or directory"),
]


@pytest.mark.parametrize(("arguments", "environment", "sentence"), CASES, ids=lambda value: str(value)[:40])
def test_one_sentence_and_a_non_zero_exit(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], sentence: str
) -> None:
    done = stepwatch(tmp_path, *arguments, **environment)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_password_is_never_repeated(tmp_path: Path) -> None:
    done = stepwatch(tmp_path, "status", STEPWATCH_GATEWAY_PORT="x", STEPWATCH_SASL_PASSWORD="hush")
    assert "hush" not in done.stderr


@pytest.mark.parametrize("part", ["gateway", "scorer", "alerter"])
def test_the_help_of_a_part_names_the_variables_beside_its_flags(tmp_path: Path, part: str) -> None:
    done = stepwatch(tmp_path, part, "--help", COLUMNS="120")
    assert done.returncode == 0
    assert "STEPWATCH_BOOTSTRAP_SERVERS" in done.stdout
    assert "docs/operations.md" in done.stdout


def test_the_local_stack_asks_for_its_packages(tmp_path: Path) -> None:
    program = "import sys; sys.modules['psutil'] = None; from streams.console.main import run; sys.exit(run())"
    done = subprocess.run(
        [sys.executable, "-c", program, "up", "--data-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'stepwatch[local]'" in done.stderr
    assert "Traceback" not in done.stderr
