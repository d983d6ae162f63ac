"""Runs that other people recorded, against what a careful reader sees in them (../shared/data/spans/captured, never copied).

What a second reader could see otherwise (`uncertain`) is not asserted.
"""

import json
from collections import Counter
from typing import Any

import pytest

from schemas.trajectory import Trajectory
from streams.core.dedup import base
from tests.schemas.recorded_spans import seen, spans_of, trajectories_of
from tests.shared import shared

FILES = [
    "agentevals.helm",
    "agentevals.helm_2",
    "langfuse.claude-agent-2025-12-22",
    "langfuse.koog-2025-08-26",
    "langfuse.langgraph-python-2025-08-22",
    "langfuse.microsoft-agent-2025-12-17",
    "langfuse.openai-agents-2025-09-30",
    "strands-evals.adk_live_spans",
    "strands-evals.claude_live_spans",
    "strands-evals.openai_agents_openinference_live_spans",
    "strands-evals.pydantic_ai_live_spans",
]


def truth(name: str) -> dict[str, Any]:
    lines = shared("data/spans/captured/truth.jsonl").read_bytes().splitlines()
    return next(t for t in map(json.loads, lines) if t["file"] == f"{name}.jsonl")


def read(name: str) -> Trajectory:
    found = trajectories_of(shared(f"data/spans/captured/{name}.jsonl"))
    assert len(found) == 1, "one run, one trace"
    return found[0]


def uncertain(of: dict[str, Any], word: str) -> bool:
    return any(word in said for said in of["uncertain"])


@pytest.mark.parametrize("name", FILES)
def test_its_calls_are_those_that_were_made_and_none_failed(name: str) -> None:
    steps = [s for s in read(name).steps if s.kind in ("tool_call", "retrieval")]
    wanted = truth(name)["tool_calls"]
    assert Counter(s.call.name for s in steps) == Counter(call["name"] for call in wanted)
    assert [s.span.name for s in steps if s.call.failed] == []


@pytest.mark.parametrize("name", FILES)
def test_arguments_are_read_where_they_were_captured(name: str) -> None:
    given = [s.call.arguments for s in read(name).steps if s.kind in ("tool_call", "retrieval")]
    for call in truth(name)["tool_calls"]:
        if call["arguments"] is not None and not call["delegation"]:
            assert call["arguments"] in given


@pytest.mark.parametrize("name", FILES)
def test_a_model_call_is_one_step_however_often_it_was_recorded(name: str) -> None:
    of = truth(name)
    if of["llm_calls"] is not None and not uncertain(of, "llm_calls"):
        assert seen([read(name)]).model_calls == of["llm_calls"]


@pytest.mark.parametrize("name", FILES)
def test_every_named_agent_is_there_and_no_other(name: str) -> None:
    of = truth(name)
    found = {s.agent for s in read(name).steps if base(s.span) == "agent"} - {""}
    if not uncertain(of, "graph node"):
        assert found == {agent for agent in of["agents"] if agent}


@pytest.mark.parametrize("name", FILES)
def test_a_default_is_no_workflow_name(name: str) -> None:
    of, found = truth(name), read(name).workflow_name
    if of["workflow_name"] is None and not uncertain(of, "workflow name"):
        assert found not in ("Agent workflow", "LangGraph", "invocation")


@pytest.mark.parametrize("name", FILES)
def test_the_session_is_read_or_left_empty(name: str) -> None:
    of = truth(name)
    if not uncertain(of, "session") and of["session_id"] is not None:
        assert {s.span.session_id for s in read(name).steps} - {""} <= {of["session_id"]}


@pytest.mark.parametrize("name", FILES)
def test_noise_is_no_step(name: str) -> None:
    path = shared(f"data/spans/captured/{name}.jsonl")
    noise = [s for s in spans_of(path) if s.name in ("GET", "POST", "DELETE") or s.name.startswith(("a2a.", "POST "))]
    assert {s.kind for s in noise} <= {"internal"}
