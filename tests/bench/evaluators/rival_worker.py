"""Runs in the rival's own environment: its metrics over inputs in its own types; scores and CPU seconds as JSON.

Called as `python rival_worker.py INPUT OUTPUT`. Imports and conversion into its types are not counted; its `compute_one`
is called on ready inputs, which is its fastest way (its `evaluate` adds validation and a result object).
"""

import gc
import json
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

from fi.evals.metrics.agents.metrics import (
    ActionSafety,
    GoalProgress,
    ReasoningQuality,
    StepEfficiency,
    TaskCompletion,
    ToolSelectionAccuracy,
    TrajectoryScore,
)
from fi.evals.metrics.agents.types import AgentStep, AgentTrajectoryInput, ExpectedStep, TaskDefinition, ToolCall
from fi.evals.metrics.function_calling.metrics import FunctionCallAccuracy, ParameterValidation
from fi.evals.metrics.function_calling.types import FunctionCall, FunctionCallInput, FunctionDefinition, ParameterSpec

AGENT = (TaskCompletion, GoalProgress, StepEfficiency, ToolSelectionAccuracy, TrajectoryScore, ReasoningQuality)
# What it may be told the run's result is; the bench reports its best.
RESULTS = ("last words against required outputs", "writes made against writes expected")


def steps_of(run):
    """Its trajectory: a step is a turn; what the tools and the customer answered is the observation."""
    steps = []
    for number, said in enumerate(run["steps"], 1):
        calls = [
            ToolCall(
                name=c["name"],
                arguments=c["arguments"] if isinstance(c["arguments"], dict) else {},
                result=c["result"],
                success=not c["error"],
                error=str(c["result"]) if c["error"] else None,
            )
            for c in said["calls"]
        ]
        heard = [str(c["result"]) for c in said["calls"]] + ([said["user_reply"]] if said["user_reply"] else [])
        steps.append(
            AgentStep(
                step_number=number,
                thought=said["content"],
                action=", ".join(call.name for call in calls) or "respond",
                tool_calls=calls,
                observation=" ".join(heard),
                is_final=number == len(run["steps"]),
            )
        )
    return steps


def agent_input(run, steps, task, tools, result):
    """Everything that it can be told of a run and its truth."""
    outputs, expected = task["outputs"], task["expected_actions"]
    if result == RESULTS[0]:
        final = next((s.thought for s in reversed(steps) if s.thought), "")
        right = "; ".join(outputs) or None
    else:  # in canonical order: it compares by equality
        writes = set(task["write_tools"])
        final = sorted(
            json.dumps([c.name, c.arguments], sort_keys=True)
            for s in steps
            for c in s.tool_calls
            if c.success and c.name in writes
        )
        right = sorted(json.dumps([a["name"], a["arguments"]], sort_keys=True) for a in expected if a["name"] in writes)
    return AgentTrajectoryInput(
        response="",
        trajectory=steps,
        task=TaskDefinition(
            description=task["description"],
            expected_outcome="; ".join(outputs) or None,
            required_tools=sorted({a["name"] for a in expected}) or None,
            success_criteria=outputs or None,
        ),
        expected_trajectory=[
            ExpectedStep(description=a["name"], required_tools=[a["name"]], key_arguments=a["arguments"])
            for a in expected
        ]
        or None,
        final_result=final,
        expected_result=right,
        available_tools=[tool["name"] for tool in tools],
    )


def definition(function):
    """Its form of a function's schema: flat parameters with a type and an enum."""
    schema = function["parameters"]
    return FunctionDefinition(
        name=function["name"],
        parameters=[
            ParameterSpec(
                name=name, type=p.get("type", "object"), required=name in schema.get("required", []), enum=p.get("enum")
            )
            for name, p in schema.get("properties", {}).items()
        ],
    )


def call(name, arguments):
    return FunctionCall(name=name, arguments=arguments)


def call_inputs(steps, task, definitions, only=None):
    """(the calls against the expected ones, each call against the schemas); `only` these tools."""
    calls = [call(c.name, c.arguments) for s in steps for c in s.tool_calls if only is None or c.name in only]
    expected = [call(a["name"], a["arguments"]) for a in task["expected_actions"] if only is None or a["name"] in only]
    whole = FunctionCallInput(response=calls, expected_response=expected, function_definitions=definitions)
    each = [FunctionCallInput(response=c, function_definitions=definitions, strict_type_check=True) for c in calls]
    return whole, each


