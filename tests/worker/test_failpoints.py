"""Every effect on Kafka or the store lies between two failpoints; the list of them is what the code passes."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.failpoint import EFFECTS, MOMENTS, NAMES, POINTS, REACHED, Failpoint

STREAMS = Path(__file__).parents[2] / "streams"
SINK = STREAMS / "worker" / "sink.py"


def test_the_list_is_what_the_code_passes() -> None:
    code = {path: path.read_text() for path in STREAMS.rglob("*.py") if path.name != "failpoint.py"}
    effects = {name for text in code.values() for name in re.findall(r'\.around\("(\w+)"\)', text)}
    inserted = set(re.findall(r"self\._writer\.write_(\w+)", code[SINK]))  # whose points are named by their tables
    moments = {name for text in code.values() for name in re.findall(r'failpoint\.hit\("(\w+)"\)', text)}
    assert effects | inserted == {effect for of_part in EFFECTS.values() for effect in of_part}
    assert moments == {moment for of_part in MOMENTS.values() for moment in of_part}


def test_everything_that_is_sent_or_inserted_by_a_part_lies_between_two_points() -> None:
    """What reaches Kafka or the store otherwise is named here, with the reason why a kill around it tells nothing."""
    harmless = {
        "alerter/publisher.py": 2,  # a tick: the next one does as well; a bad record: buried again when it is read again
    }
    sends = re.compile(r"\.send_and_wait\(|\.write_\w+\(")
    for part in ("worker", "alerter", "gateway"):
        for path in (STREAMS / part).glob("*.py"):
            text = path.read_text()
            passed = len(re.findall(r"\.around\(", text)) + harmless.get(f"{part}/{path.name}", 0)
            assert len(sends.findall(text)) <= passed, path


def test_a_point_has_one_name() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(len(set(names)) == len(names) for names in POINTS.values())


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown failpoint 'before_lunch'"):
        Failpoint("before_lunch:1")


def test_without_a_name_nothing_happens() -> None:
    for name in NAMES:
        Failpoint(None).hit(name)


PROGRAM = """
from streams.failpoint import Failpoint
point = Failpoint({spec!r})
with point.around("spans"):
    print("inserted", flush=True)
try:
    with point.around("spans"):
        raise OSError
except OSError:
    print("not inserted", flush=True)
with point.around("spans"):
    print("inserted", flush=True)
"""


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("before_spans:1", []),
        ("after_spans:1", ["inserted"]),
        ("before_spans:2", ["inserted"]),
        ("after_spans:2", ["inserted", "not inserted", "inserted"]),  # the effect that was not had does not count
    ],
)
def test_it_kills_the_process_at_the_pass_that_was_asked_for(spec: str, said: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(STREAMS.parent)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(spec=spec)], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split("\n")[:-1] == said
    assert done.stderr == f"{REACHED}{spec.partition(':')[0]}\n"
