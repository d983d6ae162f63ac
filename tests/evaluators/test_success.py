"""ToolCallSuccess: whether the call worked, with swallowed errors as their own reason."""

import orjson
import pytest

from evaluators.judge import judge_span
from tests.builders import result_of, tool_span, workflow

ANY = workflow()


def judged(result="fine", **fields):
    return result_of(
        judge_span(tool_span(1, fields.pop("tool", "lookup"), {}, result, **fields), ANY), "ToolCallSuccess", 1
    )


@pytest.mark.parametrize(
    ("result", "fields", "verdict", "code", "rule"),
    [
        ("fine", {}, "pass", "", None),
        ({"error": None}, {}, "pass", "", None),
        (None, {}, "pass", "status_only", None),
        ("[REDACTED]", {}, "pass", "status_only", None),
        ({"error": "500"}, {}, "fail", "swallowed", "E5"),
        ({"error": "500"}, {"status": 1}, "fail", "swallowed", "E5"),
        ("Error: no such order", {}, "fail", "swallowed", "E6"),
        ("Error: no such order", {"status": 2}, "fail", "error_status", "E1"),
        (None, {"error_type": "timeout"}, "fail", "error_type", "E2"),
        (None, {"exception": "KeyError: x"}, "fail", "exception_event", "E4"),
        ({"error": "disk"}, {"tool": "read_logs"}, "pass", "suspect", "E5"),
        (None, {"status": 2, "exception": "GraphInterrupt: ask"}, "unscored", "interrupted", "E1"),
        (None, {"end_ns": 0}, "unscored", "no_result", None),
    ],
)
def test_verdict_reason_and_rule(result, fields, verdict, code, rule):
    said = judged(result, **fields)
    assert (said.verdict, said.reason_code) == (verdict, code)
    assert (orjson.loads(said.evidence)["rule"] if said.evidence else None) == rule


def test_the_reason_tells_what_the_result_said():
    assert "no such order" in judged("Error: no such order").reason