def quality(given):
    """Scores by metric, in the order of the runs; where the result can be told in two ways, both."""
    scores = {}
    definitions = [definition(tool) for tool in given["tools"]]
    for result in RESULTS:
        for metric in AGENT:
            judge = metric()
            found = []
            for run in given["runs"]:
                task = given["tasks"][run["task_id"]]
                asked = agent_input(run, steps_of(run), task, given["tools"], result)
                found.append(judge.compute_one(asked)["output"])
            scores.setdefault(metric.__name__, {})[result] = found
    judge = FunctionCallAccuracy()
    for only_writes in (False, True):
        found = []
        for run in given["runs"]:
            task = given["tasks"][run["task_id"]]
            only = set(task["write_tools"]) if only_writes else None
            found.append(judge.compute_one(call_inputs(steps_of(run), task, definitions, only)[0])["output"])
        scores.setdefault("FunctionCallAccuracy", {})["writes" if only_writes else "all calls"] = found
    return scores


def progress(given):
    """GoalProgress asked after each turn, by run."""
    judge, found = GoalProgress(), []
    for run in given["runs"]:
        steps, task = steps_of(run), given["tasks"][run["task_id"]]
        asked = [agent_input(run, steps[:k], task, given["tools"], RESULTS[0]) for k in range(1, len(steps) + 1)]
        found.append([judge.compute_one(one)["output"] for one in asked])
    return found


def speed(given, repeats):
    """CPU seconds of all runs, median of the repeats: by set of metrics, asked once and asked after every turn."""
    definitions = [definition(tool) for tool in given["tools"]]
    once, every = [], []
    for run in given["runs"]:
        steps, task = steps_of(run), given["tasks"][run["task_id"]]
        asked = []
        for k in range(1, len(steps) + 1):
            whole, each = call_inputs(steps[:k], task, definitions)
            new = each[len(each) - len(steps[k - 1].tool_calls) :]  # it need not validate an old call again
            asked.append((agent_input(run, steps[:k], task, given["tools"], RESULTS[0]), whole, new))
        every.append(asked)
        once.append([(asked[-1][0], asked[-1][1], each)])
    agent = [metric() for metric in AGENT]
    sets = {"8": (agent, FunctionCallAccuracy(), ParameterValidation()), "7": ([*agent, ActionSafety()], None, None)}
    return {
        name: {
            "once": statistics.median(spent(once, *metrics) for _ in range(repeats)),
            "every": statistics.median(spent(every, *metrics) for _ in range(repeats)),
        }
        for name, metrics in sets.items()
    }


def spent(runs, agent, accuracy, validation):
    start = time.process_time()
    for asked in runs:
        for trajectory, whole, each in asked:
            for metric in agent:
                metric.compute_one(trajectory)
            if accuracy is not None:
                accuracy.compute_one(whole)
                for one in each:
                    validation.compute_one(one)
    return time.process_time() - start


def cases(given):
    """ParameterValidation of each check, FunctionCallAccuracy of each comparison."""
    validate, compare = ParameterValidation(), FunctionCallAccuracy()
    definitions = {key: [definition(f) for f in functions] for key, functions in given["functions"].items()}
    validated = [
        validate.compute_one(
            FunctionCallInput(response=call(*made), function_definitions=definitions[case], strict_type_check=True)
        )["output"]
        for case, made in given["checks"]
    ]
    compared = [
        compare.compute_one(
            FunctionCallInput(response=[call(*m) for m in made], expected_response=[call(*e) for e in expected])
        )["output"]
        for made, expected in given["comparisons"]
    ]
    return validated, compared


def main():
    given = json.loads(Path(sys.argv[1]).read_text())
    gc.freeze()  # the same terms: see streams/garbage.py
    gc.set_threshold(1_000_000, 20, 50)
    answer = {"version": version("ai-evaluation")}
    if "runs" in given:
        answer["scores"], answer["progress"] = quality(given), progress(given)
        if given["repeats"]:
            answer["speed"] = speed(given, given["repeats"])
    if "checks" in given:
        answer["validated"], answer["compared"] = cases(given)
    Path(sys.argv[2]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
