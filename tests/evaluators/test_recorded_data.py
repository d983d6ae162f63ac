"""Figures to reach on recorded data (evaluators.md 5). The data stands beside the project and is never copied into it."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from evaluators.folding.evaluation import Evaluation
from evaluators.goal import GoalProgress
from evaluators.judge import judge, judge_span
from evaluators.views.matching import call_key
from schemas.expectation import parse_expectation
from schemas.registry import Workflow
from schemas.trajectory import Step, Trajectory
from tests.builders import llm_span, result_of, root_span, text_of, tool_span, trajectory, truth, workflow

SHARED = Path(os.environ.get("STEPWATCH_SHARED", Path(__file__).parents[3] / "shared"))
TAU, BFCL = SHARED / "data/tau-airline", SHARED / "data/bfcl"
needs_tau = pytest.mark.skipif(not TAU.exists(), reason=f"no recorded runs at {TAU}; set STEPWATCH_SHARED")
needs_bfcl = pytest.mark.skipif(not BFCL.exists(), reason=f"no function-calling cases at {BFCL}; set STEPWATCH_SHARED")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@cache
def tasks() -> dict[str, dict[str, Any]]:
    return {task["id"]: task for task in json.loads((TAU / "tasks.json").read_text())}


@cache
def recorded_workflow() -> Workflow:
    writes = {name for task in tasks().values() for name in task["write_tools"]}
    functions = [t["function"] for t in json.loads((TAU / "tools.json").read_text())]
    return workflow("recorded", tools=[{**f, "writes": f["name"] in writes} for f in functions])


def played(run: dict[str, Any]) -> Trajectory:
    spans, now = [], 0
    for said in run["steps"]:
        parts = [{"type": "text", "content": said["content"]}] if said["content"] else []
        spoken = text_of([{"role": "assistant", "parts": parts}])
        spans.append(llm_span(len(spans) + 1, at_ms=now, took_ms=3_000, output_messages=spoken))
        now += 3_000
        for call in said["calls"]:
            status = 2 if call.get("error") else 0
            spans.append(
                tool_span(len(spans) + 1, call["name"], call["arguments"], call["result"], at_ms=now, status=status)
            )
            now += 50
    task = tasks()[run["task_id"]]
    expected = truth(*task["expected_actions"], outputs=task["outputs"])
    return trajectory(root_span(took_ms=now + 1), *spans, workflow=recorded_workflow(), truth=expected)


@cache
def scores() -> list[tuple[int, bool, bool, dict[str, float]]]:
    """Per run: number of its task, whether the task expects a write, success, and trajectory scores."""
    labels = {line["id"]: line["success"] for line in lines(TAU / "labels.jsonl")}
    out = []
    for run in lines(TAU / "trajectories.jsonl"):
        results = judge(played(run))
        task = tasks()[run["task_id"]]
        writes = any(action["name"] in task["write_tools"] for action in task["expected_actions"])
        said = {r.evaluator: r.score for r in results if not r.span_id and r.score is not None}
        out.append((int(run["task_id"].rpartition("/")[2]), writes, labels[run["id"]], said))
    return out


def auc(evaluator: str, *, held_out: bool = False, writes: bool = False) -> float:
    chosen = [s for s in scores() if (s[0] >= 35 or not held_out) and (s[1] or not writes)]
    return float(roc_auc_score([s[2] for s in chosen], [s[3][evaluator] for s in chosen]))


@needs_tau
def test_task_completion_tells_success_from_failure():
    assert auc("TaskCompletion") >= 0.97
    assert auc("TaskCompletion", held_out=True) >= 0.97
    assert auc("TaskCompletion", writes=True) >= 0.95


@needs_tau
def test_function_call_accuracy_tells_success_from_failure():
    assert auc("FunctionCallAccuracy") >= 0.97


@needs_tau
def test_goal_progress_follows_the_share_of_expected_actions_done_and_never_falls_while_open():
    done, progress = [], []
    for run in lines(TAU / "trajectories.jsonl"):
        if int(run["task_id"].rpartition("/")[2]) >= 35:
            continue
        played_, before = replace(played(run), closed=""), 0.0
        evaluation = Evaluation(played_.workflow, played_.truth, (GoalProgress(),))
        for step in played_.steps:
            evaluation.extend([step])
            score = result_of(evaluation.results(played_), "GoalProgress").score
            assert score is None or score >= before
            before = score if score is not None else before
        expected = [
            (a["name"], call_key(a["arguments"], frozenset())) for a in tasks()[run["task_id"]]["expected_actions"]
        ]
        calls = Counter((s.call.name, call_key(s.call.arguments, frozenset())) for s in played_.steps if called(s))
        whole = result_of(judge(replace(played_, closed="root_ended")), "GoalProgress").score
        if expected and whole is not None:
            done.append(sum((Counter(expected) & calls).values()) / len(expected))
            progress.append(whole)
    assert len(done) > 100
    assert spearmanr(done, progress).statistic >= 0.6


def called(step: Step) -> bool:
    return step.kind == "tool_call" and step.call.executed and isinstance(step.call.arguments, dict)


@needs_tau
def test_without_truth_task_completion_abstains_or_is_right():
    labels = {line["id"]: line["success"] for line in lines(TAU / "labels.jsonl")}
    answered = []
    for run in lines(TAU / "trajectories.jsonl"):
        result = result_of(judge(replace(played(run), truth=None)), "TaskCompletion")
        assert result.verdict in ("unscored", "fail")  # success is never guessed
        if result.score is not None:
            answered.append(labels[run["id"]])
    assert not any(answered)


@needs_tau
def test_tool_selection_tells_success_from_failure_and_never_sinks_a_right_run_that_had_to_write():
    tuned = [s for s in scores() if s[0] < 35]
    assert roc_auc_score([s[2] for s in tuned], [s[3]["ToolSelectionAccuracy"] for s in tuned]) >= 0.8
    assert {s[3]["ToolSelectionAccuracy"] for s in scores() if s[1] and s[2]} == {1.0}


@needs_tau
def test_a_do_nothing_agent_scores_nothing_on_write_tasks_and_gold_actions_score_one():
    shop = recorded_workflow()
    for task in tasks().values():
        expected = truth(*task["expected_actions"], outputs=task["outputs"])
        gold = [tool_span(n, a["name"], a["arguments"]) for n, a in enumerate(task["expected_actions"], 1)]
        spoken = llm_span(99, " and ".join(task["outputs"]))
        right = judge(trajectory(*gold, spoken, workflow=shop, truth=expected))
        assert result_of(right, "TaskCompletion").score == 1.0
        assert result_of(right, "FunctionCallAccuracy").score == 1.0
        if any(a["name"] in task["write_tools"] for a in task["expected_actions"]):
            idle = judge(trajectory(llm_span(1, "done"), workflow=shop, truth=expected))
            assert result_of(idle, "TaskCompletion").score == 0.0
            assert result_of(idle, "TrajectoryScore").score == 0.0


TYPES = {"dict": "object", "float": "number", "tuple": "array", "list": "array"}


def as_schema(value: Any) -> Any:
    """The data's own type words as JSON Schema; `any` is no constraint."""
    if isinstance(value, list):
        return [as_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, item in value.items():
        if key == "type" and isinstance(item, str):
            if item != "any":
                out[key] = TYPES.get(item, item)
        elif key == "properties":
            out[key] = {name: as_schema(schema) for name, schema in item.items()}
        elif key in ("items", "required", "enum", "additionalProperties"):
            out[key] = as_schema(item) if key == "items" else item
    return out


@cache
def cases() -> list[tuple[Workflow, list[tuple[str, dict[str, list[Any]]]]]]:
    out = []
    for path in sorted(BFCL.glob("*.jsonl")):
        for case in lines(path):
            tools = [{"name": f["name"], "parameters": as_schema(f["parameters"])} for f in case["functions"]]
            answers = [(name, args) for answer in case["possible_answers"] for name, args in answer.items()]
            out.append((workflow("case", tools=list({t["name"]: t for t in tools}.values())), answers))
    return out


def first_value(values: list[Any]) -> Any:
    value = next((v for v in values if v != ""), "")
    if isinstance(value, dict):
        return {key: first_value(inner) if isinstance(inner, list) else inner for key, inner in value.items()}
    if isinstance(value, list):
        return [{k: first_value(v) for k, v in item.items()} if isinstance(item, dict) else item for item in value]
    return value


def answers() -> Iterator[tuple[Workflow, str, dict[str, Any]]]:
    for shop, calls in cases():
        for name, arguments in calls:
            required = (shop.tools[name].parameters or {}).get("required", ())
            given = {key: values for key, values in arguments.items() if key in required or "" not in values}
            yield shop, name, {key: first_value(values) for key, values in given.items()}


def verdict(shop: Workflow, name: str, arguments: dict[str, Any]) -> Any:
    return result_of(judge_span(tool_span(1, name, arguments), shop), "ParameterValidation", 1)


PYTHON = {"string": str, "integer": int, "number": (int, float), "array": list, "object": dict, "boolean": bool}


def contradicts_itself(shop: Workflow, name: str, arguments: dict[str, Any]) -> bool:
    """Whether a case's answer is of another type than the case itself declares (two are: a variable's name, words)."""
    properties = (shop.tools[name].parameters or {})["properties"]
    for key, value in arguments.items():
        declared = properties[key]
        items = declared.get("items", {}).get("type")
        if "type" in declared and not isinstance(value, PYTHON[declared["type"]]):
            return True
        if items and isinstance(value, list) and not all(isinstance(item, PYTHON[items]) for item in value):
            return True
    return False


@needs_bfcl
def test_no_acceptable_answer_is_refused():
    consistent = [answer for answer in answers() if not contradicts_itself(*answer)]
    assert len(consistent) >= len(list(answers())) - 2
    assert [answer[1:] for answer in consistent if verdict(*answer).verdict == "fail"] == []


def mutations(shop: Workflow, name: str, arguments: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    schema = shop.tools[name].parameters or {}
    yield "unknown function", name + "_x", arguments
    yield "unknown argument", name, {**arguments, "no_such_argument": 1}
    for key in arguments:
        declared = schema["properties"][key]
        if key in schema.get("required", ()):
            yield "required dropped", name, {k: v for k, v in arguments.items() if k != key}
        if "type" not in declared:
            continue
        yield "null", name, {**arguments, key: None}
        yield "wrong type", name, {**arguments, key: 7 if declared["type"] in ("string", "boolean") else "seven"}
        if declared["type"] == "integer":
            yield "bool for integer", name, {**arguments, key: True}
            yield "2.5 for integer", name, {**arguments, key: 2.5}
        if "enum" in declared:
            yield "enum", name, {**arguments, key: "no such value"}
        if declared["type"] == "array" and declared.get("items", {}).get("type") in ("string", "integer", "number"):
            yield "array item", name, {**arguments, key: [*arguments[key], {}]}


@needs_bfcl
def test_every_class_of_mutation_is_caught():
    caught: dict[str, list[bool]] = {}
    for shop, name, arguments in answers():
        for sort, changed, mutated in mutations(shop, name, arguments):
            caught.setdefault(sort, []).append(verdict(shop, changed, mutated).verdict == "fail")
    shares = {sort: sum(found) / len(found) for sort, found in caught.items()}
    assert len(shares) == 9
    assert all(share >= 0.995 for share in shares.values()), shares


@needs_bfcl
def test_another_acceptable_answer_and_an_omitted_optional_are_one_and_mutations_are_less():
    for shop, calls in cases():
        expected = [
            {
                "name": n,
                "arguments": {k: first_value(v) for k, v in a.items()},
                "acceptable": {k: [x for x in v if not isinstance(x, dict)] for k, v in a.items()},
            }
            for n, a in calls
        ]
        task = parse_expectation(
            json.dumps({"workflow": "case", "task_id": "1", "expected_calls": expected}), "case", 1
        )
        for last in (False, True):
            chosen = [
                (n, {k: v[-1] if last and not isinstance(v[-1], dict | list) else first_value(v) for k, v in a.items()})
                for n, a in calls
            ]
            made = [tool_span(i, n, {k: v for k, v in a.items() if v != ""}) for i, (n, a) in enumerate(chosen, 1)]
            assert result_of(judge(trajectory(*made, workflow=shop, truth=task)), "FunctionCallAccuracy").score == 1.0
        wrong = [tool_span(1, made[0].tool, {"no_such_argument": 1}), *made[1:]]
        assert result_of(judge(trajectory(*wrong, workflow=shop, truth=task)), "FunctionCallAccuracy").score < 1.0
