"""The outcome log: what a record says, byte for byte, and where it goes."""

import pytest

from schemas.outcome import OutcomeRecord, Tick, decode, decode_trace, encode, encode_trace, partition_of, summarise
from schemas.result import Result
from tests.outcomes import outcome, record, trace

TOOL = {b"\x01": ("tool_call", "update_crm"), b"\x02": ("tool_call", "update_crm")}


def result(span_id: bytes, verdict: str, score: float | None = None, step: str = "s", evaluator: str = "E") -> Result:
    return Result(span_id, step, "a", evaluator, "1", verdict, score, "trace", f"code {verdict}", "", "", 7_000_000)  # type: ignore[arg-type]


@pytest.mark.parametrize("written", [Tick(3, 1.5), record(trace(1, outcome(2, 3)), trace(2)), record()])
def test_a_record_survives_the_log_byte_for_byte(written: OutcomeRecord | Tick) -> None:
    assert decode(encode(written)) == written
    assert encode(decode(encode(written))) == encode(written)


def test_a_trace_survives_its_row() -> None:
    assert decode_trace(encode_trace(trace(1, outcome(1), outcome()))) == trace(1, outcome(1), outcome())


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[]", b"1", b'{"type": "other"}', b'{"type": "outcomes"}', b'{"type": "tick", "rules_seq": 1}'],
)
def test_anything_else_is_a_value_error(value: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the message is the parser's)
        decode(value)


def test_attempts_of_a_step_are_one_outcome_and_unscored_ones_are_none() -> None:
    verdicts = [(b"\x01", "fail", 0.0), (b"\x02", "pass", 0.5), (b"\x02", "unscored", None), (b"\x02", "error", None)]
    (found,) = summarise([result(*v) for v in verdicts], TOOL)
    assert (found.attempts, found.failed, found.first, found.last) == (2, 1, "fail", "pass")
    assert (found.score, found.span_id, found.reason_code) == (0.25, "01", "code fail")
    assert (found.step_kind, found.tool, found.event_ms) == ("tool_call", "update_crm", 7)


def test_each_step_and_evaluator_has_its_own_outcome() -> None:
    results = [
        result(b"\x01", "pass"),
        result(b"\x01", "fail", evaluator="F"),
        result(b"", "pass", step="(trajectory)"),
    ]
    assert [(o.step, o.evaluator, o.step_kind) for o in summarise(results, TOOL)] == [
        ("s", "E", "tool_call"),
        ("s", "F", "tool_call"),
        ("(trajectory)", "E", "trajectory"),
    ]


@pytest.mark.parametrize(
    ("tenant", "workflow", "place"), [("default", "refund", 0), ("default", "triage", 10), ("", "", 3)]
)
def test_a_workflow_stays_in_its_partition_for_life(tenant: str, workflow: str, place: int) -> None:
    assert partition_of(tenant, workflow, 12) == place
