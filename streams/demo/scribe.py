"""Turns a play into the spans of one run, by OpenTelemetry's GenAI conventions, on a timeline that starts at 0 ms.

Pure given its source of chance. The shape is what instrumented agents emit: `invoke_workflow` over one `invoke_agent`
each for planner, executor and verifier; in them `plan`, `chat` and `execute_tool`. The law: a child lies inside its
parent's time.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple

from streams.demo.mishap import APOLOGY
from streams.demo.play import Call, Play

MODEL = "assistant-4"
SLOW_SHARE = 0.004  # of tool calls take far longer than the others
Value = str | int | tuple[str, ...]


class SpanPlan(NamedTuple):
    """One span to be: its place in the tree (index of the parent, None at the root), its times, what it carries."""

    name: str
    parent: int | None
    start_ms: float
    end_ms: float
    attributes: Mapping[str, Value]
    error: str  # error.type and ERROR status; "" leaves the status unset, as most producers do


def spans_of(play: Play, conversation: str, rng: Random) -> list[SpanPlan]:
    """All spans of the run, parents before their children."""
    scribe = _Scribe(conversation, rng)
    case = play.case
    frame: dict[str, Value] = {
        "gen_ai.workflow.name": case.workflow,
        "gen_ai.input.messages": _said("user", play.request),
    }
    if case.task_id:
        frame["stepwatch.task.id"] = case.task_id
    frame["gen_ai.output.messages"] = _said("assistant", play.answer)
    with scribe.span("invoke_workflow", case.workflow, frame):
        _plan(scribe, play)
        _execute(scribe, play)
        _verify(scribe, play)
    return scribe.finished()


def _plan(scribe: "_Scribe", play: Play) -> None:
    with scribe.agent("planner"):
        with scribe.span("plan", "planner", {"gen_ai.agent.name": "planner"}):
            scribe.chat("planner", _said("user", play.request), _said("assistant", play.plan))
        for call in play.routing:
            scribe.tool("planner", call)


def _execute(scribe: "_Scribe", play: Play) -> None:
    heard = _said("user", play.plan)
    with scribe.agent("executor"):
        for call in play.calls:
            call_id = scribe.next_call_id()
            scribe.chat("executor", heard, _asks(call_id, call))
            scribe.tool("executor", call, call_id)
            heard = _response(call_id, call)
        scribe.chat("executor", heard, _said("assistant", play.answer))


def _verify(scribe: "_Scribe", play: Play) -> None:
    passed = play.answer != APOLOGY
    verdict = {"verdict": "pass" if passed else "fail", "why": "the answer fits the request" if passed else "not done"}
    with scribe.agent("verifier"):
        scribe.chat("verifier", _said("user", play.answer), _said("assistant", json.dumps(verdict)))


class _Scribe:
    """Lays spans end to end on a timeline; a span that is open holds all that is written meanwhile."""

    def __init__(self, conversation: str, rng: Random) -> None:
        self._conversation = conversation
        self._rng = rng
        self._now_ms = 0.0
        self._open: list[int] = []
        self._plans: list[SpanPlan] = []
        self._calls = 0

    def finished(self) -> list[SpanPlan]:
        assert not self._open, "a span was left open"
        return self._plans

    def next_call_id(self) -> str:
        self._calls += 1
        return f"call_{self._conversation}_{self._calls}"

    @contextmanager
    def span(self, operation: str, subject: str, attributes: Mapping[str, Value], error: str = "") -> Iterator[None]:
        common: dict[str, Value] = {"gen_ai.operation.name": operation, "gen_ai.conversation.id": self._conversation}
        if error:
            common["error.type"] = error
        index, start = len(self._plans), self._now_ms
        parent = self._open[-1] if self._open else None
        self._plans.append(SpanPlan(f"{operation} {subject}", parent, start, start, {**common, **attributes}, error))
        self._open.append(index)
        self._pass(1, 3)
        yield
        self._pass(1, 3)
        self._open.pop()
        self._plans[index] = self._plans[index]._replace(end_ms=self._now_ms)

    @contextmanager
    def agent(self, name: str) -> Iterator[None]:
        with self.span("invoke_agent", name, {"gen_ai.agent.name": name}):
            yield

    def chat(self, agent: str, heard: str, said: str) -> None:
        attributes: dict[str, Value] = {
            "gen_ai.agent.name": agent,
            "gen_ai.provider.name": "demo",
            "gen_ai.request.model": MODEL,
            "gen_ai.response.model": MODEL,
            "gen_ai.response.finish_reasons": ("tool_call" if '"tool_call"' in said else "stop",),
            "gen_ai.input.messages": heard,
            "gen_ai.output.messages": said,
            "gen_ai.usage.input_tokens": 180 + len(heard) // 4,
            "gen_ai.usage.output_tokens": 1 + len(said) // 4,
        }
        with self.span("chat", MODEL, attributes):
            self._pass(350, 1_800)

    def tool(self, agent: str, call: Call, call_id: str = "") -> None:
        attributes: dict[str, Value] = {
            "gen_ai.agent.name": agent,
            "gen_ai.tool.name": call.tool,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": call_id or self.next_call_id(),
            "gen_ai.tool.call.arguments": json.dumps(call.arguments),
        }
        if call.result is not None:
            attributes["gen_ai.tool.call.result"] = json.dumps(call.result)
        with self.span("execute_tool", call.tool, attributes, call.error):
            slow = self._rng.random() < SLOW_SHARE
            self._pass(*((2_500, 4_000) if slow else (30, 400)))

    def _pass(self, least_ms: float, most_ms: float) -> None:
        self._now_ms += self._rng.uniform(least_ms, most_ms)


def _messages(role: str, part: Mapping[str, Any]) -> str:
    return json.dumps([{"role": role, "parts": [part]}])


def _said(role: str, content: str) -> str:
    return _messages(role, {"type": "text", "content": content})


def _asks(call_id: str, call: Call) -> str:
    return _messages("assistant", {"type": "tool_call", "id": call_id, "name": call.tool, "arguments": call.arguments})


def _response(call_id: str, call: Call) -> str:
    response = call.result if call.result is not None else {"error": call.error}
    return _messages("tool", {"type": "tool_call_response", "id": call_id, "response": response})
