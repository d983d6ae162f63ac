"""What readers of content say of recorded runs. The data stands beside the project and is never copied into it.

The agent of these runs copies what it reads: no argument is made up. So nothing may be reported, and what is then changed
by one digit must be found.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from evaluators.entity import EntityConsistency
from evaluators.judge import judge
from evaluators.provenance import ArgumentProvenance
from evaluators.reasoning import ReasoningQuality
from evaluators.views.literals import ids_in, leaves
from schemas.span import Span
from tests.builders import llm_span, root_span, text_of, tool_span, trajectory
from tests.evaluators.test_recorded_data import TAU, lines, needs_tau, recorded_workflow

TUNED_ON = 35  # tasks below this number were looked at while the rules were made
READERS = (ArgumentProvenance(), EntityConsistency(), ReasoningQuality())


def part(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "content": text}] if text else []


def talk(run: dict[str, Any]) -> Iterator[Span]:
    """The run as spans whose input messages repeat the whole talk, as most producers send it."""
    history: list[dict[str, Any]] = (
        [{"role": "user", "parts": part(run["first_user"])}] if run.get("first_user") else []
    )
    n = 0
    for said in run["steps"]:
        calls = [
            {"type": "tool_call", "id": c["id"], "name": c["name"], "arguments": c["arguments"]} for c in said["calls"]
        ]
        answer = {"role": "assistant", "parts": part(said["content"]) + calls}
        n += 1
        yield llm_span(n, at_ms=n, input_messages=text_of(history), output_messages=text_of([answer]))
        history = [*history, answer]
        for c in said["calls"]:
            n += 1
            yield tool_span(
                n, c["name"], c["arguments"], c["result"], at_ms=n, status=2 if c["error"] else 0, call_id=c["id"]
            )
            response = {"type": "tool_call_response", "id": c["id"], "response": c["result"]}
            history = [*history, {"role": "tool", "parts": [response]}]
        if said.get("user_reply"):
            history = [*history, {"role": "user", "parts": part(said["user_reply"])}]


def runs(below: int) -> Iterator[list[Span]]:
    for run in lines(TAU / "trajectories.jsonl"):
        if int(run["task_id"].rpartition("/")[2]) < below:
            yield list(talk(run))


@needs_tau
def test_of_runs_whose_agent_copies_what_it_reads_nothing_is_reported():
    writes = 0
    for spans in runs(below=10**6):
        results = judge(trajectory(root_span(10_000), *spans, workflow=recorded_workflow()), evaluators=READERS)
        assert [(r.step, r.reason_code) for r in results if r.verdict in ("fail", "error")] == []
        writes += sum(r.evaluator == "ArgumentProvenance" and r.verdict == "pass" for r in results)
    assert writes > 200


@needs_tau
def test_an_id_that_is_changed_by_one_digit_is_found():
    found = changed = 0
    for spans in runs(below=TUNED_ON):
        for place, one in enumerate(spans):
            tool = recorded_workflow().tools.get(one.tool)
            if tool is None or not tool.writes or one.arguments is None:
                continue
            for _, value in ids_in(leaves(orjson.loads(one.arguments)))[0]:
                at = max((i for i, letter in enumerate(value) if letter.isdigit()), default=-1)
                if at < 0:
                    continue
                other = value[:at] + str((int(value[at]) + 3) % 10) + value[at + 1 :]
                wrong = one._replace(arguments=one.arguments.replace(value, other))
                run = trajectory(root_span(10_000), *spans[:place], wrong, workflow=recorded_workflow())
                codes = [r.reason_code for r in judge(run, evaluators=READERS[:1]) if r.span_id == one.span_id]
                changed += 1
                found += codes == ["invented"]
    assert changed > 200 and found / changed >= 0.99, (found, changed)
