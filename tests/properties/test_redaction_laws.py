"""Redaction accuses nobody: on recorded runs a verdict that leaned on what is gone becomes unscored, none turns against a run.

`mask` changes nothing else. Under `strict` two things follow from what can be seen: evaluators that count repetitions see fewer
of them, and those that combine the others judge by what is left.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from evaluators.judge import judge
from schemas.decode import decode
from schemas.expectation import TaskTruth, parse_expectation
from schemas.redaction.redactor import redactor_of
from schemas.registry import Registry, parse_registry
from schemas.result import Result
from schemas.span import Span
from schemas.topic_record import split_record
from schemas.trajectory import TraceKey
from streams.core.assemble import assemble
from tests.shared import shared

COMBINED = {"FirstFault", "TrajectoryScore"}
COUNTING = {"StepEfficiency", "ToolSelectionAccuracy", "IterationCap"}
Target = tuple[bytes, bytes, str]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("recorded")
    command = [sys.executable, shared("tools/tau_to_otlp.py"), shared("data/tau-airline"), "--out", made]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return made


def judged(made: Path, level: str) -> tuple[dict[Target, Result], int]:
    """Results by target under a level, and how many values it took away."""
    text = yaml.safe_load((made / "workflows.yaml").read_text())
    registry = parse_registry(json.dumps({**text, "redaction": {"tenants": {"default": level}}}), "workflows.yaml")
    redactor = redactor_of(registry, b"a secret of some length")
    spans: dict[bytes, list[Span]] = {}
    for export in (made / "traces.jsonl").read_bytes().splitlines():
        for raw in split_record(export)[0]:
            span, _ = decode(raw, "default", 1_760_000_000_000, redactor=redactor)
            spans.setdefault(span.trace_id, []).append(span)
    found = {
        (trace, result.span_id, result.evaluator): result
        for trace, of_trace in spans.items()
        for result in _results(trace, of_trace, registry, _truths(made))
    }
    return found, redactor.counts.total() if redactor else 0


def _results(
    trace: bytes, spans: list[Span], registry: Registry, truths: dict[tuple[str, str], TaskTruth]
) -> tuple[Result, ...]:
    return judge(assemble(TraceKey("default", trace), spans, registry, truths, "root_ended"))


def _truths(made: Path) -> dict[tuple[str, str], TaskTruth]:
    lines = (made / "expectations.jsonl").read_text().splitlines()
    return {(t.workflow, t.task_id): t for t in (parse_expectation(line, "expectations", 1) for line in lines)}


def changed(made: Path, level: str) -> set[tuple[str, str, str, str]]:
    """(evaluator, verdict before, verdict after, reason code after) of what is not as it was."""
    before, _ = judged(made, "keep")
    after, taken = judged(made, level)
    assert taken > 100, "there is something to take away"
    return {
        (target[2], _verdict(before.get(target)), _verdict(after.get(target)), _code(after.get(target)))
        for target in before.keys() | after.keys()
        if _verdict(before.get(target)) != _verdict(after.get(target))
    }


def _verdict(result: Result | None) -> str:
    return result.verdict if result is not None else "absent"


def _code(result: Result | None) -> str:
    return result.reason_code if result is not None else ""


def test_mask_only_leaves_open_what_leaned_on_what_is_gone(recorded: Path) -> None:
    assert {(now, code) for *_, now, code in changed(recorded, "mask")} == {("unscored", "redacted")}


def test_strict_turns_no_pass_into_a_fail_and_hides_only_what_it_must(recorded: Path) -> None:
    found = changed(recorded, "strict")
    assert {name for name, was, now, _ in found if (was, now) == ("pass", "fail")} <= COMBINED
    assert {name for name, was, now, _ in found if (was, now) == ("fail", "pass")} <= COMBINED | COUNTING
    assert ("ParameterValidation", "pass", "unscored", "redacted") in found
    assert not any(name == "ToolCallSuccess" for name, *_ in found), "that a call failed is told under every level"
