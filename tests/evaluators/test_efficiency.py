"""StepEfficiency: useful / all tool and agent steps."""

import orjson
import pytest

from evaluators.judge import judge
from tests.builders import llm_span, result_of, span, tool, tool_span, trajectory, workflow

SHOP = workflow(
    tools=[
        tool("look", {"id": {}}),
        tool("find", {"id": {}}),
        tool("set", {"id": {}, "v": {}}, writes=True, entity={"order": "$.id"}),
    ]
)
NOTHING = workflow("silent")


def judged(calls, shop=SHOP):
    spans = []
    for n, (name, arguments, *more) in enumerate(calls, 1):
        fields = {"result": f"result {n}", **(more[0] if more else {})}
        spans.append(tool_span(n, name, arguments, **fields))
    return judge(trajectory(*spans, workflow=shop))


def codes(results):
    return [r.reason_code for r in results if r.evaluator == "StepEfficiency" and r.span_id]


A, B = ("look", {"id": 1}), ("find", {"id": 1})
FAILED = {"status": 2}


@pytest.mark.parametrize(
    ("calls", "flags"),
    [
        ([A, B], ["", ""]),
        ([A] * 6, [""] + ["redundant"] * 5),
        ([A, B, A], ["", "", "redundant"]),
        ([A, ("set", {"id": 1}), A], ["", "", ""]),
        ([A, ("set", {"id": 1}, FAILED), A], ["", "wasted", "redundant"]),
        ([(*A, FAILED), A], ["", ""]),
        ([(*A, FAILED), (*A, FAILED)], ["wasted", "wasted"]),
        ([(*A, FAILED), ("look", {"id": 2})], ["", ""]),
        ([A, ("look", {"id": 2})], ["", ""]),
        ([("set", {"id": 1}), ("set", {"id": 1})], ["", "redundant"]),
        ([("look", None), ("look", None)], ["", ""]),
        (
            [
                ("look", {"id": n // 2}, {"result": "x"}) if n % 2 == 0 else ("find", {"id": n // 2}, {"result": "y"})
                for n in range(4)
            ],
            ["", "", "backtracked", "backtracked"],
        ),
        ([("look", {"id": n // 2}) if n % 2 == 0 else ("find", {"id": n // 2}) for n in range(4)], [""] * 4),
        ([("set", {"id": 1, "v": 1}), ("set", {"id": 1, "v": 2}), ("set", {"id": 1, "v": 1})], ["", "", "backtracked"]),
        ([("set", {"id": 1, "v": 1}), ("set", {"id": 2, "v": 2}), ("set", {"id": 1, "v": 1})], ["", "", ""]),
    ],
)
def test_flags(calls, flags):
    assert codes(judged(calls)) == flags


def test_a_tool_that_nobody_declared_may_have_written_between():
    assert codes(judged([A, B, A], NOTHING)) == ["", "", ""]
    assert codes(judged([A, A], NOTHING)) == ["", "redundant"]


def test_the_score_is_the_share_of_useful_steps_and_within_zero_and_one():
    whole = result_of(judged([A] * 6), "StepEfficiency")
    assert whole.score == pytest.approx(1 / 6)
    assert (whole.verdict, whole.reason_code) == ("fail", "redundant")
    assert orjson.loads(whole.evidence)["redundant"] == 5


def test_the_length_of_the_talk_does_not_matter():
    talk = [llm_span(n, "hello") for n in range(10, 40)]
    results = judge(trajectory(tool_span(1, "look", {"id": 1}), *talk, workflow=SHOP))
    assert result_of(results, "StepEfficiency").score == 1.0


def test_agents_below_the_root_count_and_a_failed_one_is_wasted():
    results = judge(
        trajectory(span(1, kind="agent", agent="a", status=2), span(2, kind="agent", agent="b"), workflow=SHOP)
    )
    assert codes(results) == ["wasted", ""]


def test_doing_nothing_is_unscored():
    assert result_of(judge(trajectory(llm_span(1, "hi"))), "StepEfficiency").reason_code == "no_steps"
